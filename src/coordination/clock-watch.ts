export interface ClockWatchOptions {
  /** The delay of the event loop from which measurements taken meanwhile do not count, in ms. */
  readonly lagMs: number;
  /** How long after a lag or a jump measurements count again, in ms. */
  readonly calmMs: number;
  /** Called with false after each lag or jump, and with true when measurements count again. */
  readonly onChange: (isTrustworthy: boolean, reason: string) => void;
}

const LOOK_EVERY_MS = 100;
// Daylight saving does not change the clock, and NTP adjusts it slowly. More is a step, or a suspended machine.
const JUMP_MS = 500;

/** Detects that this process cannot trust its own time measurements: its event loop stalled, or the clock was set. */
export class ClockWatch {
  readonly #options: ClockWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #mono = performance.now();
  #wall = Date.now();
  #calmAt = Number.NEGATIVE_INFINITY;
  #isTrustworthy = true;

  constructor(options: ClockWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#mono = performance.now();
    this.#wall = Date.now();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const mono = performance.now();
    const wall = Date.now();
    const elapsed = mono - this.#mono;
    const lag = elapsed - LOOK_EVERY_MS;
    const jump = wall - this.#wall - elapsed;
    this.#mono = mono;
    this.#wall = wall;
    if (lag > this.#options.lagMs)
      this.#invalidate(mono, `the event loop stood still for ${Math.round(lag)} ms`);
    else if (Math.abs(jump) > JUMP_MS)
      this.#invalidate(mono, `the wall clock jumped by ${Math.round(jump)} ms`);
    else if (!this.#isTrustworthy && mono >= this.#calmAt) {
      this.#isTrustworthy = true;
      this.#options.onChange(true, 'calm again');
    }
  }

  #invalidate(mono: number, reason: string): void {
    this.#calmAt = mono + this.#options.calmMs;
    this.#isTrustworthy = false;
    this.#options.onChange(false, reason);
  }
}
