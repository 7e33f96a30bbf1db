// Transfers follow each other, and what one has left over is collected during the next.
const IDLE_MS = 1_000;

/** Counts the bodies that this process passes on as they come. */
export class Streams {
  #running = 0;
  #areBusy = false;
  #idle: NodeJS.Timeout | undefined;
  #onBusy: (areBusy: boolean) => void = () => {};

  /** At most one listener, called when the first one begins, and when there has been none for a while. */
  onBusy(listener: (areBusy: boolean) => void): void {
    this.#onBusy = listener;
  }

  begin(): void {
    this.#running += 1;
    if (this.#areBusy) return;
    this.#areBusy = true;
    this.#onBusy(true);
  }

  end(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#idle ??= setTimeout(() => this.#rest(), IDLE_MS).unref();
  }

  #rest(): void {
    this.#idle = undefined;
    if (this.#running > 0) return;
    this.#areBusy = false;
    this.#onBusy(false);
  }
}

/** Those of this process. All of them share its memory. */
export const streams = new Streams();
