import { withRetiring } from '../config/retiring.ts';
import type { Config } from '../config/schema.ts';
import { explainBindError } from './explain-bind-error.ts';
import type { HostSockets } from './host-sockets.ts';
import type { ChildRole } from './messages.ts';
import type { LiveProcess } from './process-registry.ts';
import type { ProcessSlot } from './process-slot.ts';
import type { StandbyProcess } from './standby-process.ts';

// For a word to the ledger and an answer to whoever asked for the end: its own time limits are shorter.
export const SHUTDOWN_MS = 5_000;

/** Whose processes are replaced. */
export interface ReplaceableProcesses {
  readonly controller: ProcessSlot;
  /** Grows and shrinks with the number that the configuration asks for. */
  readonly workers: ProcessSlot[];
  readonly standby: StandbyProcess;
  readonly sockets: HostSockets;
  readonly workersOf: (config: Config) => number;
  readonly newWorker: (config: Config) => ProcessSlot;
  /** Nobody is started any more. */
  readonly isEnding: () => boolean;
}

export interface ReplacementPlan {
  /** The configuration in effect. */
  readonly before: Config;
  /** The one that is to come into effect; without it each child is followed by one of its own configuration. */
  readonly asked: Config | undefined;
  /** Called when the workers are replaced, before the controller is. */
  readonly onWorkers: () => void;
}

/**
 * Replaces every worker in turn, and the controller at last. At no moment are
 * there fewer workers than before. Rejects where one that follows does not get
 * ready; then a configuration that was asked for is not in effect anywhere, but
 * with workers whose followers do not get ready either: they serve until one does.
 */
export class RollingReplacement {
  readonly #processes: ReplaceableProcesses;
  readonly #plan: ReplacementPlan;
  readonly #were: ReadonlyMap<ProcessSlot, Config>;
  readonly #shutdowns: Promise<void>[] = [];
  #hasControllerEnded = false;

  constructor(processes: ReplaceableProcesses, plan: ReplacementPlan) {
    this.#processes = processes;
    this.#plan = plan;
    this.#were = new Map(processes.workers.map((place) => [place, place.config]));
  }

  /** Resolves when those who were replaced have answered what they had, and ended. */
  async shutdowns(): Promise<void> {
    await Promise.all(this.#shutdowns);
  }

  async run(): Promise<void> {
    const { workers, sockets, workersOf } = this.#processes;
    const { before, asked } = this.#plan;
    const config = asked ?? before;
    this.#refuseWhileEnding();
    await sockets.ensure(config).catch((error: unknown) => {
      throw explainBindError(error, config);
    });
    try {
      await this.#replaceWorkers(config);
      await this.#replaceController(config);
    } catch (error) {
      await this.#goBack();
      sockets.keepOnly(before);
      throw error;
    }
    for (const place of workers.splice(workersOf(config))) this.#drain(place.vacate());
    // Nobody accepts there any more: whoever still comes is refused, and need not wait for nothing.
    sockets.keepOnly(config);
  }

  async #replaceWorkers(config: Config): Promise<void> {
    const { workers, standby, sockets, workersOf, newWorker } = this.#processes;
    const { before, asked } = this.#plan;
    // Kept by those who follow after a reload, until another one: other gateways may still have the instances.
    const ofWorkers = asked === undefined ? undefined : withRetiring(before, asked);
    const count = workersOf(config);
    for (const place of workers.slice(0, count)) {
      this.#refuseWhileEnding();
      this.#drain(await started(place.role, place.succeed(ofWorkers ?? place.config)));
    }
    while (workers.length < count) {
      this.#refuseWhileEnding();
      const place = newWorker(ofWorkers ?? config);
      await started(place.role, place.succeed(place.config));
      workers.push(place);
      // All others were vacated when the gateway was told to stop; this one was not among them yet.
      if (this.#processes.isEnding()) place.vacate();
    }
    // The admin plane is away from when the old controller ends until the new one is there: it shall have loaded by then.
    this.#refuseWhileEnding();
    await standby.keep(sockets.all(config));
  }

  async #replaceController(config: Config): Promise<void> {
    const { controller } = this.#processes;
    this.#plan.onWorkers();
    // Whoever asked is answered by way of the controller, so the answer goes out before that is told to end.
    await new Promise((resolve) => setImmediate(resolve));
    this.#hasControllerEnded = true;
    await controller.vacate()?.end({ kind: 'handover', graceMs: SHUTDOWN_MS });
    this.#refuseWhileEnding();
    controller.reopen(config);
    await started(controller.role, controller.fill().ready);
  }

  /** What began with the new configuration is followed by such as have the one in effect, at once or later. */
  async #goBack(): Promise<void> {
    const { controller, workers } = this.#processes;
    const { before, asked } = this.#plan;
    // Without another configuration there is nothing to go back to: the next one is tried again, and again.
    if (asked === undefined || this.#processes.isEnding()) return;
    if (this.#hasControllerEnded) {
      const failed = controller.vacate();
      failed?.kill();
      await failed?.exited;
      if (this.#processes.isEnding()) return;
      controller.reopen(before);
      // Where not even that one gets ready, it is followed by others; the workers are to go back all the same.
      await controller.fill().ready.catch(() => undefined);
    }
    for (const place of workers.splice(this.#were.size)) this.#drain(place.vacate());
    for (const place of workers) {
      const was = this.#were.get(place);
      if (was === undefined || place.config === was) continue;
      if (this.#processes.isEnding()) return;
      await place.bringBack(was, (child) => this.#drain(child));
    }
  }

  #drain(worker: LiveProcess | undefined): void {
    const { shutdownTimeout: graceMs } = this.#plan.before.lifecycle;
    if (worker !== undefined) this.#shutdowns.push(worker.end({ kind: 'drain', graceMs }));
  }

  #refuseWhileEnding(): void {
    if (this.#processes.isEnding()) throw new Error('the gateway is stopping: start it again instead');
  }
}

/** For whoever asked: what a child says that cannot start does not say who says it. */
async function started<T>(role: ChildRole, outcome: Promise<T>): Promise<T> {
  try {
    return await outcome;
  } catch (error) {
    // Without a cause: the log would say its message twice.
    throw new Error(`a new ${role} does not start: ${(error as Error).message}`);
  }
}
