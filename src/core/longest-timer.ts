/** A timer of Node takes 31 bits of milliseconds, which are 24.8 days, and fires at once beyond that. */
export const LONGEST_TIMER_DAYS = 24;
export const LONGEST_TIMER_MS = LONGEST_TIMER_DAYS * 86_400_000;
