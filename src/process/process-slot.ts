import type { ReadConfig } from '../config/read-config.ts';
import type { CrashRecord } from '../core/restart-backoff.ts';
import { delayOf, isCrashLoop, NO_CRASHES, recordExit } from '../core/restart-backoff.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ChildRole } from './messages.ts';
import type { LiveProcess } from './process-registry.ts';
import type { Restart } from './restart-queue.ts';

export interface ProcessSlotOptions {
  readonly start: (config: ReadConfig) => LiveProcess;
  /** Calls it when it is this slot's turn to replace a process that has ended. */
  readonly whenItsTurn: (restart: Restart) => void;
  /** Whether another ready process does the same work while this slot is empty. */
  readonly hasReadyPeers: () => boolean;
  readonly logger: Logger;
}

/**
 * Keeps one child running: restarts it when it exits, with exponential backoff and
 * without limit.
 */
export class ProcessSlot {
  readonly role: ChildRole;
  readonly #options: ProcessSlotOptions;
  /** The configuration of the next child. */
  #config: ReadConfig;
  #childConfig: ReadConfig | undefined;
  #child: LiveProcess | undefined;
  #crashes: CrashRecord = NO_CRASHES;
  #timer: NodeJS.Timeout | undefined;
  #restarts = true;

  constructor(role: ChildRole, config: ReadConfig, options: ProcessSlotOptions) {
    this.role = role;
    this.#config = config;
    this.#options = options;
  }

  get config(): ReadConfig {
    return this.#config;
  }

  /** The current child; undefined between an exit and the next start. */
  get child(): LiveProcess | undefined {
    return this.#child;
  }

  start(): LiveProcess {
    const child = this.#options.start(this.#config);
    this.#setChild(child, this.#config);
    return child;
  }

  /**
   * Starts a child with this configuration, makes it the current child when it is ready,
   * and returns the previous child, which keeps running. If the new child does not become
   * ready, rejects and leaves the slot as it was.
   */
  async replace(config: ReadConfig): Promise<LiveProcess | undefined> {
    const next = this.#options.start(config);
    await next.ready;
    const before = this.#child;
    this.#config = config;
    this.#setChild(next, config);
    return before;
  }

  /**
   * Returns the slot to an earlier configuration. The current child keeps serving until a
   * child with that configuration is ready, because a working child is better than none.
   * Retries with backoff until that succeeds or another child takes the slot.
   * Resolves after the first attempt.
   *
   * @param shutDown receives the replaced child, or a new one that became ready too late
   */
  async rollBack(config: ReadConfig, shutDown: (child: LiveProcess) => void): Promise<void> {
    this.#config = config;
    await this.#tryRollBack(config, shutDown, NO_CRASHES);
  }

  /** Stops restarting the child. Returns the child, which keeps running. */
  release(): LiveProcess | undefined {
    this.#restarts = false;
    clearTimeout(this.#timer);
    return this.#child;
  }

  /** After {@link release}: allows the next start, with this configuration. */
  reuse(config: ReadConfig): void {
    this.#restarts = true;
    this.#config = config;
  }

  async #tryRollBack(
    config: ReadConfig,
    shutDown: (child: LiveProcess) => void,
    failures: CrashRecord,
  ): Promise<void> {
    const since = performance.now();
    const next = this.#options.start(config);
    const isStillWanted = (): boolean =>
      this.#restarts && this.#config === config && this.#childConfig !== config;
    try {
      await next.ready;
    } catch (error) {
      const child = this.#child;
      // If the current child has exited meanwhile, the normal restart replaces it.
      if (!isStillWanted() || child === undefined) return;
      const failed = recordExit(failures, performance.now() - since);
      const delayMs = delayOf(failed, true);
      this.#options.logger.warn(
        {
          child: child.id,
          childPid: child.pid,
          how: (error as Error).message,
          count: failed.streak,
          delayMs,
        },
        `a ${this.role} still runs the configuration that was rolled back; retrying`,
      );
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#tryRollBack(config, shutDown, failed), delayMs);
      return;
    }
    const before = this.#child;
    if (!isStillWanted()) return shutDown(next);
    this.#setChild(next, config);
    if (before !== undefined) shutDown(before);
  }

  #setChild(child: LiveProcess, config: ReadConfig): void {
    clearTimeout(this.#timer);
    this.#child = child;
    this.#childConfig = config;
    const since = performance.now();
    void child.exited.then((how) => {
      if (this.#child === child) this.#onExit(child, how, performance.now() - since);
    });
  }

  #onExit({ id, pid }: LiveProcess, how: string, livedMs: number): void {
    this.#child = undefined;
    this.#childConfig = undefined;
    clearTimeout(this.#timer);
    if (!this.#restarts) return;
    this.#crashes = recordExit(this.#crashes, livedMs);
    const delayMs = delayOf(this.#crashes, this.#options.hasReadyPeers());
    const fields = { child: id, childPid: pid, how, livedMs: Math.round(livedMs), delayMs };
    if (isCrashLoop(this.#crashes)) {
      this.#options.logger.error(
        { ...fields, count: this.#crashes.streak },
        `crash loop: the ${this.role} ended ${this.#crashes.streak} times in a row soon after its start. It restarts without limit; look at what it logged before, check the configuration with "ici-gateway check", or reinstall the previous version`,
      );
    } else {
      this.#options.logger.warn(fields, `a ${this.role} ended unexpectedly and restarts`);
    }
    const restart = (): void => this.#options.whenItsTurn(() => this.#restart());
    if (delayMs === 0) restart();
    else this.#timer = setTimeout(restart, delayMs);
  }

  /** Undefined if another process has taken the slot meanwhile, or none may. */
  #restart(): LiveProcess | undefined {
    return this.#restarts && this.#child === undefined ? this.start() : undefined;
  }
}
