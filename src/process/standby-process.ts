import type { CrashRecord } from '../core/restart-backoff.ts';
import { delayOf, NO_CRASHES, recordDeath } from '../core/restart-backoff.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ChildPort, StartChild } from './child-port.ts';
import { fdsOf } from './child-port.ts';
import type { SocketsByName } from './host-sockets.ts';
import type { FromChild } from './messages.ts';

/** A process that was started before anybody needed it. */
export interface LoadedProcess {
  readonly port: ChildPort;
  /** What it inherited: more than one role needs. */
  readonly sockets: SocketsByName;
  /** To be called once, by whoever gives it a role. */
  hear(onMessage: (message: FromChild) => void): void;
}

export interface StandbyProcessOptions {
  readonly startChild: StartChild;
  readonly logger: Logger;
  /** How long it may take to load, in milliseconds. */
  readonly loadMs: number;
}

/**
 * Keeps one process at hand whose code is loaded and that has no role yet, so
 * that whoever dies is followed without the time it takes to load (decision 0017).
 */
export class StandbyProcess {
  readonly #options: StandbyProcessOptions;
  #held: Held | undefined;
  #crashes: CrashRecord = NO_CRASHES;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StandbyProcessOptions) {
    this.#options = options;
  }

  /**
   * Starts one where there is none, and again where that ends. Resolves when it is
   * loaded, or taken; rejects when it cannot load, or is discarded before it has.
   */
  async keep(sockets: SocketsByName): Promise<void> {
    clearTimeout(this.#timer);
    this.#held ??= this.#start(sockets);
    await this.#held.loaded;
  }

  /** Gives it away, also while it loads. `undefined` where there is none, or it has not inherited these. */
  take(wanted: SocketsByName): LoadedProcess | undefined {
    const held = this.#held;
    const fits = Object.entries(wanted).every(
      ([name, socket]) => held?.sockets[name as keyof SocketsByName] === socket,
    );
    if (held === undefined || !fits) return undefined;
    this.#held = undefined;
    held.release();
    return held;
  }

  /** Ends it, if there is one, and starts no other. Resolves when it has ended. */
  async discard(): Promise<void> {
    clearTimeout(this.#timer);
    const held = this.#held;
    this.#held = undefined;
    held?.port.kill();
    await held?.port.exited;
  }

  #start(sockets: SocketsByName): Held {
    const held = new Held(this.#options, sockets);
    const since = performance.now();
    void held.port.exited.then((how) => {
      if (this.#held !== held) return;
      this.#held = undefined;
      this.#crashes = recordDeath(this.#crashes, performance.now() - since);
      const delayMs = delayOf(this.#crashes, true);
      this.#options.logger.warn(
        { childPid: held.port.pid, how, count: this.#crashes.streak, delayMs },
        'the spare process ended unexpectedly and is started again',
      );
      this.#timer = setTimeout(() => this.keep(sockets).catch(() => undefined), delayMs);
    });
    return held;
  }
}

class Held implements LoadedProcess {
  readonly port: ChildPort;
  readonly sockets: SocketsByName;
  readonly loaded: Promise<void>;
  /** Nobody has to wait for it to load any more: it has, or who took it waits for more than that. */
  release: () => void = () => undefined;
  #onMessage: (message: FromChild) => void = () => undefined;

  constructor({ startChild, loadMs }: StandbyProcessOptions, sockets: SocketsByName) {
    this.sockets = sockets;
    this.port = startChild({
      role: 'spare',
      fds: fdsOf(sockets),
      onMessage: (message) => this.#onMessage(message),
    });
    const late = setTimeout(() => this.port.kill(), loadMs);
    this.loaded = new Promise((resolve, reject) => {
      this.release = () => {
        clearTimeout(late);
        resolve();
      };
      void this.port.exited.then((how) => {
        clearTimeout(late);
        reject(new Error(`a process could not load its code: ${how}`));
      });
    });
    this.#onMessage = ({ kind }) => {
      if (kind === 'loaded') this.release();
    };
    // Mostly nobody waits for it.
    this.loaded.catch(() => undefined);
  }

  hear(onMessage: (message: FromChild) => void): void {
    this.#onMessage = onMessage;
  }
}
