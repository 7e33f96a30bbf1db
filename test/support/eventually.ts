// Who waits for long looks rarely: what he waits for wants the processor too.
const SHORTEST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 30;

/**
 * Resolves once `condition` returns without throwing, with what it returned.
 * Rejects with its last error when it still throws after `within` milliseconds:
 * by default so many that a busy machine does not matter. Where time is what is
 * promised, it is measured.
 *
 * @param every how often it looks, in milliseconds; by default more and more rarely
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { within = 15_000, every }: { within?: number; every?: number } = {},
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
