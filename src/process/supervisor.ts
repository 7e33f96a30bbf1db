import { randomBytes } from 'node:crypto';
import { formatChange, reloadable } from '../config/changes.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../telemetry/logger.ts';
import { nextLevel } from '../telemetry/logger.ts';
import type { StartChild } from './child-port.ts';
import type { HostSockets } from './host-sockets.ts';
import type { StopTimes } from './lifecycle-driver.ts';
import { Lifecycle } from './lifecycle-driver.ts';
import type { HostAnswer, HostLifecycle, HostRequest, SocketName } from './messages.ts';
import type { LiveProcess } from './process-registry.ts';
import { ProcessRegistry } from './process-registry.ts';
import { ProcessSlot } from './process-slot.ts';
import type { Replacement, Run } from './replacement-queue.ts';
import { ReplacementQueue } from './replacement-queue.ts';
import type { ReplaceableProcesses } from './rolling-replacement.ts';
import { RollingReplacement, SHUTDOWN_MS } from './rolling-replacement.ts';
import { StandbyProcess } from './standby-process.ts';
import { Watchdog } from './watchdog.ts';

export interface SupervisorOptions {
  readonly config: Config;
  /** The name of this gateway towards others. */
  readonly replica: string;
  readonly workersOf: (config: Config) => number;
  /** Reads the configuration anew. Throws, with every problem in the message, where it is not to be used. */
  readonly readConfig: () => Config;
  readonly startChild: StartChild;
  readonly sockets: HostSockets;
  readonly logger: Logger;
}

// A child that takes longer hangs. Starting took 20 times less on a machine with all cores busy.
const READY_MS = 30_000;
// After that the caller of a stop no longer waits (`Drain`).
const HASTY_FAREWELL_MS = 500;

/**
 * Keeps a gateway going: its listening sockets open, one controller and so many
 * workers alive, messages between them flowing. It never sees a request, so that
 * no request can make it fail.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #registry: ProcessRegistry;
  readonly #lifecycle: Lifecycle;
  readonly #controller: ProcessSlot;
  readonly #workers: ProcessSlot[] = [];
  readonly #standby: StandbyProcess;
  readonly #replacements = new ReplacementQueue((run) => this.#replace(run));
  readonly #startedAt = Date.now();
  #config: Config;
  #level: string;
  #why = '';
  #isReplacing = false;
  #isEnding = false;
  #onEnded = (): void => undefined;
  /** Resolves when a stop is over: every child has ended. */
  readonly ended: Promise<void> = new Promise((resolve) => {
    this.#onEnded = resolve;
  });

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { config, logger, replica, sockets } = options;
    this.#config = config;
    this.#level = config.logging.level;
    // The same for all children, and for those who follow them.
    const secret = randomBytes(32).toString('base64');
    const times = (): Config['lifecycle'] => this.#config.lifecycle;
    this.#lifecycle = new Lifecycle({
      maxInitTime: config.lifecycle.maxInitTime,
      // Those of the configuration in effect when they are needed.
      get statusPollInterval() {
        return times().statusPollInterval;
      },
      get shutdownTimeout() {
        return times().shutdownTimeout;
      },
      onState: (state, why) => {
        this.#why = why;
        logger.info({ state, why }, state.toLowerCase());
        this.#registry.broadcast({ kind: 'lifecycle', lifecycle: this.#state });
      },
    });
    this.#registry = new ProcessRegistry({
      startChild: options.startChild,
      readyMs: READY_MS,
      initOf: () => ({
        replica,
        secret,
        lifecycle: this.#state,
        logLevel: this.#level,
        host: { pid: process.pid, startedAt: this.#startedAt },
      }),
      socketsOf: (role, of) => sockets.of(role, of),
      onSettled: () => this.#lifecycle.settled(),
      onRequest: (what) => this.#answer(what),
    });
    this.#standby = new StandbyProcess({ startChild: options.startChild, logger, loadMs: READY_MS });
    this.#controller = this.#placeFor('controller', config);
    const watchdog = new Watchdog({
      children: () => this.#everyone(),
      timeoutMs: () => this.#config.lifecycle.watchdogTimeout,
      logger,
    });
    void this.ended.then(() => watchdog.stop());
  }

  /** Where it is bound, such as `127.0.0.1:8080`; undefined where it does not listen on that. */
  addressOf(name: SocketName): string | undefined {
    const { sockets } = this.#options;
    return sockets.of(name === 'data' ? 'worker' : 'controller', this.#config)[name]?.address;
  }

  /**
   * Binds the sockets and starts all children. Resolves when all are ready, or when
   * it was told to stop meanwhile. Rejects, with nothing left behind, when one of
   * them cannot start: what fails at once should fail before the eyes of whoever starts it.
   */
  async start(): Promise<void> {
    const { sockets, workersOf } = this.#options;
    await sockets.ensure(this.#config);
    // Told to stop before there was anything to end: what was bound meanwhile is all that is left.
    if (this.#isEnding) {
      sockets.close();
      return;
    }
    const children = [this.#controller.fill()];
    while (this.#workers.length < workersOf(this.#config)) {
      const place = this.#placeFor('worker', this.#config);
      this.#workers.push(place);
      children.push(place.fill());
    }
    try {
      await Promise.all(children.map(({ ready }) => ready));
    } catch (error) {
      if (this.#isEnding) return;
      this.#vacate();
      for (const child of this.#everyone()) child.kill();
      await Promise.all(this.#everyone().map(({ exited }) => exited));
      throw error;
    }
  }

  /** Ends the gateway; see {@link Lifecycle.stop}. Called again it can only make it sooner. */
  stop(why: string, times: StopTimes = {}): void {
    const { logger } = this.#options;
    this.#lifecycle
      .stop(why, times, (graceMs, cut) => this.#drain(graceMs, cut))
      .catch((error: unknown) => logger.error({ err: error }, 'could not stop in order'))
      .then(this.#onEnded, this.#onEnded);
  }

  /**
   * Reads the configuration anew and replaces all children by such that have it.
   * What is wrong with it is logged, and then everything stays as it is.
   */
  async reload(why: string): Promise<void> {
    await this.#reload(why).all.catch(() => {
      // It is logged already.
    });
  }

  /** +1 logs more, -1 less, until the configuration names another level. */
  moveLogLevel(step: 1 | -1): void {
    this.#setLevel(nextLevel(this.#level, step));
  }

  get #state(): HostLifecycle {
    const { state, inMaintenance } = this.#lifecycle;
    return { state, inMaintenance, why: this.#why };
  }

  get #processes(): ReplaceableProcesses {
    const { sockets, workersOf } = this.#options;
    return {
      controller: this.#controller,
      workers: this.#workers,
      standby: this.#standby,
      sockets,
      workersOf,
      newWorker: (config) => this.#placeFor('worker', config),
      isEnding: () => this.#isEnding,
    };
  }

  async #answer(what: HostRequest): Promise<HostAnswer> {
    try {
      switch (what.kind) {
        case 'stop': {
          const { softTimeoutMs: timeout } = what;
          if (timeout === undefined) this.stop(what.why);
          else this.stop(what.why, timeout === 0 ? { pollInterval: 0, timeout } : { timeout });
          break;
        }
        case 'restart':
          await this.#replacements.ask(what.why).workers;
          break;
        case 'reload':
          await this.#reload(what.why).workers;
          break;
        case 'maintenance':
          if (!this.#lifecycle.maintain(what.on, what.why)) {
            return { ok: false, message: 'the gateway is stopping: start it again first' };
          }
      }
      return { ok: true, lifecycle: this.#state };
    } catch (error) {
      return { ok: false, message: (error as Error).message };
    }
  }

  #reload(why: string): Replacement {
    let config: Config;
    try {
      config = this.#options.readConfig();
    } catch (error) {
      this.#options.logger.error(
        { err: error },
        'the new configuration is not used; the one in effect stays',
      );
      const refused = Promise.reject(error);
      refused.catch(() => undefined);
      return { workers: refused, all: refused };
    }
    return this.#replacements.ask(why, config);
  }

  /** Rejects after it was logged why. */
  async #replace({ why, config: asked, onWorkers }: Run): Promise<void> {
    const { logger } = this.#options;
    const before = this.#config;
    try {
      if (asked !== undefined) this.#accept(asked, why);
      logger.info({ why }, 'replacing the processes');
      const replacement = new RollingReplacement(this.#processes, { before, asked, onWorkers });
      await this.#succeed(replacement, () => {
        if (asked !== undefined) this.#takeUp(asked, why);
      });
      await replacement.shutdowns();
    } catch (error) {
      logger.error({ err: error }, 'the processes were not all replaced; the configuration stays as it was');
      throw error;
    }
    logger.info({ why }, 'the processes are replaced');
  }

  async #succeed(replacement: RollingReplacement, onSuccess: () => void): Promise<void> {
    this.#isReplacing = true;
    try {
      // It is of the code and the configuration that are to be replaced.
      await this.#standby.discard();
      await replacement.run();
      onSuccess();
    } catch (error) {
      await this.#standby.discard();
      throw error;
    } finally {
      this.#isReplacing = false;
      this.#keepSpare();
    }
  }

  /** Throws, with every reason, where a reload cannot bring the configuration into effect. */
  #accept(config: Config, why: string): void {
    const { changes, refused } = reloadable(this.#config, config);
    if (refused.length > 0) {
      throw new Error(`stop the gateway and start it anew to change this:\n${refused.join('\n')}`);
    }
    this.#options.logger.info({ why, changes: changes.map(formatChange) }, 'new configuration');
  }

  /** Every child has the configuration. */
  #takeUp(config: Config, why: string): void {
    const before = this.#config;
    this.#config = config;
    if (config.logging.level !== before.logging.level) this.#setLevel(config.logging.level);
    // As with SAP Web Dispatcher: whoever has reloaded wants it to serve.
    this.#lifecycle.maintain(false, why);
  }

  async #drain(graceMs: number, cut: AbortSignal): Promise<void> {
    this.#isEnding = true;
    const spareGone = this.#standby.discard();
    this.#vacate();
    const workers = this.#registry.workers;
    cut.addEventListener('abort', () => {
      for (const worker of workers) worker.kill();
    });
    await Promise.all(workers.map((worker) => worker.end({ kind: 'drain', graceMs })));
    const leaveMs = cut.aborted ? HASTY_FAREWELL_MS : SHUTDOWN_MS;
    await this.#registry.controller?.end({ kind: 'leave', graceMs: leaveMs });
    await spareGone;
  }

  /** No child follows another any more, and no connection waits for one. */
  #vacate(): void {
    this.#controller.vacate();
    for (const place of this.#workers) place.vacate();
    this.#options.sockets.close();
  }

  /** Once everybody is there: it is not to take their time. */
  #keepSpare(): void {
    const { sockets } = this.#options;
    const places = [this.#controller, ...this.#workers];
    if (this.#isEnding || this.#isReplacing || places.some(({ holder }) => holder?.isReady !== true)) return;
    // That it did not load, it logs itself.
    this.#standby.keep(sockets.all(this.#config)).catch(() => undefined);
  }

  #everyone(): LiveProcess[] {
    const { controller, workers } = this.#registry;
    return controller === undefined ? workers : [controller, ...workers];
  }

  #setLevel(level: string): void {
    const { logger } = this.#options;
    const before = this.#level;
    if (level === before) return;
    const tell = (): void => logger.info({ before, level }, 'log level');
    // At whichever of the two lets it through.
    const isHeard = logger.isLevelEnabled('info');
    if (isHeard) tell();
    this.#level = level;
    logger.level = level;
    if (!isHeard) tell();
    this.#registry.broadcast({ kind: 'log-level', level });
  }

  #placeFor(role: 'controller' | 'worker', config: Config): ProcessSlot {
    const { logger, sockets } = this.#options;
    const start = (of: Config): LiveProcess => {
      const child = this.#registry.start(role, of, this.#standby.take(sockets.of(role, of)));
      child.ready.then(
        () => this.#keepSpare(),
        () => undefined,
      );
      return child;
    };
    const hasOthers = (): boolean =>
      role === 'worker' && this.#workers.some(({ holder }) => holder?.isReady === true);
    return new ProcessSlot(role, config, { start, hasOthers, logger });
  }
}
