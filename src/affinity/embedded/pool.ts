import type { RootDatabase } from 'lmdb';
import type { Binding, Claim, Proposal } from '../../core/binding.ts';
import type { GroupsThere } from '../../core/groups.ts';
import type { Holdings } from '../../core/holdings.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import { namedBy } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type {
  AffinityStore,
  BindingPage,
  BindingQuery,
  KnownBinding,
  ListedBinding,
  LogOff,
  PeekOptions,
} from '../../core/ports.ts';
import { NamesNoAgent, StoreFull, StoreUnavailable } from '../../core/ports.ts';
import type { Rebalance } from '../../core/rebalance.ts';
import { storedKey } from '../../core/stored-name.ts';
import { epochOf } from '../../core/view/view-store.ts';
import { reasonText } from '../origin-text.ts';
import { endOf, packable, packableGroup, quantumOf } from '../packing.ts';
import { SHARED } from '../session-note.ts';
import type { Because } from './claim.ts';
import { claim, toBinding, withOrigin } from './claim.ts';
import { EmbeddedGroups } from './groups.ts';
import { EmbeddedLister } from './lister.ts';
import { nextTurn } from './next-turn.ts';
import { peek } from './peek.ts';
import type { Steps } from './steps.ts';
import { EmbeddedTables } from './tables.ts';

export interface EmbeddedPoolOptions {
  /** How long a binding lives after it was last claimed or renewed. */
  readonly idleLifetimeMs: number;
  /** The most names that the pool may have, roots and aliases; no limit by default. */
  readonly maxBindings?: number;
}

// One sweep takes a fraction of a millisecond, and a million bindings are swept in well under an hour.
const SWEEP_EVERY_MS = 250;
const SWEPT_AT_ONCE = 250;
// Each name may change a different page, and the reserved room covers this many: see affinity/embedded/room.ts.
const NAMES_AT_ONCE = 8;
// After this many bindings, requests get a turn.
const RESTORED_AT_ONCE = 100;

/**
 * The bindings of one pool in the store of a single host. It does what affinity/redis/*.lua do, each step in one
 * transaction.
 *
 * No other process can move a binding, so listeners get no messages. Fencing tokens are accepted without a check: the
 * only process that uses the store also keeps the view store, and reads the token in the same turn in which it claims.
 */
export class EmbeddedPool implements AffinityStore {
  readonly #steps: Steps;
  readonly #pool: string;
  /** Unset until the store has been opened. */
  #opened: EmbeddedTables | undefined;
  readonly #groups = new EmbeddedGroups();
  readonly #lister: EmbeddedLister;
  readonly #idleLifetimeMs: number;
  readonly #quantum: number;
  readonly #maxBindings: number;
  readonly #clock: () => number;
  readonly #sweeper: NodeJS.Timeout;
  #closed = false;

  constructor(steps: Steps, pool: string, options: EmbeddedPoolOptions, clock: () => number) {
    this.#steps = steps;
    this.#pool = pool;
    this.#idleLifetimeMs = options.idleLifetimeMs;
    this.#quantum = quantumOf(options.idleLifetimeMs);
    this.#maxBindings = options.maxBindings ?? Number.MAX_SAFE_INTEGER;
    this.#clock = clock;
    this.#lister = new EmbeddedLister(
      (read) => this.#step((now) => read(this.#tables, now)),
      options.idleLifetimeMs,
    );
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref();
  }

  async claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    oldest?: Name,
    leaves: readonly InstanceId[] = [],
    rebalance?: Rebalance,
  ): Promise<Claim> {
    const place = packable(proposal);
    const group = proposal.group && packableGroup(proposal.group);
    const user = names.find(({ kind }) => kind !== 'session');
    const session = names.find(({ kind }) => kind === 'session');
    const step = {
      named: namedBy(names),
      user: user && storedKey(user),
      session: session && storedKey(session),
      place,
      group,
      most: this.#maxBindings,
      oldest: oldest && storedKey(oldest),
      leaves,
      rebalance,
    };
    const claimed = this.#step((now, end) =>
      claim(this.#tables, this.#groups, { ...step, because: because(proposal, fencingToken, now), now, end }),
    );
    if (claimed === 'no-agent') throw new NamesNoAgent();
    if (claimed === 'full') throw new StoreFull();
    return claimed;
  }

  async rebind(expected: Binding, proposal: Proposal, fencingToken: string): Promise<Claim> {
    const proposed = packable(proposal);
    const group = proposal.group && packableGroup(proposal.group);
    const asked = storedKey(expected.root);
    return this.#step((now, end) => {
      const { entry, field, root } = this.#tables.resolve(asked, now);
      if (root !== undefined && (field !== asked || root.generation !== expected.generation)) {
        return { binding: toBinding(field as string, root), made: false };
      }
      const found = root?.found === true;
      const generation = Math.max(expected.generation, this.#tables.released(asked, now).generation) + 1;
      // An operator moves an agent who is idle.
      const used = proposal.cause?.kind === 'moved' ? root?.used : now;
      const place = (group && this.#groups.place(this.#tables, group, { asked, now })) ?? proposed;
      const { instance, incarnation } = place;
      const after = { instance, incarnation, generation, end, found, used };
      const moved = withOrigin(after, because(proposal, fencingToken, now));
      this.#tables.writeRoot(asked, entry, moved, now);
      this.#tables.newcomers.remove(asked);
      if (root === undefined) this.#tables.countAgain();
      if (group !== undefined) this.#groups.note(group, asked, instance, true, end);
      return { binding: toBinding(asked, moved), made: true };
    });
  }

  async renew(names: readonly Name[], seenAgoMs = 0): Promise<Binding | undefined> {
    const fields = names.map(storedKey);
    return this.#step((now, end) => {
      const found = fields.map((name) => this.#tables.resolve(name, now));
      const holds = found.find(({ root }) => root !== undefined);
      if (holds?.root === undefined || holds.field === undefined) return undefined;
      const { field, root } = holds;
      const leftAt = this.#tables.loggedOffAt(field, root, now);
      if (leftAt !== undefined && now - seenAgoMs < leftAt) return undefined;
      this.#tables.writeRoot(field, root, { ...root, end, used: now }, now);
      this.#tables.newcomers.remove(field);
      fields.forEach((name, i) => {
        const leads = found[i];
        if (leads?.field === field && name !== field) {
          const { entry } = leads;
          this.#tables.newcomers.remove(name);
          this.#tables.writePointer(name, entry, { root: field, end, found: entry?.found === true }, now);
        }
      });
      return toBinding(field, root);
    });
  }

  async release(expected: Binding): Promise<Binding | undefined> {
    const asked = storedKey(expected.root);
    return this.#step((now, end) => {
      const { field, root } = this.#tables.resolve(asked, now);
      if (root === undefined) return undefined;
      if (field !== asked || root.generation !== expected.generation) return toBinding(field as string, root);
      this.#tables.release(asked, root, end, now);
      return undefined;
    });
  }

  async logOff(
    { root: name, generation }: Binding,
    { graceMs, ageMs, isAgain = false }: LogOff,
  ): Promise<Binding | undefined> {
    const asked = storedKey(name);
    return this.#step((now, noted) => {
      const { field, root } = this.#tables.resolve(asked, now);
      if (root === undefined || field !== asked || root.generation !== generation) return undefined;
      if (isAgain && this.#tables.loggedOffAt(field, root, now) === undefined) return undefined;
      const end = endOf(now, graceMs, quantumOf(graceMs));
      return toBinding(asked, this.#tables.logOff(asked, root, { at: now - ageMs, end, noted }, now));
    });
  }

  /** Atomic for a few names at a time, not for all together. */
  async restore(entries: readonly KnownBinding[]): Promise<(Binding | undefined)[]> {
    const held: (Binding | undefined)[] = [];
    let part: KnownBinding[] = [];
    let names = 0;
    const write = (): void => {
      held.push(...this.#step((now, end) => part.map((entry) => this.#restore(entry, now, end))));
      part = [];
      names = 0;
    };
    for (const [i, entry] of entries.entries()) {
      if (i % RESTORED_AT_ONCE === RESTORED_AT_ONCE - 1) await nextTurn();
      const { aliases } = entry;
      // A binding with more aliases than one transaction may write gets several; the last one yields what holds.
      for (let at = 0; aliases.length - at > NAMES_AT_ONCE; at += NAMES_AT_ONCE) {
        const some = { ...entry, aliases: aliases.slice(at, at + NAMES_AT_ONCE) };
        this.#step((now, end) => this.#restore(some, now, end));
      }
      part.push({ ...entry, aliases: aliases.slice(-(aliases.length % NAMES_AT_ONCE || NAMES_AT_ONCE)) });
      names += 1 + aliases.length;
      if (names >= NAMES_AT_ONCE) write();
    }
    if (part.length > 0) write();
    return held;
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    return this.#step((now) => this.#tables.counts(now));
  }

  async groups(): Promise<ReadonlyMap<InstanceId, GroupsThere>> {
    return this.#groups.byInstance(this.#clock());
  }

  async find(names: readonly Name[]): Promise<ListedBinding | undefined> {
    return this.#step((now) => {
      for (const name of names) {
        const { field, root } = this.#tables.resolve(storedKey(name), now);
        if (field !== undefined && root !== undefined) return this.#lister.listed(field, root, now, true);
      }
      return undefined;
    });
  }

  async peek(names: readonly RequestName[], options?: PeekOptions): Promise<Holdings> {
    return this.#step((now) => peek(this.#tables, this.#groups, names, options, this.#maxBindings, now));
  }

  list(query: BindingQuery): Promise<BindingPage> {
    return this.#lister.list(query);
  }

  listen(): void {
    // Only this process changes the store, so there is nothing to tell it.
  }

  /** Opens the tables, or creates them. Not inside a transaction. */
  open(environment: RootDatabase): void {
    this.#opened ??= new EmbeddedTables(environment, this.#pool);
  }

  /** What a step has added may not be stored. */
  forget(): void {
    this.#opened?.forget();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
  }

  #restore(known: KnownBinding, now: number, end: number): Binding | undefined {
    const { binding, aliases, epoch, placedAt, usedAgoMs = 0, gateway } = known;
    const asked = storedKey(binding.root);
    const held = this.#tables.resolve(asked, now);
    const field = held.field ?? asked;
    const wasServed = placedAt !== undefined;
    // This view store is never closed.
    if (known.snapshotAgoMs !== undefined) return held.root && toBinding(field, held.root);
    const released = this.#tables.released(asked, now).generation;
    if (held.root === undefined && !wasServed && released > 0 && binding.generation <= released)
      return undefined;
    const leftAt = held.root && this.#tables.loggedOffAt(field, held.root, now);
    const endsSoon = leftAt !== undefined && !wasServed;
    const kind = placedAt === undefined ? 'written-back' : 'placed-alone';
    const since = now - (placedAt === undefined ? 0 : Math.max(0, Date.now() - placedAt));
    const root =
      held.root === undefined
        ? withOrigin(
            {
              ...packable(binding),
              generation: binding.generation,
              end,
              used: Math.round(now - usedAgoMs),
            },
            { since, epoch, reason: reasonText({ kind }, gateway) },
          )
        : { ...held.root, end: endsSoon ? held.root.end : end };
    // Before the root is written: a pointer that an earlier binding left behind would lead to it again.
    const followers = new Map<string, boolean>();
    for (const alias of aliases.map(storedKey)) {
      if (alias === field || this.#tables.note(alias, now) === SHARED) continue;
      const leads = this.#tables.resolve(alias, now);
      if (leads.root === undefined) followers.set(alias, false);
      else if (leads.field === field) followers.set(alias, leads.entry?.found === true);
    }
    this.#tables.writeRoot(field, held.root, root, now);
    this.#tables.countAgain();
    for (const [alias, found] of followers) {
      const { entry } = this.#tables.resolve(alias, now);
      this.#tables.writePointer(alias, entry, { root: field, end, found }, now);
    }
    return toBinding(field, root);
  }

  /** Valid inside a step, which opens them. */
  get #tables(): EmbeddedTables {
    return this.#opened as EmbeddedTables;
  }

  #sweep(): void {
    try {
      this.#step((now) => this.#tables.sweep(SWEPT_AT_ONCE, now));
    } catch {
      // The next request reports what is wrong with the store. Ended entries can wait.
    }
  }

  #step<T>(transition: (now: number, end: number) => T): T {
    if (this.#closed) throw new StoreUnavailable('the affinity store is closed');
    const now = this.#clock();
    const end = endOf(now, this.#idleLifetimeMs, this.#quantum);
    try {
      return this.#steps.run(
        (environment) => this.open(environment),
        () => transition(now, end),
      );
    } catch (cause) {
      // Nothing was begun.
      if (cause instanceof StoreUnavailable) throw cause;
      this.forget();
      throw new StoreUnavailable(
        `embedded store: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      );
    }
  }
}

function because({ cause, gateway }: Proposal, fencingToken: string, now: number): Because | undefined {
  if (cause === undefined) return undefined;
  return { since: now, epoch: epochOf(fencingToken), reason: reasonText(cause, gateway) };
}
