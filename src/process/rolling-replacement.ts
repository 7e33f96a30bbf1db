import type { ReadConfig } from '../config/read-config.ts';
import { withRetiring } from '../config/retiring.ts';
import type { Config } from '../config/schema.ts';
import { explainStartError } from './explain-start-error.ts';
import type { HostSockets } from './host-sockets.ts';
import type { ChildRole } from './messages.ts';
import type { LiveProcess } from './process-registry.ts';
import type { ProcessSlot } from './process-slot.ts';
import type { StandbyProcess } from './standby-process.ts';

// Enough for a last message to the view store and an answer to the operator: their own time limits are shorter.
export const SHUTDOWN_MS = 5_000;

/** The processes of the gateway, as the replacement needs them. */
export interface ReplaceableProcesses {
  readonly controller: ProcessSlot;
  /** Grows and shrinks with the configured number of workers. */
  readonly workers: ProcessSlot[];
  readonly standby: StandbyProcess;
  readonly sockets: HostSockets;
  readonly workersOf: (config: Config) => number;
  readonly newWorker: (config: ReadConfig) => ProcessSlot;
  /** The gateway is stopping: no process may start any more. */
  readonly isEnding: () => boolean;
}

export interface ReplacementPlan {
  /** The configuration in effect. */
  readonly before: ReadConfig;
  /** The requested configuration. Without it each child's successor gets the same configuration as the child. */
  readonly asked: ReadConfig | undefined;
  /** Called when the workers are replaced, before the controller is. */
  readonly onWorkers: () => void;
}

/**
 * Replaces the workers one at a time, then the controller. There are never fewer
 * workers than before. If a new process does not become ready, it rolls back to the
 * configuration in effect and rejects. A worker whose rollback fails keeps the requested
 * configuration and serves until a process with the old one becomes ready.
 */
export class RollingReplacement {
  readonly #processes: ReplaceableProcesses;
  readonly #plan: ReplacementPlan;
  readonly #originalConfigs: ReadonlyMap<ProcessSlot, ReadConfig>;
  readonly #shutdowns: Promise<void>[] = [];
  #hasControllerEnded = false;

  constructor(processes: ReplaceableProcesses, plan: ReplacementPlan) {
    this.#processes = processes;
    this.#plan = plan;
    this.#originalConfigs = new Map(processes.workers.map((slot) => [slot, slot.config]));
  }

  /** Resolves when all replaced processes have answered their pending requests and ended. */
  async shutdowns(): Promise<void> {
    await Promise.all(this.#shutdowns);
  }

  async run(): Promise<void> {
    const { workers, sockets, workersOf } = this.#processes;
    const { before, asked } = this.#plan;
    const config = asked ?? before;
    this.#refuseWhileEnding();
    await sockets.ensure(config.config).catch((error: unknown) => {
      throw explainStartError(error, config.config);
    });
    try {
      await this.#replaceWorkers(config);
      await this.#replaceController(config);
    } catch (error) {
      await this.#rollBack();
      sockets.keepOnly(before.config);
      throw error;
    }
    for (const slot of workers.splice(workersOf(config.config))) this.#drain(slot.release());
    // Nothing accepts on removed addresses any more: closing them refuses new connections instead of letting them wait.
    sockets.keepOnly(config.config);
  }

  async #replaceWorkers(config: ReadConfig): Promise<void> {
    const { workers, standby, sockets, workersOf, newWorker } = this.#processes;
    const { before, asked } = this.#plan;
    // After a reload the workers keep removed instances until the next reload: other gateways may still use them.
    const ofWorkers =
      asked === undefined ? undefined : { ...asked, config: withRetiring(before.config, asked.config) };
    const count = workersOf(config.config);
    for (const slot of workers.slice(0, count)) {
      this.#refuseWhileEnding();
      this.#drain(await explainStartFailure(slot.role, slot.replace(ofWorkers ?? slot.config)));
    }
    while (workers.length < count) {
      this.#refuseWhileEnding();
      const slot = newWorker(ofWorkers ?? config);
      await explainStartFailure(slot.role, slot.replace(slot.config));
      workers.push(slot);
      // A stop releases all known slots; this one was not among them yet.
      if (this.#processes.isEnding()) slot.release();
    }
    // The admin API is unavailable between the end of the old controller and the start of the new one. A loaded standby
    // process shortens that gap.
    this.#refuseWhileEnding();
    await standby.keep(sockets.all(config.config));
  }

  async #replaceController(config: ReadConfig): Promise<void> {
    const { controller } = this.#processes;
    this.#plan.onWorkers();
    // The controller delivers the answer to the operator, so the answer must go out before the shutdown command.
    await new Promise((resolve) => setImmediate(resolve));
    this.#hasControllerEnded = true;
    await controller.release()?.end({ kind: 'handover', graceMs: SHUTDOWN_MS });
    this.#refuseWhileEnding();
    controller.reuse(config);
    await explainStartFailure(controller.role, controller.start().ready);
  }

  /** Replaces each process that started with the requested configuration by one with the configuration in effect. */
  async #rollBack(): Promise<void> {
    const { controller, workers } = this.#processes;
    const { before, asked } = this.#plan;
    // Without a requested configuration there is nothing to roll back: the slots restart their children as usual.
    if (asked === undefined || this.#processes.isEnding()) return;
    if (this.#hasControllerEnded) {
      const failed = controller.release();
      failed?.kill();
      await failed?.exited;
      if (this.#processes.isEnding()) return;
      controller.reuse(before);
      // If that controller does not become ready either, its slot restarts it; the workers still roll back.
      await controller.start().ready.catch(() => undefined);
    }
    for (const slot of workers.splice(this.#originalConfigs.size)) this.#drain(slot.release());
    for (const slot of workers) {
      const original = this.#originalConfigs.get(slot);
      if (original === undefined || slot.config === original) continue;
      if (this.#processes.isEnding()) return;
      await slot.rollBack(original, (child) => this.#drain(child));
    }
  }

  #drain(worker: LiveProcess | undefined): void {
    const { shutdownTimeout: graceMs } = this.#plan.before.config.lifecycle;
    if (worker !== undefined) this.#shutdowns.push(worker.end({ kind: 'drain', graceMs }));
  }

  #refuseWhileEnding(): void {
    if (this.#processes.isEnding()) throw new Error('the gateway is stopping: start it again instead');
  }
}

/** Adds the role to the error for the operator: the child's own message does not name it. */
async function explainStartFailure<T>(role: ChildRole, outcome: Promise<T>): Promise<T> {
  try {
    return await outcome;
  } catch (error) {
    // No cause: the log would repeat its message.
    throw new Error(`a new ${role} does not start: ${(error as Error).message}`);
  }
}
