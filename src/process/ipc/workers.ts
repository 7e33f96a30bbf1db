import type { Binding } from '../../core/binding.ts';
import type { ExplainQuestion, Explanation } from '../../core/explanation.ts';
import type { CountsOfSecond } from '../../core/history/pool-counts.ts';
import type { Name } from '../../core/identity.ts';
import type { AskedWorker, RequestQuery, WorkerRequests } from '../../core/recent-requests.ts';
import type { SeenNames } from '../../core/seen-names.ts';
import type { ConfigParts } from '../../core/view/config-parts.ts';
import type { Knowledge } from '../../core/view/replica-options.ts';
import type { Totals } from '../../telemetry/totals.ts';
import type { HostChannel, HostEvent, WorkerId } from '../messages.ts';
import type { CallMessage } from './calls.ts';
import { Calls } from './calls.ts';
import type { CoordinatorPort } from './coordinator-port.ts';
import { ExplainingWorkers } from './explaining-workers.ts';
import { HOST_CLOCK_OFFSET_MS } from './host-clock.ts';
import type { ControllerCalls, ToController, ToWorker, WorkerCalls, WorkerLoad } from './messages.ts';
import type { PoolLoad } from './pool-load.ts';
import { sumOf, UNKNOWN_LOAD } from './pool-load.ts';
import { ViewAckTracker } from './view-ack-tracker.ts';
import { writeBackBy } from './writing-back.ts';

export interface WorkersOptions {
  readonly send: (to: WorkerId | 'workers', body: ToWorker | CallMessage) => void;
  /** The longest time that a worker may act on a routing state update, in ms, whatever lease the gateway has. */
  readonly leaseMs: number;
  /** The time after which the watchdog kills a silent worker, in ms; 0 means never. */
  readonly watchdogMs: number;
  readonly onMetrics: (worker: WorkerId, metrics: readonly unknown[]) => void;
  /** A worker has counted the requests of a second. */
  readonly onSecond?: (worker: WorkerId, second: number, counts: CountsOfSecond) => void;
  /** A worker has placed or moved an agent while the store was away. */
  readonly onDecidedAlone?: (pool: string, binding: Binding, aliases: readonly Name[]) => void;
  readonly onGone: (worker: WorkerId) => void;
  /** A worker has said hello and returned the totals of an earlier controller. */
  readonly onHello: (worker: WorkerId, totals: Totals | undefined) => void;
  /** Reads the load of a worker in this process. Without it, the last load that each worker reported counts. */
  readonly loadNow?: () => WorkerLoad | undefined;
  /** Further methods that a worker may call. */
  readonly methodsFor?: (worker: WorkerId) => object;
}

interface Worker {
  readonly id: WorkerId;
  readonly calls: Calls;
  hasSaidHello: boolean;
  load: WorkerLoad | undefined;
  parts: ReadonlyMap<string, ConfigParts> | undefined;
  /** How many messages the worker has sent. */
  messagesReceived: number;
}

// A worker reports its load several times a second. The watchdog kills a worker that hangs. Until then, and for some
// time more, write-back waits for it: it may have placed agents on its own, which no other process knows.
const KILLED_WITHIN_MS = 2_000;
const METRICS_MS = 500;
// The store is asked if the worker is busier than that.
const ALIASES_MS = 100;

/** The workers of this host, as the controller sees them: which exist, which view each may act on, and their load. */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #workers = new Map<WorkerId, Worker>();
  readonly #coordinators = new Map<string, CoordinatorPort>();
  readonly #acks = new Map<string, ViewAckTracker>();
  /** Workers that may act on updates of an earlier controller, and until when. */
  readonly #inherited = new Map<WorkerId, number>();
  readonly #published = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #knowledge = new Map<string, Knowledge>();
  readonly #explaining = new ExplainingWorkers();
  #onHello: () => void = () => {};

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  /**
   * Asks the workers of an earlier controller what they know. Resolves when all have
   * answered, or when the time is over.
   */
  async collectKnowledge(
    earlier: readonly WorkerId[],
    limitMs: number,
  ): Promise<ReadonlyMap<string, Knowledge>> {
    for (const id of earlier) this.started(id, true);
    if (earlier.length > 0) {
      this.#options.send('workers', { kind: 'who' });
      await new Promise<void>((resolve) => {
        // Read the channel first, as for a call.
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
   * Starts to handle the events and messages of the workers.
   *
   * @param onEvent receives every event first
   */
  listen(channel: Pick<HostChannel, 'onEvent' | 'onMessage'>, onEvent: (event: HostEvent) => void): void {
    // Handle queued items in their true order: first the started workers, then the messages, then the ended workers.
    // The last message of a worker carries its final counters.
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

  /** Called once per pool, before the first `publish`. */
  addPool(pool: string, coordinator: CoordinatorPort): void {
    this.#coordinators.set(pool, coordinator);
  }

  /** @param mayHold whether the worker may act on updates of an earlier controller */
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
      messagesReceived: 0,
    });
    if (mayHold) this.#inherited.set(id, performance.now() + this.#options.leaseMs);
  }

  gone(id: WorkerId): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.#workers.delete(id);
    worker.calls.fail(`${id} has ended`);
    this.#options.onGone(id);
    for (const [pool, acksOf] of this.#acks) {
      acksOf.forget(id);
      this.#confirm(pool);
    }
    this.#onHello();
  }

  take(id: WorkerId, message: ToController | CallMessage): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.messagesReceived += 1;
    if (worker.calls.take(message)) return;
    this.#handle(worker, message as ToController);
  }

  /** Sends the current routing state to all workers. */
  publish(pool: string): void {
    for (const id of this.#workers.keys()) this.#sendUpdate(id, pool);
    this.#confirm(pool);
  }

  /** Until when any worker may act on an update, in monotonic ms of this process. */
  mayActUntil(pool: string): number {
    return this.#acksOf(pool).mayActUntil(this.#workers.keys());
  }

  /** Lets requests that wait try again, in every worker. */
  wakeParked(pool: string): void {
    this.#options.send('workers', { kind: 'reassured', pool });
  }

  /**
   * Lets every worker write back its bindings. Waits for a worker that hangs until the watchdog should have killed it.
   */
  async writeBack(pool: string, storeGeneration: string): Promise<void> {
    const { loadNow, watchdogMs } = this.#options;
    // A worker in this process reports nothing by itself, and cannot hang alone.
    const silenceMs = loadNow === undefined ? watchdogMs + KILLED_WITHIN_MS : undefined;
    await Promise.all(
      [...this.#workers.values()].map((worker) => writeBackBy(worker, pool, storeGeneration, silenceMs)),
    );
  }

  /** Collects the metrics of every live worker that answers in time. */
  async refreshMetrics(): Promise<void> {
    await Promise.all(
      [...this.#workers.values()].map(async ({ id, calls }) => {
        const metrics = await calls.call('metrics', [], METRICS_MS).catch(() => undefined);
        if (metrics !== undefined && this.#workers.has(id))
          this.#options.onMetrics(id, metrics as readonly unknown[]);
      }),
    );
  }

  /** The latest names that lead to a root, as one worker has them cached; `undefined` if it may lack some. */
  async aliases(pool: string, key: string): Promise<readonly Name[] | undefined> {
    const [worker] = this.#workers.values();
    const asking = worker?.calls.call('aliases', [pool, key], ALIASES_MS).catch(() => undefined);
    return (await asking) as readonly Name[] | undefined;
  }

  /** How requests named their agents in the last hour, at each worker; `undefined` if it does not answer in time. */
  async seenNames(pool: string): Promise<readonly (SeenNames | undefined)[]> {
    return (await this.#askAll<SeenNames>('seenNames', pool)).map(({ told }) => told);
  }

  /** The last requests of each worker. */
  recentRequests(query: RequestQuery): Promise<readonly AskedWorker<WorkerRequests>[]> {
    return this.#askAll('recentRequests', query);
  }

  /**
   * How a worker would route a request now.
   *
   * @throws ActRefused if no worker can tell
   * @throws StoreUnavailable
   */
  explain(question: ExplainQuestion): Promise<Explanation> {
    return this.#explaining.explain([...this.#workers.values()], question);
  }

  #askAll<Told>(method: keyof WorkerCalls, ...args: unknown[]): Promise<AskedWorker<Told>[]> {
    const ask = async ({ id, calls }: Worker) => ({
      worker: id,
      told: (await calls.call(method, args, METRICS_MS).catch(() => undefined)) as Told | undefined,
    });
    return Promise.all([...this.#workers.values()].map(ask));
  }

  /** Sends to all workers but one. */
  sendToOthers(than: WorkerId, message: ToWorker): void {
    for (const id of this.#workers.keys()) if (id !== than) this.#options.send(id, message);
  }

  get size(): number {
    return this.#workers.size;
  }

  /** The workers that may carry traffic: also those of an earlier controller that have not said hello yet. */
  get serving(): readonly WorkerId[] {
    const all = [...this.#workers.values()];
    return all.filter(({ id, hasSaidHello }) => hasSaidHello || this.#inherited.has(id)).map(({ id }) => id);
  }

  get inFlight(): number {
    let sum = 0;
    for (const worker of this.#workers.values()) sum += this.#loadOf(worker)?.inFlight ?? 0;
    return sum;
  }

  /**
   * The load of all workers that have the pool. Without workers, and until each has reported once, the pool counts
   * neither as idle nor as mirrored: otherwise a controller that has just started would move agents during their work.
   */
  load(pool: string): PoolLoad {
    const loads = Array.from(this.#workers.values(), (worker) => this.#loadOf(worker));
    const sum = sumOf(loads.flatMap((load) => load?.pools.get(pool) ?? []));
    const haveAllReported = loads.length > 0 && loads.every((load) => load !== undefined);
    return haveAllReported ? sum : { ...sum, ...UNKNOWN_LOAD };
  }

  /**
   * The pool's configuration in the oldest worker, which may differ from the controller's until that worker has ended;
   * `undefined` if unknown.
   */
  oldestParts(pool: string): ConfigParts | undefined {
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

  #loadOf({ load }: Worker): WorkerLoad | undefined {
    return this.#options.loadNow?.() ?? load;
  }

  #handle(worker: Worker, message: ToController): void {
    switch (message.kind) {
      case 'hello':
        worker.hasSaidHello = true;
        worker.parts = message.parts;
        this.#options.onHello(worker.id, message.totals);
        for (const [pool, knowledge] of message.knowledge) {
          this.#remember(pool, knowledge);
          // Both the knowledge and the view come from the last update of an earlier controller.
          this.#acksOf(pool).adopted(worker.id, knowledge.agreed.id);
        }
        this.#onHello();
        this.#sendInitialState(worker.id);
        break;
      case 'adopted':
        this.#acksOf(message.pool).adopted(worker.id, message.viewId);
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
      case 'decided-alone':
        this.#options.onDecidedAlone?.(message.pool, message.binding, message.aliases);
        break;
      case 'second':
        this.#options.onSecond?.(worker.id, message.second, message.counts);
        break;
    }
  }

  /** Keeps the newest knowledge: later workers may have received more than earlier ones. */
  #remember(pool: string, knowledge: Knowledge): void {
    const known = this.#knowledge.get(pool);
    if (known === undefined || known.agreed.epoch < knowledge.agreed.epoch)
      this.#knowledge.set(pool, knowledge);
  }

  #sendInitialState(id: WorkerId): void {
    const pools = [...this.#coordinators.keys()];
    // Either all pools have a coordinator, or none has: then the controller is still collecting knowledge.
    if (pools.length > 0) this.#options.send(id, { kind: 'pools', pools });
    for (const pool of pools) this.#sendUpdate(id, pool);
  }

  #sendUpdate(id: WorkerId, pool: string): void {
    const coordinator = this.#coordinators.get(pool);
    if (coordinator === undefined) return;
    const { snapshot } = coordinator;
    const mono = performance.now();
    const wall = Date.now();
    // Until this controller may act for the first time, the updates of an earlier controller are better.
    const mayAct = snapshot.leaseEnd.mono > mono || snapshot.placesAlone;
    if (!mayAct && !this.#published.has(pool)) return;
    this.#published.add(pool);
    const leaseEnd = {
      mono: Math.min(snapshot.leaseEnd.mono, mono + this.#options.leaseMs),
      wall: Math.min(snapshot.leaseEnd.wall, wall + this.#options.leaseMs),
    };
    this.#acksOf(pool).sent(id, snapshot.viewId, leaseEnd.mono);
    this.#options.send(id, {
      kind: 'bulletin',
      pool,
      standing: { ...snapshot, leaseEnd: { ...leaseEnd, mono: leaseEnd.mono + HOST_CLOCK_OFFSET_MS } },
      counts: coordinator.counts(),
      addresses: coordinator.addresses?.(),
      knowledge: coordinator.knowledge(),
    });
  }

  /** Confirms the view to the coordinator once no worker can act on another one. */
  #confirm(pool: string): void {
    const coordinator = this.#coordinators.get(pool);
    if (coordinator === undefined) return;
    clearTimeout(this.#timers.get(pool));
    const { viewId } = coordinator.snapshot;
    const until = this.#acksOf(pool).outstandingUntil(viewId, this.#workers.keys(), performance.now());
    if (until === undefined) coordinator.confirm(viewId);
    else {
      const again = setTimeout(() => this.#confirm(pool), until - performance.now() + 1);
      this.#timers.set(pool, again.unref());
    }
  }

  #acksOf(pool: string): ViewAckTracker {
    const known = this.#acks.get(pool);
    if (known !== undefined) return known;
    const made = new ViewAckTracker();
    for (const [id, until] of this.#inherited) made.mayHold(id, until);
    this.#acks.set(pool, made);
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

/** The number of a worker. Numbers grow in the order of starts. */
function numberOf({ id }: Worker): number {
  return Number(id.slice(id.lastIndexOf('-') + 1));
}
