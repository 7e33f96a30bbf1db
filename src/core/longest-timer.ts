/** Node timers take 31 bits of milliseconds, which is 24.8 days; longer ones fire at once. */
export const LONGEST_TIMER_DAYS = 24;
export const LONGEST_TIMER_MS = LONGEST_TIMER_DAYS * 86_400_000;
