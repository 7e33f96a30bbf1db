/** How many times in a row a process ended soon after its start. */
export interface CrashRecord {
  readonly streak: number;
}

export const NO_CRASHES: CrashRecord = { streak: 0 };

// The first restart is immediate, because clients may be waiting.
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
// Clients wait while no other process does the work. This is less than a lease, but long enough to spare the CPU.
const LONGEST_DELAY_WITHOUT_OTHERS_MS = 1_000;
// A process that ran this long did not end because of how it was started.
const STABLE_AFTER_MS = 30_000;
// From this many crashes on, an operator has to look.
const LOOP_FROM = 4;

/** The record after a process exited that had run for `livedMs`. */
export function recordExit({ streak }: CrashRecord, livedMs: number): CrashRecord {
  return { streak: livedMs >= STABLE_AFTER_MS ? 1 : streak + 1 };
}

/**
 * The delay before the next start: none at first, then doubling, up to 5 s if other processes do the same work and 1
 * s if not.
 */
export function delayOf({ streak }: CrashRecord, hasOthers: boolean): number {
  const longest = hasOthers ? LONGEST_DELAY_MS : LONGEST_DELAY_WITHOUT_OTHERS_MS;
  return streak <= 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (streak - 2), longest);
}

/** More restarts will probably not help. */
export function isCrashLoop({ streak }: CrashRecord): boolean {
  return streak >= LOOP_FROM;
}
