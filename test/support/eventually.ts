/**
 * Resolves once `condition` returns without throwing, with what it returned.
 * Rejects with its last error when it still throws after `within` milliseconds.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { within = 5_000, every = 10 }: { within?: number; every?: number } = {},
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
