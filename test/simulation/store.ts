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

/** What a replica knows of a binding when it writes it back. */
export interface Remembered {
  readonly binding: Binding;
  /** Placed or moved while the store was away: it has nobody's agreement. */
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
  | { readonly kind: 'lookup'; readonly agent: string }
  | { readonly kind: 'restore'; readonly entries: readonly Remembered[] };

/** What comes back from each command; a claim or rebind may be `stale`. */
export interface Answers {
  sync: SyncReply;
  propose: boolean;
  commitPolicy: boolean;
  leave: undefined;
  claim: Claim | 'stale';
  rebind: Claim | 'stale';
  lookup: Binding | undefined;
  restore: readonly Binding[];
}

/** What the store is made of; bindings have one name each, for aliases are the affinity contract's matter. */
export interface State {
  readonly viewStore: ViewStore;
  readonly bindings: Map<string, Binding>;
}

interface Logged {
  readonly at: number;
  /** What its clock showed. */
  readonly clock: number;
  readonly life: string;
  readonly command: Command;
}

/** Tells what has happened at the store, for whoever watches or is subscribed. */
export interface StoreEvents {
  onBound(binding: Binding, fencingToken: string): void;
  /** What was bound is bound elsewhere now, not by a request but by a write-back. */
  onReplaced(binding: Binding): void;
  onMoved(from: Binding, to: Binding, view: AgreedView): void;
  onNews(): void;
  onOpen(): void;
  /** A view has been waiting for acknowledgements for so long, by the store's clock, while it could have had them. */
  onPending(view: AgreedView, ms: number): void;
  /** A gateway has made the next view. */
  onView(view: AgreedView): void;
}

// By the store's clock, which is nobody else's.
const EPOCH_OF_STORE = 1_000_000;

/**
 * The store that the replicas share: the reference view store and the bindings. It
 * remembers its commands, so that it can be brought back to what it was a
 * moment ago, as a failover does.
 */
export class Store {
  readonly #events: StoreEvents;
  readonly #open: () => State;
  #state: State;
  #log: Logged[] = [];
  /** By how much its clock was set. */
  #set = 0;
  /** What it shows while a command is carried out. */
  #clock = 0;
  #news = '';
  #opened = false;
  #isReplaying = false;
  #view: AgreedView = NO_VIEW;
  /** When the view that waits for acknowledgements was first seen to wait. */
  #pendingSince: number | undefined;
  /** What stands for it in the view store. */
  life = 'L1';
  /** Changes with every restart; connections do not outlive it. */
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

  /** What its clock shows then, if nobody sets it. */
  clockAt(time: number): number {
    return EPOCH_OF_STORE + time + this.#set;
  }

  setClock(by: number): void {
    this.#set += by;
  }

  /** Writes of the last `lost` ms are gone. */
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
    const next = this.nextLife();
    for (const { clock, life, command } of this.#log) {
      this.life = life;
      this.#execute(command, clock, life);
    }
    this.life = next;
    this.#isReplaying = false;
    this.#opened = false;
    this.#news = '';
  }

  /** As if this life of it had begun so long ago that everybody has been waited for. */
  haveOpened(since: number): void {
    this.execute({ kind: 'sync', request: request('earlier'), times: timesOf(LEASE_MS) }, since);
    this.execute({ kind: 'leave', replica: 'earlier' }, since);
  }

  execute<C extends Command>(command: C, now: number): Answers[C['kind']] {
    const clock = this.clockAt(now);
    this.#log.push({ at: now, clock, life: this.life, command });
    return this.#execute(command, clock, this.life) as Answers[C['kind']];
  }

  #execute(command: Command, clock: number, life: string): Answers[Command['kind']] {
    const { viewStore } = this.#state;
    this.#clock = clock;
    switch (command.kind) {
      case 'sync': {
        const reply = viewStore.sync(command.request, life, clock, command.times);
        // Where it has lost its own, it may have taken the caller's.
        const view = reply.view ?? command.request.view;
        if (view?.id === reply.viewId) this.#view = view;
        this.#watchPending(reply, clock);
        this.#tellNews(reply);
        return reply;
      }
      case 'propose': {
        const taken = viewStore.propose(command.request, life, clock);
        if (taken) this.#view = command.request.view;
        if (taken) this.#pendingSince = clock;
        if (taken && !this.#isReplaying) this.#events.onView(this.#view);
        if (taken && !this.#isReplaying) this.#events.onNews();
        return taken;
      }
      case 'commitPolicy': {
        const taken = viewStore.commitPolicy(command.request, life, clock);
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
      case 'lookup':
        return this.#state.bindings.get(command.agent);
      case 'restore':
        return command.entries.map((entry) => this.#restore(entry));
    }
  }

  protected nextLife(): string {
    return `L${this.incarnation}`;
  }

  protected get fencingToken(): string {
    return this.#state.viewStore.fencingTokenAt(this.#clock);
  }

  /** After a failover the view store keeps the fencing token of its earlier generation until a replica syncs. */
  protected isStale(fencingToken: string): boolean {
    return fencingToken !== this.fencingToken || lifeOf(fencingToken) !== this.life;
  }

  protected claim(agent: string, proposal: Placement, fencingToken: string): Claim | 'stale' {
    if (this.isStale(fencingToken)) return 'stale';
    const held = this.#state.bindings.get(agent);
    if (held !== undefined) return { binding: held, made: false };
    return this.put(
      { ...proposal, root: { kind: 'user', value: agent }, generation: 1 },
      undefined,
      fencingToken,
    );
  }

  protected rebind(expected: Binding, proposal: Placement, fencingToken: string): Claim | 'stale' {
    if (this.isStale(fencingToken)) return 'stale';
    const held = this.#state.bindings.get(expected.root.value);
    if (held !== undefined && held.generation !== expected.generation) return { binding: held, made: false };
    return this.put(
      { ...proposal, root: expected.root, generation: expected.generation + 1 },
      held,
      fencingToken,
    );
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
   * While nothing may be claimed, nobody has acted on what the store holds, and
   * the later of two bindings is the one that is acted on. After that the store wins.
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

/** The life of the store for which a fence was given out. */
export function lifeOf(fencingToken: string): string {
  return fencingToken.slice(fencingToken.lastIndexOf(':') + 1);
}

function openState(): State {
  return { viewStore: new ViewStore(timesOf(LEASE_MS)), bindings: new Map() };
}
