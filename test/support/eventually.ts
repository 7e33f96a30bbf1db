// A long wait checks rarely, because the awaited work needs the processor too.
const SHORTEST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 30;

/**
 * Resolves with the result of `condition` once it returns without throwing.
 * Rejects with its last error if it still throws after `within` milliseconds. The
 * default is long enough for a busy machine. A test of a time limit measures
 * the time itself.
 *
 * @param every the interval between checks, in milliseconds; by default it grows
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { within = 60_000, every }: { within?: number; every?: number } = {},
): Promise<T> {
  const startedAt = performance.now();
  const deadline = startedAt + within;
  for (;;) {
    try {
      return await condition();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
    }
    const share = (performance.now() - startedAt) / 10;
    const pause = every ?? Math.min(Math.max(share, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
    await new Promise<void>((wake) => {
      setTimeout(wake, pause);
    });
  }
}
