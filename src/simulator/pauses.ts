/** Waits that can all be ended at once. */
export class Pauses {
  readonly #waiting = new Map<NodeJS.Timeout, () => void>();
  #ended = false;

  /** Resolves after `ms` or when {@link end} is called; at once if it was called before. */
  pause(ms: number): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(timer);
        resolve();
      }, ms);
      this.#waiting.set(timer, resolve);
    });
  }

  end(): void {
    this.#ended = true;
    for (const [timer, resolve] of this.#waiting) {
      clearTimeout(timer);
      resolve();
    }
    this.#waiting.clear();
  }
}
