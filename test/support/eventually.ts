/**
 * Resolves once `condition` returns without throwing, with what it returned.
 * Rejects with its last error when it still throws after `within` milliseconds:
 * by default so many that a busy machine does not matter. Where time is what is
 * promised, it is measured.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { within = 15_000, every = 10 }: { within?: number; every?: number } = {},
): Promise<T> {
  const deadline = performance.now() + within;
  for (;;) {
    try {
      return await condition();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
    }
    await new Promise<void>((wake) => {
      setTimeout(wake, every);
    });
  }
}
