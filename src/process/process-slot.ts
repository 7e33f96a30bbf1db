import type { Config } from '../config/schema.ts';
import type { CrashRecord } from '../core/restart-backoff.ts';
import { delayOf, isCrashLoop, NO_CRASHES, recordDeath } from '../core/restart-backoff.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ChildRole } from './messages.ts';
import type { LiveProcess } from './process-registry.ts';

export interface ProcessSlotOptions {
  readonly start: (config: Config) => LiveProcess;
  /** Whether somebody else who is ready does the same work, now that the holder has died. */
  readonly hasOthers: () => boolean;
  readonly logger: Logger;
}

/**
 * A place that is always taken: whoever holds it is replaced when he dies,
 * later and later where that does not help, and never given up.
 */
export class ProcessSlot {
  readonly role: ChildRole;
  readonly #options: ProcessSlotOptions;
  /** Of whoever takes the place next. */
  #config: Config;
  #heldConfig: Config | undefined;
  #holder: LiveProcess | undefined;
  #crashes: CrashRecord = NO_CRASHES;
  #timer: NodeJS.Timeout | undefined;
  #isKept = true;

  constructor(role: ChildRole, config: Config, options: ProcessSlotOptions) {
    this.role = role;
    this.#config = config;
    this.#options = options;
  }

  get config(): Config {
    return this.#config;
  }

  /** Undefined between a death and the successor's start. */
  get holder(): LiveProcess | undefined {
    return this.#holder;
  }

  fill(): LiveProcess {
    const child = this.#options.start(this.#config);
    this.#take(child, this.#config);
    return child;
  }

  /**
   * Gives the place to a child of this configuration and returns who had it
   * before, who lives on. Rejects, and then the place stays as it was, when the new
   * one does not get ready.
   */
  async succeed(config: Config): Promise<LiveProcess | undefined> {
    const fresh = this.#options.start(config);
    await fresh.ready;
    const before = this.#holder;
    this.#config = config;
    this.#take(fresh, config);
    return before;
  }

  /**
   * From now on the place is meant for children of this configuration. Whoever has it
   * keeps it until one of them is ready: what serves is better than nobody. That is
   * tried again, later and later, until it succeeds or somebody else takes the place.
   * Resolves after the first time.
   *
   * @param leave told who had the place before, or came too late for it
   */
  async bringBack(config: Config, leave: (child: LiveProcess) => void): Promise<void> {
    this.#config = config;
    await this.#tryToBringBack(config, leave, NO_CRASHES);
  }

  /** Nobody follows the holder from now on. Returns him. */
  vacate(): LiveProcess | undefined {
    this.#isKept = false;
    clearTimeout(this.#timer);
    return this.#holder;
  }

  /** After {@link vacate}: the next one may be filled in. */
  reopen(config: Config): void {
    this.#isKept = true;
    this.#config = config;
  }

  async #tryToBringBack(
    config: Config,
    leave: (child: LiveProcess) => void,
    failures: CrashRecord,
  ): Promise<void> {
    const since = performance.now();
    const fresh = this.#options.start(config);
    const isWanted = (): boolean => this.#isKept && this.#config === config && this.#heldConfig !== config;
    try {
      await fresh.ready;
    } catch (error) {
      const holder = this.#holder;
      // Whoever is dead is followed as always.
      if (!isWanted() || holder === undefined) return;
      const failed = recordDeath(failures, performance.now() - since);
      const delayMs = delayOf(failed, true);
      this.#options.logger.warn(
        {
          child: holder.id,
          childPid: holder.pid,
          how: (error as Error).message,
          count: failed.streak,
          delayMs,
        },
        `a ${this.role} keeps the configuration that was taken back until one with that in effect starts, which is tried again`,
      );
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#tryToBringBack(config, leave, failed), delayMs);
      return;
    }
    const before = this.#holder;
    if (!isWanted()) return leave(fresh);
    this.#take(fresh, config);
    if (before !== undefined) leave(before);
  }

  #take(child: LiveProcess, config: Config): void {
    clearTimeout(this.#timer);
    this.#holder = child;
    this.#heldConfig = config;
    const since = performance.now();
    void child.exited.then((how) => {
      if (this.#holder === child) this.#onDeath(child, how, performance.now() - since);
    });
  }

  #onDeath({ id, pid }: LiveProcess, how: string, livedMs: number): void {
    this.#holder = undefined;
    this.#heldConfig = undefined;
    clearTimeout(this.#timer);
    if (!this.#isKept) return;
    this.#crashes = recordDeath(this.#crashes, livedMs);
    const delayMs = delayOf(this.#crashes, this.#options.hasOthers());
    const fields = { child: id, childPid: pid, how, livedMs: Math.round(livedMs), delayMs };
    if (isCrashLoop(this.#crashes)) {
      this.#options.logger.error(
        { ...fields, count: this.#crashes.streak },
        `crash loop: the ${this.role} ended ${this.#crashes.streak} times in a row soon after its start. It is tried again without end; look at what it logged before, check the configuration with "ici-gateway check", or put the last version back`,
      );
    } else {
      this.#options.logger.warn(fields, `a ${this.role} ended unexpectedly and is started again`);
    }
    if (delayMs === 0) this.fill();
    else this.#timer = setTimeout(() => this.fill(), delayMs);
  }
}
