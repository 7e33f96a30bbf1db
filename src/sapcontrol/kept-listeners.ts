import type { Logger } from '../telemetry/logger.ts';

/** A listener that is opened again when it is lost. */
export interface KeptListener {
  /** For the log. */
  readonly name: string;
  isOpen(): Promise<boolean>;
  /** Rejects with an error that says what to do. */
  open(): Promise<void>;
}

/**
 * Keeps listeners open that only serve monitoring. One that cannot be opened must not keep traffic from starting: that
 * is logged, once for each reason, and it is tried again.
 */
export class KeptListeners {
  readonly #listeners: readonly KeptListener[];
  readonly #everyMs: number;
  readonly #logger: Logger;
  /** Why a listener could not be opened, by its name. */
  readonly #problems = new Map<string, string>();
  /** The names of those that were open once. */
  readonly #opened = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(listeners: readonly KeptListener[], everyMs: number, logger: Logger) {
    this.#listeners = listeners;
    this.#everyMs = everyMs;
    this.#logger = logger;
  }

  /** Resolves after the first attempt. */
  async start(): Promise<void> {
    await this.#lookAfter();
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.#lookAfter());
    }, this.#everyMs);
  }

  /** Resolves when no attempt is running any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #lookAfter(): Promise<void> {
    for (const listener of this.#listeners) {
      if (await listener.isOpen()) continue;
      try {
        await listener.open();
        if (this.#problems.delete(listener.name) || this.#opened.has(listener.name))
          this.#logger.info({ listener: listener.name }, 'sapcontrol listens again');
        this.#opened.add(listener.name);
      } catch (error) {
        this.#report(listener.name, error as Error);
      }
    }
  }

  #report(listener: string, error: Error): void {
    const { message } = error;
    if (this.#problems.get(listener) === message) return;
    this.#problems.set(listener, message);
    this.#logger.error(
      { listener, err: error, everyMs: this.#everyMs },
      `sapcontrol cannot listen: ${message}. The gateway serves agents without it, and tries again`,
    );
  }
}
