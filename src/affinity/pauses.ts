// A request that comes meanwhile waits for no longer than this.
const SLICE_MS = 2;

/** Resolves after that time, or at once when the signal is given. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}

/** Divides long work into short slices, between which requests have a turn. */
export class Slices {
  #begunAt = performance.now();

  /** Is it time to let others have a turn? */
  get isOver(): boolean {
    return performance.now() - this.#begunAt >= SLICE_MS;
  }

  /** Resolves when they had one. */
  async next(): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    this.#begunAt = performance.now();
  }
}
