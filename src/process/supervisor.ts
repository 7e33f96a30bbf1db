import { randomBytes } from 'node:crypto';
import type { ReloadPreview } from '../config/preview.ts';
import type { ReadAgain, ReadConfig } from '../config/read-config.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../telemetry/logger.ts';
import { nextLevel } from '../telemetry/logger.ts';
import type { StartChild } from './child-port.ts';
import type { HostSockets } from './host-sockets.ts';
import type { StopTimes } from './lifecycle-driver.ts';
import { Lifecycle } from './lifecycle-driver.ts';
import type { HostAnswer, HostLifecycle, HostRequest, SocketName } from './messages.ts';
import { WORKER_SOCKETS } from './messages.ts';
import type { LiveProcess } from './process-registry.ts';
import { ProcessRegistry } from './process-registry.ts';
import { ProcessSlot } from './process-slot.ts';
import type { Run } from './replacement-queue.ts';
import { ReplacementQueue } from './replacement-queue.ts';
import type { Restart } from './restart-queue.ts';
import { RestartQueue } from './restart-queue.ts';
import type { ReplaceableProcesses } from './rolling-replacement.ts';
import { RollingReplacement, SHUTDOWN_MS } from './rolling-replacement.ts';
import { StandbyProcess } from './standby-process.ts';
import { Watchdog } from './watchdog.ts';

export interface SupervisorOptions {
  readonly read: ReadConfig;
  /** The name of this gateway among its peers. */
  readonly replica: string;
  readonly workersOf: (config: Config) => number;
  /** Reads the configuration again, and compares it. Rejects with an error that lists all problems if it is invalid. */
  readonly readConfig: (inEffect: Config) => Promise<ReadAgain>;
  /** Reads the configuration, and prints no warnings: nothing follows from it. */
  readonly previewReload: (inEffect: Config) => Promise<ReloadPreview>;
  readonly startChild: StartChild;
  readonly sockets: HostSockets;
  readonly logger: Logger;
}

// A child that takes longer hangs: starting took a twentieth of this on a machine with all cores busy.
const READY_MS = 30_000;
// After an abort, the caller of a stop does not wait longer than this (`Drain`).
const FORCED_SHUTDOWN_MS = 500;

/**
 * Keeps a gateway running: it holds the listening sockets, restarts the controller
 * and the workers, and relays their messages. It never handles a request, so no
 * request can make it fail.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #registry: ProcessRegistry;
  readonly #lifecycle: Lifecycle;
  readonly #controller: ProcessSlot;
  readonly #workers: ProcessSlot[] = [];
  readonly #standby: StandbyProcess;
  readonly #restarts = new RestartQueue();
  readonly #replacements = new ReplacementQueue((run) => this.#replace(run));
  readonly #startedAt = Date.now();
  #read: ReadConfig;
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
    const { read, logger, replica, sockets } = options;
    const { config } = read;
    this.#read = read;
    this.#level = config.logging.level;
    // The same for all children and their successors.
    const secret = randomBytes(32).toString('base64');
    const times = (): Config['lifecycle'] => this.#config.lifecycle;
    this.#lifecycle = new Lifecycle({
      maxInitTime: config.lifecycle.maxInitTime,
      // Read on use, so that a reload takes effect.
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
    this.#controller = this.#newSlot('controller', read);
    const watchdog = new Watchdog({
      children: () => this.#allChildren(),
      timeoutMs: () => this.#config.lifecycle.watchdogTimeout,
      logger,
    });
    void this.ended.then(() => watchdog.stop());
  }

  /** The bound address, such as `127.0.0.1:8080`; undefined if the gateway does not listen on that socket. */
  addressOf(name: SocketName): string | undefined {
    const { sockets } = this.#options;
    return sockets.of(WORKER_SOCKETS.has(name) ? 'worker' : 'controller', this.#config)[name]?.address;
  }

  /**
   * Binds the sockets and starts all children. Resolves when all are ready, or when a
   * stop was requested meanwhile. If one cannot start, ends all of them and rejects, so that
   * the operator who starts the gateway sees the failure.
   */
  async start(): Promise<void> {
    const { sockets, workersOf } = this.#options;
    await sockets.ensure(this.#config);
    // The stop came before any child existed: only the sockets bound meanwhile are left to close.
    if (this.#isEnding) {
      sockets.close();
      return;
    }
    const children = [this.#controller.start()];
    while (this.#workers.length < workersOf(this.#config)) {
      const slot = this.#newSlot('worker', this.#read);
      this.#workers.push(slot);
      children.push(slot.start());
    }
    try {
      await Promise.all(children.map(({ ready }) => ready));
    } catch (error) {
      if (this.#isEnding) return;
      this.#releaseSlots();
      for (const child of this.#allChildren()) child.kill();
      await Promise.all(this.#allChildren().map(({ exited }) => exited));
      throw error;
    }
  }

  /** Stops the gateway; see {@link Lifecycle.stop}. A second call can only shorten the stop. */
  stop(why: string, times: StopTimes = {}): void {
    const { logger } = this.#options;
    this.#lifecycle
      .stop(why, times, (graceMs, cut) => this.#drain(graceMs, cut))
      .catch((error: unknown) => logger.error({ err: error }, 'an error occurred while stopping'))
      .then(this.#onEnded, this.#onEnded);
  }

  /**
   * Reloads the configuration and replaces all children. If the configuration is
   * invalid, logs the problems and changes nothing.
   */
  async reload(why: string): Promise<void> {
    await this.#replacements.ask(why, true).all.catch(() => {
      // The failure is already logged.
    });
  }

  /** +1 logs more, -1 less, until a reload changes the configured level. */
  moveLogLevel(step: 1 | -1): void {
    this.#setLevel(nextLevel(this.#level, step));
  }

  get #config(): Config {
    return this.#read.config;
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
      newWorker: (config) => this.#newSlot('worker', config),
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
          await this.#replacements.ask(what.why, false).workers;
          break;
        case 'reload':
          await this.#replacements.ask(what.why, true).workers;
          break;
        case 'preview-reload': {
          const preview = await this.#options.previewReload(this.#config);
          return { ok: true, lifecycle: this.#state, preview };
        }
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

  /** Logs the reason before it rejects. */
  async #replace({ why, isReload, onWorkers }: Run): Promise<void> {
    const { logger } = this.#options;
    const before = this.#read;
    const asked = isReload ? await this.#readAgain() : undefined;
    try {
      if (asked !== undefined) this.#checkReloadable(asked, why);
      logger.info({ why }, 'replacing the processes');
      const replacement = new RollingReplacement(this.#processes, { before, asked, onWorkers });
      await this.#runReplacement(replacement, () => {
        if (asked !== undefined) this.#commitConfig(asked, why);
      });
      await replacement.shutdowns();
    } catch (error) {
      logger.error({ err: error }, 'the processes were not all replaced; the configuration stays as it was');
      throw error;
    }
    logger.info({ why }, 'the processes are replaced');
  }

  async #runReplacement(replacement: RollingReplacement, onSuccess: () => void): Promise<void> {
    this.#isReplacing = true;
    try {
      // The standby process has the old code and the old sockets.
      await this.#standby.discard();
      await replacement.run();
      onSuccess();
    } catch (error) {
      await this.#standby.discard();
      throw error;
    } finally {
      this.#isReplacing = false;
      this.#keepStandby();
    }
  }

  async #readAgain(): Promise<ReadAgain> {
    try {
      return await this.#options.readConfig(this.#config);
    } catch (error) {
      this.#options.logger.error(
        { err: error },
        'the new configuration is rejected; the current one stays in effect',
      );
      throw error;
    }
  }

  /** Throws an error with all reasons if a reload cannot apply the configuration. */
  #checkReloadable({ reload: { changes, refused } }: ReadAgain, why: string): void {
    if (refused.length > 0) {
      throw new Error(`stop the gateway and start it again to change this:\n${refused.join('\n')}`);
    }
    this.#options.logger.info({ why, changes }, 'new configuration');
  }

  /** Makes the configuration the current one, once every child has it. */
  #commitConfig({ reload: { changes }, ...read }: ReadAgain, why: string): void {
    const before = this.#config.logging.level;
    this.#read = read;
    this.#registry.broadcast({ kind: 'reloaded', why, changes });
    const { level } = this.#config.logging;
    if (level !== before) this.#setLevel(level);
    // As with SAP Web Dispatcher, a reload ends maintenance.
    this.#lifecycle.maintain(false, why);
  }

  async #drain(graceMs: number, cut: AbortSignal): Promise<void> {
    this.#isEnding = true;
    const standbyExited = this.#standby.discard();
    this.#releaseSlots();
    const workers = this.#registry.workers;
    cut.addEventListener('abort', () => {
      for (const worker of workers) worker.kill();
    });
    await Promise.all(workers.map((worker) => worker.end({ kind: 'drain', graceMs })));
    const leaveMs = cut.aborted ? FORCED_SHUTDOWN_MS : SHUTDOWN_MS;
    await this.#registry.controller?.end({ kind: 'leave', graceMs: leaveMs });
    await standbyExited;
  }

  /** Stops restarting children and closes the sockets, so that no new connection waits for a child. */
  #releaseSlots(): void {
    this.#controller.release();
    for (const slot of this.#workers) slot.release();
    this.#options.sockets.close();
  }

  /** Starts a standby process once all children are ready, so that it does not slow down their start. */
  #keepStandby(): void {
    const { sockets } = this.#options;
    const slots = [this.#controller, ...this.#workers];
    if (this.#isEnding || this.#isReplacing || slots.some(({ child }) => child?.isReady !== true)) return;
    // StandbyProcess logs a failure itself.
    this.#standby.keep(sockets.all(this.#config)).catch(() => undefined);
  }

  #allChildren(): LiveProcess[] {
    const { controller, workers } = this.#registry;
    return controller === undefined ? workers : [controller, ...workers];
  }

  #setLevel(level: string): void {
    const { logger } = this.#options;
    const before = this.#level;
    if (level === before) return;
    const logChange = (): void => logger.info({ before, level }, 'log level');
    // Log the change before or after it, at whichever level lets the message through.
    const isLogged = logger.isLevelEnabled('info');
    if (isLogged) logChange();
    this.#level = level;
    logger.level = level;
    if (!isLogged) logChange();
    this.#registry.broadcast({ kind: 'log-level', level });
  }

  #newSlot(role: 'controller' | 'worker', read: ReadConfig): ProcessSlot {
    const { logger, sockets } = this.#options;
    const start = (of: ReadConfig): LiveProcess => {
      const child = this.#registry.start(role, of, this.#standby.take(sockets.of(role, of.config)));
      child.ready.then(
        () => this.#keepStandby(),
        () => undefined,
      );
      return child;
    };
    const hasReadyPeers = (): boolean =>
      role === 'worker' && this.#workers.some(({ child }) => child?.isReady === true);
    const whenItsTurn = (restart: Restart): void => this.#restarts.add(role, restart);
    return new ProcessSlot(role, read, { start, whenItsTurn, hasReadyPeers, logger });
  }
}
