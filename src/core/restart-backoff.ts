/** How often in a row a process died young. */
export interface CrashRecord {
  readonly streak: number;
}

export const NO_CRASHES: CrashRecord = { streak: 0 };

// The first successor comes at once: while it is not there, clients wait.
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
// While nobody else does its work, clients wait: less than a lease, and no core is kept busy by trying.
const LONGEST_DELAY_WITHOUT_OTHERS_MS = 1_000;
// Who lived that long did not die of how it was started.
const STABLE_AFTER_MS = 30_000;
// From this many on an operator has to look.
const LOOP_FROM = 4;

/** The record after a process ended that had lived for `livedMs`. */
export function recordExit({ streak }: CrashRecord, livedMs: number): CrashRecord {
  return { streak: livedMs >= STABLE_AFTER_MS ? 1 : streak + 1 };
}

/**
 * How long to wait before the next one is started: nothing at first, then doubling.
 * Up to 5 s where others do the same work, 1 s where nobody does.
 */
export function delayOf({ streak }: CrashRecord, hasOthers: boolean): number {
  const longest = hasOthers ? LONGEST_DELAY_MS : LONGEST_DELAY_WITHOUT_OTHERS_MS;
  return streak <= 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (streak - 2), longest);
}

/** Starting it anew does not help, as far as one can see. */
export function isCrashLoop({ streak }: CrashRecord): boolean {
  return streak >= LOOP_FROM;
}
