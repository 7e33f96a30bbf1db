import type { Logger } from '../telemetry/logger.ts';
import type { LiveProcess } from './process-registry.ts';

export interface WatchdogOptions {
  /** The live children. */
  readonly children: () => readonly LiveProcess[];
  /** How long a child may be silent, in milliseconds; 0 means without limit. */
  readonly timeoutMs: () => number;
  readonly logger: Logger;
}

// Short compared with any sensible timeout.
const CHECK_INTERVAL_MS = 500;
// The supervisor does almost nothing. If even its timer is this late, the whole host lacks processor time.
const DELAYED_MS = 2 * CHECK_INTERVAL_MS;

/**
 * Kills children that hang, which means that their event loop no longer runs timers.
 * Nothing else would end them, and their connections would wait without end.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #timer: NodeJS.Timeout;
  #checkedAt = performance.now();
  /** When this process itself was last delayed: a child that was silent before may have had no processor time either. */
  #delayedAt = Number.NEGATIVE_INFINITY;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#check(), CHECK_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const now = performance.now();
    if (now - this.#checkedAt > DELAYED_MS) this.#delayedAt = now;
    this.#checkedAt = now;
    const timeoutMs = this.#options.timeoutMs();
    if (timeoutMs === 0) return;
    for (const child of this.#options.children()) {
      // A child that is not ready yet has another limit (`readyMs`).
      if (!child.isReady) continue;
      const silentMs = now - Math.max(child.lastHeartbeatAt, this.#delayedAt);
      if (silentMs <= timeoutMs) continue;
      this.#options.logger.error(
        { child: child.id, childPid: child.pid, silentMs: Math.round(silentMs) },
        'a process hangs and is killed: no heartbeat for longer than lifecycle.watchdogTimeout',
      );
      child.kill();
    }
  }
}
