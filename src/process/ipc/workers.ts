import type { InstanceId } from '../../core/instance.ts';
import { StoreUnavailable } from '../../core/ports.ts';
import type { Parts } from '../../core/view/agreed-config.ts';
import type { Knowledge } from '../../core/view/replica-options.ts';
import type { RoutingStateSnapshot } from '../../core/view/routing-state-copy.ts';
import type { Unanswered } from '../../core/view/store-outage.ts';
import type { HostChannel, HostEvent, WorkerId } from '../messages.ts';
import type { CallMessage } from './calls.ts';
import { Calls } from './calls.ts';
import { HOST_CLOCK_OFFSET_MS } from './host-clock.ts';
import type { ControllerCalls, ToController, ToWorker, WorkerLoad } from './messages.ts';
import type { PoolLoad } from './pool-load.ts';
import { sumOf, UNHEARD } from './pool-load.ts';
import type { Totals } from './totals.ts';
import { ViewAckTracker } from './view-ack-tracker.ts';

/** What the workers ask of the controller about one pool. */
export interface CoordinatorPort {
  readonly snapshot: RoutingStateSnapshot;
  /** Every worker has adopted the view, or acts on nothing any more. */
  confirm(viewId: string): void;
  suspect(instance: InstanceId): void;
  renew(): Promise<void>;
  /** @param claim by the clock of this process */
  storeFailed(claim: Unanswered): Promise<void>;
  counts(): ReadonlyMap<InstanceId, number>;
  addresses?(): ReadonlyMap<InstanceId, readonly string[]>;
  knowledge(): Knowledge;
}

export interface WorkersOptions {
  readonly send: (to: WorkerId | 'workers', body: ToWorker | CallMessage) => void;
  /** How long a bulletin may be acted on at most, in ms, whatever lease the gateway has. */
  readonly leaseMs: number;
  /** After how long a silent worker is killed, in ms; 0: never. */
  readonly watchdogMs: number;
  readonly onMetrics: (worker: WorkerId, metrics: readonly unknown[]) => void;
  readonly onGone: (worker: WorkerId) => void;
  /** A worker is there, and this is what an earlier controller has told it to keep. */
  readonly onHello: (worker: WorkerId, totals: Totals | undefined) => void;
  /** What else a worker may call. */
  readonly methodsFor?: (worker: WorkerId) => object;
}

interface Worker {
  readonly id: WorkerId;
  readonly calls: Calls;
  hasSaidHello: boolean;
  load: WorkerLoad | undefined;
  parts: ReadonlyMap<string, Parts> | undefined;
  /** How many messages have come from it. */
  heard: number;
}

// Many bindings take long to write back, even by a worker that is well.
const WRITE_BACK_MS = 30_000;
// A worker tells of its load several times a second. One that hangs is killed by the watchdog, which is heard as its end;
// it is waited for until then, and for some time more: it may have placed agents alone, which no other process knows of.
const KILLED_WITHIN_MS = 2_000;
const SILENCE_LOOKS = 8;
const METRICS_MS = 500;

/**
 * The workers of this host, as the controller deals with them: who is there, what
 * each may act on and until when, and what all of them together are doing.
 */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #workers = new Map<WorkerId, Worker>();
  readonly #coordinators = new Map<string, CoordinatorPort>();
  readonly #adoptions = new Map<string, ViewAckTracker>();
  /** Workers that may act on what an earlier controller has told them, and until when. */
  readonly #inherited = new Map<WorkerId, number>();
  readonly #begun = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #knowledge = new Map<string, Knowledge>();
  #onHello: () => void = () => {};

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  /**
   * Asks those who outlived an earlier controller what they know. Resolves when
   * all have said so, or when the time is over.
   */
  async meet(earlier: readonly WorkerId[], limitMs: number): Promise<ReadonlyMap<string, Knowledge>> {
    for (const id of earlier) this.started(id, true);
    if (earlier.length > 0) {
      this.#options.send('workers', { kind: 'who' });
      await new Promise<void>((resolve) => {
        // After the next look at the channel, as for a call.
        const timer = setTimeout(() => setImmediate(resolve), limitMs);
        this.#onHello = () => {
          if ([...this.#workers.values()].some(({ hasSaidHello }) => !hasSaidHello)) return;
          clearTimeout(timer);
          resolve();
        };
        this.#onHello();
      });
    }
    return this.#knowledge;
  }

  /**
   * Hears who comes and goes, and what they say.
   *
   * @param onEvent is told of every event first
   */
  listen(channel: Pick<HostChannel, 'onEvent' | 'onMessage'>, onEvent: (event: HostEvent) => void): void {
    // In the order in which things are true also of what has waited: who came, what was said, and only then who went.
    // What a worker counted is known from its last words.
    const gone: WorkerId[] = [];
    let hasWaited = true;
    channel.onEvent((event) => {
      onEvent(event);
      if (event.kind === 'worker-started') this.started(event.worker.id as WorkerId);
      if (event.kind !== 'worker-gone') return;
      if (hasWaited) gone.push(event.worker.id as WorkerId);
      else this.gone(event.worker.id as WorkerId);
    });
    channel.onMessage((body, from) => {
      if (from !== 'controller') this.take(from, body as ToController | CallMessage);
    });
    hasWaited = false;
    for (const id of gone) this.gone(id);
  }

  /** Given once for each pool, before anything is published. */
  addPool(pool: string, coordinator: CoordinatorPort): void {
    this.#coordinators.set(pool, coordinator);
  }

  /** @param mayHold it may act on what an earlier controller has told it */
  started(id: WorkerId, mayHold = false): void {
    if (this.#workers.has(id)) return;
    const send = (message: CallMessage): void => this.#options.send(id, message);
    const calls = new Calls(send, this.#methods(), this.#options.methodsFor?.(id) ?? {});
    this.#workers.set(id, {
      id,
      calls,
      hasSaidHello: false,
      load: undefined,
      parts: undefined,
      heard: 0,
    });
    if (mayHold) this.#inherited.set(id, performance.now() + this.#options.leaseMs);
  }

  gone(id: WorkerId): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.#workers.delete(id);
    worker.calls.fail(`${id} has ended`);
    this.#options.onGone(id);
    for (const [pool, adoption] of this.#adoptions) {
      adoption.forget(id);
      this.#confirm(pool);
    }
    this.#onHello();
  }

  take(id: WorkerId, message: ToController | CallMessage): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.heard += 1;
    if (worker.calls.take(message)) return;
    this.#hear(worker, message as ToController);
  }

  /** Tells all workers what they may act on now. */
  publish(pool: string): void {
    for (const id of this.#workers.keys()) this.#tell(id, pool);
    this.#confirm(pool);
  }

  /** Until when some worker may act on what it was told, in monotonic ms of this process. */
  mayActUntil(pool: string): number {
    return this.#adoption(pool).mayActUntil(this.#workers.keys());
  }

  reassure(pool: string): void {
    this.#options.send('workers', { kind: 'reassured', pool });
  }

  /** Has every worker write back what it knows. One that hangs is waited for until it should have been killed. */
  async writeBack(pool: string, life: string): Promise<void> {
    const silenceMs = this.#options.watchdogMs + KILLED_WITHIN_MS;
    await Promise.all(
      [...this.#workers.values()].map((worker) => writtenBack(worker, pool, life, silenceMs)),
    );
  }

  /** The newest metrics of every live worker that answers in time. */
  async refreshMetrics(): Promise<void> {
    await Promise.all(
      [...this.#workers.values()].map(async ({ id, calls }) => {
        const metrics = await calls.call('metrics', [], METRICS_MS).catch(() => undefined);
        if (metrics !== undefined && this.#workers.has(id))
          this.#options.onMetrics(id, metrics as readonly unknown[]);
      }),
    );
  }

  /** To all but one. */
  tellOthers(than: WorkerId, message: ToWorker): void {
    for (const id of this.#workers.keys()) if (id !== than) this.#options.send(id, message);
  }

  get size(): number {
    return this.#workers.size;
  }

  get inFlight(): number {
    let sum = 0;
    for (const { load } of this.#workers.values()) sum += load?.inFlight ?? 0;
    return sum;
  }

  /**
   * Of those who have the pool. While there is nobody, and until each has told of its own for the first time, it counts
   * neither as idle nor as mirrored: a controller that has just started would move agents who are at work.
   */
  load(pool: string): PoolLoad {
    const workers = [...this.#workers.values()];
    const sum = sumOf(workers.flatMap(({ load }) => load?.pools.get(pool) ?? []));
    const isHeard = workers.length > 0 && workers.every(({ load }) => load !== undefined);
    return isHeard ? sum : { ...sum, ...UNHEARD };
  }

  /**
   * The configuration of the pool that the oldest worker has, which may be another than the controller's until it has
   * ended; `undefined` where it is not known.
   */
  oldestParts(pool: string): Parts | undefined {
    let oldest: Worker | undefined;
    for (const worker of this.#workers.values())
      if (worker.parts !== undefined && (oldest === undefined || numberOf(worker) < numberOf(oldest)))
        oldest = worker;
    return oldest?.parts?.get(pool);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const { calls } of this.#workers.values()) calls.fail('the controller ends');
  }

  #hear(worker: Worker, message: ToController): void {
    switch (message.kind) {
      case 'hello':
        worker.hasSaidHello = true;
        worker.parts = message.parts;
        this.#options.onHello(worker.id, message.totals);
        for (const [pool, knowledge] of message.knowledge) {
          this.#remember(pool, knowledge);
          // Both come from the last bulletin of an earlier controller.
          this.#adoption(pool).adopted(worker.id, knowledge.agreed.id);
        }
        this.#onHello();
        this.#introduce(worker.id);
        break;
      case 'adopted':
        this.#adoption(message.pool).adopted(worker.id, message.viewId);
        this.#confirm(message.pool);
        break;
      case 'suspect':
        this.#coordinators.get(message.pool)?.suspect(message.instance);
        break;
      case 'load':
        worker.load = message.load;
        break;
      case 'metrics':
        this.#options.onMetrics(worker.id, message.metrics);
        break;
    }
  }

  /** The newest of what the workers know: those that came later were told more. */
  #remember(pool: string, knowledge: Knowledge): void {
    const known = this.#knowledge.get(pool);
    if (known === undefined || known.agreed.epoch < knowledge.agreed.epoch)
      this.#knowledge.set(pool, knowledge);
  }

  #introduce(id: WorkerId): void {
    const pools = [...this.#coordinators.keys()];
    // There are guides for all pools, or, while it still meets those who were there before, for none.
    if (pools.length > 0) this.#options.send(id, { kind: 'pools', pools });
    for (const pool of pools) this.#tell(id, pool);
  }

  #tell(id: WorkerId, pool: string): void {
    const coordinator = this.#coordinators.get(pool);
    if (coordinator === undefined) return;
    const { snapshot } = coordinator;
    const mono = performance.now();
    const wall = Date.now();
    // Until it may act itself for the first time, what an earlier controller has told the workers is better.
    const mayAct = snapshot.leaseEnd.mono > mono || snapshot.placesAlone;
    if (!mayAct && !this.#begun.has(pool)) return;
    this.#begun.add(pool);
    const leaseEnd = {
      mono: Math.min(snapshot.leaseEnd.mono, mono + this.#options.leaseMs),
      wall: Math.min(snapshot.leaseEnd.wall, wall + this.#options.leaseMs),
    };
    this.#adoption(pool).told(id, snapshot.viewId, leaseEnd.mono);
    this.#options.send(id, {
      kind: 'bulletin',
      pool,
      standing: { ...snapshot, leaseEnd: { ...leaseEnd, mono: leaseEnd.mono + HOST_CLOCK_OFFSET_MS } },
      counts: coordinator.counts(),
      addresses: coordinator.addresses?.(),
      knowledge: coordinator.knowledge(),
    });
  }

  /** The ledger may know that this replica has adopted the view once no worker can act on another. */
  #confirm(pool: string): void {
    const coordinator = this.#coordinators.get(pool);
    if (coordinator === undefined) return;
    clearTimeout(this.#timers.get(pool));
    const { viewId } = coordinator.snapshot;
    const until = this.#adoption(pool).outstandingUntil(viewId, this.#workers.keys(), performance.now());
    if (until === undefined) coordinator.confirm(viewId);
    else {
      const again = setTimeout(() => this.#confirm(pool), until - performance.now() + 1);
      this.#timers.set(pool, again.unref());
    }
  }

  #adoption(pool: string): ViewAckTracker {
    const known = this.#adoptions.get(pool);
    if (known !== undefined) return known;
    const made = new ViewAckTracker();
    for (const [id, until] of this.#inherited) made.mayHold(id, until);
    this.#adoptions.set(pool, made);
    return made;
  }

  #methods(): ControllerCalls {
    const of = (pool: string): CoordinatorPort => {
      const coordinator = this.#coordinators.get(pool);
      if (coordinator === undefined) throw new Error(`no pool is named ${pool}`);
      return coordinator;
    };
    return {
      renew: async (pool) => of(pool).renew(),
      storeFailed: async (pool, sinceMs, wasLate) =>
        of(pool).storeFailed({ since: sinceMs - HOST_CLOCK_OFFSET_MS, wasLate }),
    };
  }
}

/** Numbers are given in the order of starts. */
function numberOf({ id }: Worker): number {
  return Number(id.slice(id.lastIndexOf('-') + 1));
}

async function writtenBack(worker: Worker, pool: string, life: string, silenceMs: number): Promise<void> {
  let watch: NodeJS.Timeout | undefined;
  const silence = new Promise<void>((resolve) => {
    let { heard } = worker;
    let silentLooks = 0;
    // Looks are counted, not time: this process may have stood still, and has not read yet what was said meanwhile.
    watch = setInterval(() => {
      silentLooks = worker.heard === heard ? silentLooks + 1 : 0;
      heard = worker.heard;
      if (silentLooks === SILENCE_LOOKS) resolve();
    }, silenceMs / SILENCE_LOOKS);
  });
  try {
    await Promise.race([worker.calls.call('writeBack', [pool, life], WRITE_BACK_MS), silence]);
  } catch (error) {
    const { name, message } = error as Error;
    // It ended, and with it what it knew.
    if (name === 'CallFailed') return;
    throw name === 'StoreUnavailable' ? new StoreUnavailable(message) : error;
  } finally {
    clearInterval(watch);
  }
}
