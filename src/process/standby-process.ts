import type { CrashRecord } from '../core/restart-backoff.ts';
import { delayOf, NO_CRASHES, recordExit } from '../core/restart-backoff.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ChildPort, StartChild } from './child-port.ts';
import { fdsOf } from './child-port.ts';
import type { SocketsByName } from './host-sockets.ts';
import type { FromChild } from './messages.ts';

/** A process that was started before it was needed. */
export interface LoadedProcess {
  readonly port: ChildPort;
  /** The sockets that it inherited, for all roles. */
  readonly sockets: SocketsByName;
  /** Called once, when the process gets a role. */
  setMessageHandler(onMessage: (message: FromChild) => void): void;
}

export interface StandbyProcessOptions {
  readonly startChild: StartChild;
  readonly logger: Logger;
  /** How long it may take to load, in milliseconds. */
  readonly loadMs: number;
}

/**
 * Keeps one process ready that has loaded its code and has no role yet, so that it
 * can replace a crashed process without the loading time (decision 0017).
 */
export class StandbyProcess {
  readonly #options: StandbyProcessOptions;
  #current: StandbyChild | undefined;
  #crashes: CrashRecord = NO_CRASHES;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StandbyProcessOptions) {
    this.#options = options;
  }

  /**
   * Starts a standby process if there is none, and restarts it if it ends. Resolves when
   * it is loaded or taken. Rejects if it cannot load, or is discarded before it has.
   */
  async keep(sockets: SocketsByName): Promise<void> {
    clearTimeout(this.#timer);
    this.#current ??= this.#start(sockets);
    await this.#current.loaded;
  }

  /** Hands over the standby process, even while it loads; `undefined` if there is none or it lacks one of the sockets. */
  take(wanted: SocketsByName): LoadedProcess | undefined {
    const current = this.#current;
    const fits = Object.entries(wanted).every(
      ([name, socket]) => current?.sockets[name as keyof SocketsByName] === socket,
    );
    if (current === undefined || !fits) return undefined;
    this.#current = undefined;
    current.release();
    return current;
  }

  /** Ends the standby process, if there is one, and starts no other. Resolves when it has ended. */
  async discard(): Promise<void> {
    clearTimeout(this.#timer);
    const current = this.#current;
    this.#current = undefined;
    current?.port.kill();
    await current?.port.exited;
  }

  #start(sockets: SocketsByName): StandbyChild {
    const current = new StandbyChild(this.#options, sockets);
    const since = performance.now();
    void current.port.exited.then((how) => {
      if (this.#current !== current) return;
      this.#current = undefined;
      this.#crashes = recordExit(this.#crashes, performance.now() - since);
      const delayMs = delayOf(this.#crashes, true);
      this.#options.logger.warn(
        { childPid: current.port.pid, how, count: this.#crashes.streak, delayMs },
        'the standby process ended unexpectedly and restarts',
      );
      this.#timer = setTimeout(() => this.keep(sockets).catch(() => undefined), delayMs);
    });
    return current;
  }
}

class StandbyChild implements LoadedProcess {
  readonly port: ChildPort;
  readonly sockets: SocketsByName;
  readonly loaded: Promise<void>;
  /** Ends the wait for loading: the process has loaded, or the registry has taken it and waits until it is ready. */
  release: () => void = () => undefined;
  #onMessage: (message: FromChild) => void = () => undefined;

  constructor({ startChild, loadMs }: StandbyProcessOptions, sockets: SocketsByName) {
    this.sockets = sockets;
    this.port = startChild({
      role: 'spare',
      fds: fdsOf(sockets),
      onMessage: (message) => this.#onMessage(message),
    });
    const loadTimer = setTimeout(() => this.port.kill(), loadMs);
    this.loaded = new Promise((resolve, reject) => {
      this.release = () => {
        clearTimeout(loadTimer);
        resolve();
      };
      void this.port.exited.then((how) => {
        clearTimeout(loadTimer);
        reject(new Error(`a process could not load its code: ${how}`));
      });
    });
    this.#onMessage = ({ kind }) => {
      if (kind === 'loaded') this.release();
    };
    // Usually no caller waits for this; avoid an unhandled rejection.
    this.loaded.catch(() => undefined);
  }

  setMessageHandler(onMessage: (message: FromChild) => void): void {
    this.#onMessage = onMessage;
  }
}
