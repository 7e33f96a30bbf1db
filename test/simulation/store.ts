import type { Binding, Claim, Placement } from '../../src/core/binding.ts';
import type { AgreedView } from '../../src/core/view/agreed-view.ts';
import { NO_VIEW } from '../../src/core/view/agreed-view.ts';
import type {
  PolicyRequest,
  ProposeRequest,
  SyncReply,
  SyncRequest,
} from '../../src/core/view/view-store.ts';
import { ViewStore } from '../../src/core/view/view-store.ts';
import { request } from '../support/view-store-requests.ts';
import type { LeaseTimes } from './times.ts';
import { LEASE_MS, timesOf } from './times.ts';

/** A binding as a replica writes it back. */
export interface Remembered {
  readonly binding: Binding;
  /** Placed or moved by one gateway alone while the store was away. */
  readonly alone: boolean;
}

/** One command. Each is one atomic step. */
export type Command =
  | { readonly kind: 'sync'; readonly request: SyncRequest; readonly times: LeaseTimes }
  | { readonly kind: 'propose'; readonly request: ProposeRequest }
  | { readonly kind: 'commitPolicy'; readonly request: PolicyRequest }
  | { readonly kind: 'leave'; readonly replica: string }
  | {
      readonly kind: 'claim';
      readonly agent: string;
      readonly proposal: Placement;
      readonly fencingToken: string;
    }
  | {
      readonly kind: 'rebind';
      readonly expected: Binding;
      readonly proposal: Placement;
      readonly fencingToken: string;
    }
  | { readonly kind: 'release'; readonly expected: Binding; readonly fencingToken: string }
  | { readonly kind: 'lookup'; readonly agent: string }
  | { readonly kind: 'restore'; readonly entries: readonly Remembered[] };

/** The answer to each command; a claim, rebind or release may be `stale`. */
export interface Answers {
  sync: SyncReply;
  propose: boolean;
  commitPolicy: boolean;
  leave: undefined;
  claim: Claim | 'stale';
  rebind: Claim | 'stale';
  /** The binding that still holds. */
  release: Binding | undefined | 'stale';
  lookup: Binding | undefined;
  restore: readonly Binding[];
}

/** The state of the store. Bindings have one name each; the affinity contract covers aliases. */
export interface State {
  readonly viewStore: ViewStore;
  readonly bindings: Map<string, Binding>;
  /** The generation of each agent's last released binding. */
  readonly released: Map<string, number>;
}

interface Logged {
  readonly at: number;
  /** The time of its clock. */
  readonly clock: number;
  readonly storeGeneration: string;
  readonly command: Command;
}

/** The events of the store, for the checker and for subscribers. */
export interface StoreEvents {
  onBound(binding: Binding, fencingToken: string): void;
  /** A write-back, not a request, has replaced a binding. */
  onReplaced(binding: Binding): void;
  onMoved(from: Binding, to: Binding, view: AgreedView): void;
  /** An operator has ended the binding. */
  onReleased(binding: Binding): void;
  onNews(): void;
  onOpen(): void;
  /** A view has waited this long for acknowledgements that it could have had, by the store's clock. */
  onPending(view: AgreedView, ms: number): void;
  /** A gateway has made the next view. */
  onView(view: AgreedView): void;
}

// By the store's own clock.
const EPOCH_OF_STORE = 1_000_000;

/**
 * The store that the replicas share: the reference view store and the bindings. It
 * records its commands, so that it can be set back to its state of a
 * moment ago, as a failover does.
 */
export class Store {
  readonly #events: StoreEvents;
  readonly #open: () => State;
  #state: State;
  #log: Logged[] = [];
  /** The amount by which its clock was set. */
  #set = 0;
  /** The time of the command that is being executed. */
  #clock = 0;
  #news = '';
  #opened = false;
  #isReplaying = false;
  #view: AgreedView = NO_VIEW;
  /** The time at which the present view was first seen to wait for acknowledgements. */
  #pendingSince: number | undefined;
  /** The pending view in the view store. */
  storeGeneration = 'L1';
  /** Changes with every restart, which ends all connections. */
  incarnation = 1;
  /** Between a crash and the restart. */
  isDown = false;
  hangsUntil = 0;

  constructor(events: StoreEvents, open: () => State = openState) {
    this.#events = events;
    this.#open = open;
    this.#state = open();
  }

  get bindings(): ReadonlyMap<string, Binding> {
    return this.#state.bindings;
  }

  get view(): AgreedView {
    return this.#view;
  }

  get isOpen(): boolean {
    return this.#opened;
  }

  /** The time of its clock then, unless it is set meanwhile. */
  clockAt(time: number): number {
    return EPOCH_OF_STORE + time + this.#set;
  }

  setClock(by: number): void {
    this.#set += by;
  }

  /** Loses the writes of the last `lost` ms. */
  crash(now: number, lost: number): void {
    this.isDown = true;
    this.#log = this.#log.filter(({ at }) => at <= now - lost);
  }

  restart(): void {
    this.isDown = false;
    this.incarnation += 1;
    this.#state = this.#open();
    this.#view = NO_VIEW;
    this.#isReplaying = true;
    const next = this.nextGeneration();
    for (const { clock, storeGeneration, command } of this.#log) {
      this.storeGeneration = storeGeneration;
      this.#execute(command, clock, storeGeneration);
    }
    this.storeGeneration = next;
    this.#isReplaying = false;
    this.#opened = false;
    this.#news = '';
  }

  /** Opens it, as if this generation had begun so long ago that all waits are over. */
  haveOpened(since: number): void {
    this.execute({ kind: 'sync', request: request('earlier'), times: timesOf(LEASE_MS) }, since);
    this.execute({ kind: 'leave', replica: 'earlier' }, since);
  }

  execute<C extends Command>(command: C, now: number): Answers[C['kind']] {
    const clock = this.clockAt(now);
    this.#log.push({ at: now, clock, storeGeneration: this.storeGeneration, command });
    return this.#execute(command, clock, this.storeGeneration) as Answers[C['kind']];
  }

  #execute(command: Command, clock: number, storeGeneration: string): Answers[Command['kind']] {
    const { viewStore } = this.#state;
    this.#clock = clock;
    switch (command.kind) {
      case 'sync': {
        const reply = viewStore.sync(command.request, storeGeneration, clock, command.times);
        // If it has lost its own, it may have taken the caller's.
        const view = reply.view ?? command.request.view;
        if (view?.id === reply.viewId) this.#view = view;
        this.#watchPending(reply, clock);
        this.#tellNews(reply);
        return reply;
      }
      case 'propose': {
        const taken = viewStore.propose(command.request, storeGeneration, clock);
        if (taken) this.#view = command.request.view;
        if (taken) this.#pendingSince = clock;
        if (taken && !this.#isReplaying) this.#events.onView(this.#view);
        if (taken && !this.#isReplaying) this.#events.onNews();
        return taken;
      }
      case 'commitPolicy': {
        const taken = viewStore.commitPolicy(command.request, storeGeneration, clock);
        if (taken && !this.#isReplaying) this.#events.onNews();
        return taken;
      }
      case 'leave':
        viewStore.leave(command.replica);
        if (!this.#isReplaying) this.#events.onNews();
        return undefined;
      case 'claim':
        return this.claim(command.agent, command.proposal, command.fencingToken);
      case 'rebind':
        return this.rebind(command.expected, command.proposal, command.fencingToken);
      case 'release':
        return this.release(command.expected, command.fencingToken);
      case 'lookup':
        return this.#state.bindings.get(command.agent);
      case 'restore':
        return command.entries.map((entry) => this.#restore(entry));
    }
  }

  protected nextGeneration(): string {
    return `L${this.incarnation}`;
  }

  protected get fencingToken(): string {
    return this.#state.viewStore.fencingTokenAt(this.#clock);
  }

  /** After a failover the view store keeps the fencing token of its earlier generation until a replica syncs. */
  protected isStale(fencingToken: string): boolean {
    return fencingToken !== this.fencingToken || generationOf(fencingToken) !== this.storeGeneration;
  }

  protected claim(agent: string, proposal: Placement, fencingToken: string): Claim | 'stale' {
    if (this.isStale(fencingToken)) return 'stale';
    const held = this.#state.bindings.get(agent);
    if (held !== undefined) return { binding: held, made: false };
    return this.put(
      { ...proposal, root: { kind: 'user', value: agent }, generation: this.lastReleased(agent) + 1 },
      undefined,
      fencingToken,
    );
  }

  protected rebind(expected: Binding, proposal: Placement, fencingToken: string): Claim | 'stale' {
    if (this.isStale(fencingToken)) return 'stale';
    const held = this.#state.bindings.get(expected.root.value);
    if (held !== undefined && held.generation !== expected.generation) return { binding: held, made: false };
    const generation = Math.max(expected.generation, this.lastReleased(expected.root.value)) + 1;
    return this.put({ ...proposal, root: expected.root, generation }, held, fencingToken);
  }

  protected release(expected: Binding, fencingToken: string): Binding | undefined | 'stale' {
    return this.isStale(fencingToken) ? 'stale' : this.remove(expected);
  }

  protected remove(expected: Binding): Binding | undefined {
    const { bindings, released } = this.#state;
    const agent = expected.root.value;
    const held = bindings.get(agent);
    if (held === undefined || held.generation !== expected.generation) return held;
    bindings.delete(agent);
    released.set(agent, held.generation);
    if (!this.#isReplaying) this.#events.onReleased(held);
    return undefined;
  }

  /** The generation of the agent's last released binding, or 0. */
  protected lastReleased(agent: string): number {
    return this.#state.released.get(agent) ?? 0;
  }

  protected held(agent: string): Binding | undefined {
    return this.#state.bindings.get(agent);
  }

  protected put(binding: Binding, from: Binding | undefined, fencingToken: string): Claim {
    this.#state.bindings.set(binding.root.value, binding);
    if (!this.#isReplaying) {
      this.#events.onBound(binding, fencingToken);
      if (from !== undefined) this.#events.onMoved(from, binding, this.#view);
    }
    return { binding, made: true };
  }

  /**
   * While no claims are allowed, no gateway has acted on a stored binding, and
   * gateways act on the later of two bindings. After that the store wins.
   */
  #restore({ binding, alone }: Remembered): Binding {
    const agent = binding.root.value;
    const held = this.#state.bindings.get(agent);
    const known = alone ? { ...binding, generation: 0 } : binding;
    const wins = held === undefined || (this.restoresLater() && known.generation > held.generation);
    if (!wins) return held;
    this.#state.bindings.set(agent, known);
    if (held !== undefined && !this.#isReplaying) this.#events.onReplaced(known);
    return known;
  }

  protected restoresLater(): boolean {
    return !this.#opened;
  }

  #watchPending({ open, effective }: SyncReply, clock: number): void {
    if (!open || effective) this.#pendingSince = undefined;
    else this.#pendingSince ??= clock;
    if (this.#pendingSince === undefined || this.#isReplaying) return;
    this.#events.onPending(this.#view, clock - this.#pendingSince);
  }

  #tellNews(reply: SyncReply): void {
    const opens = reply.open && !this.#opened;
    this.#opened = reply.open;
    const news = `${reply.viewId} ${reply.effective} ${reply.open} ${reply.reportsVersion}`;
    if (news === this.#news) return;
    this.#news = news;
    if (this.#isReplaying) return;
    if (opens) this.#events.onOpen();
    this.#events.onNews();
  }
}

/** The store generation for which a fencing token was issued. */
export function generationOf(fencingToken: string): string {
  return fencingToken.slice(fencingToken.lastIndexOf(':') + 1);
}

function openState(): State {
  return { viewStore: new ViewStore(timesOf(LEASE_MS)), bindings: new Map(), released: new Map() };
}
