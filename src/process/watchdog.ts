import type { Logger } from '../telemetry/logger.ts';
import type { LiveProcess } from './process-registry.ts';

export interface WatchdogOptions {
  /** Those that live now. */
  readonly children: () => readonly LiveProcess[];
  /** How long one may be silent, in milliseconds; 0: for ever. */
  readonly timeoutMs: () => number;
  readonly logger: Logger;
}

// Often beside any time-out that makes sense.
const EVERY_MS = 500;
// This process does next to nothing. If even it runs so late, there is not enough processor time for anybody.
const LATE_MS = 2 * EVERY_MS;

/**
 * Kills children that live but hang: whose event loop no longer gets to a
 * timer. Nobody else would end them, and what they hold would wait for ever.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #timer: NodeJS.Timeout;
  #lookedAt = performance.now();
  /** When this process itself was late the last time: what was silent before may not have been given time to speak. */
  #lateAt = Number.NEGATIVE_INFINITY;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#lookedAt > LATE_MS) this.#lateAt = now;
    this.#lookedAt = now;
    const timeoutMs = this.#options.timeoutMs();
    if (timeoutMs === 0) return;
    for (const child of this.#options.children()) {
      // One that is not ready has another limit.
      if (!child.isReady) continue;
      const silentMs = now - Math.max(child.heardAt, this.#lateAt);
      if (silentMs <= timeoutMs) continue;
      this.#options.logger.error(
        { child: child.id, childPid: child.pid, silentMs: Math.round(silentMs) },
        'a process hangs and is killed: it was silent for longer than lifecycle.watchdogTimeout',
      );
      child.kill();
    }
  }
}
