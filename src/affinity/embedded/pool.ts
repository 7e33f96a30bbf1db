import type { RootDatabase } from 'lmdb';
import type { Binding, Claim, Placement } from '../../core/binding.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import { namedBy, parseNameKey } from '../../core/identity.ts';
import type {
  AffinityStore,
  BindingPage,
  BindingQuery,
  KnownBinding,
  ListedAlias,
  ListedBinding,
} from '../../core/ports.ts';
import { NamesNoAgent, StoreUnavailable } from '../../core/ports.ts';
import { storedKey } from '../../core/stored-name.ts';
import type { RootEntry } from '../packing.ts';
import { endOf, packable, quantumOf } from '../packing.ts';
import { SHARED } from '../session-note.ts';
import { claim, toBinding, toName } from './claim.ts';
import { EmbeddedTables } from './tables.ts';

export interface EmbeddedPoolOptions {
  /** How long a binding lives after it was last claimed or renewed. */
  readonly idleLifetimeMs: number;
}

// One sweep takes a fraction of a millisecond, and a million bindings are swept in well under an hour.
const SWEEP_EVERY_MS = 250;
const SWEPT_AT_ONCE = 250;
const LISTED_AT_ONCE = 1_000;
// Each name may change a different page, and the reserved room covers this many: see affinity/embedded/room.ts.
const NAMES_AT_ONCE = 8;
// After this many bindings, requests get a turn.
const RESTORED_AT_ONCE = 100;
const DEFAULT_PAGE = 100;
// Starts the cursor of a listing that has passed all roots and continues with the aliases. No key begins with it.
const BEYOND_ROOTS = '>';

/**
 * The bindings of one pool in the store of a single host. It does what affinity/redis/*.lua do, each step in one
 * transaction.
 *
 * No other process can move a binding, so listeners get no messages. Fencing tokens are accepted without a check: the
 * only process that uses the store also keeps the view store, and reads the token in the same turn in which it claims.
 */
export class EmbeddedPool implements AffinityStore {
  readonly #withRoom: () => RootDatabase;
  readonly #pool: string;
  /** Unset until the store has been opened. */
  #opened: EmbeddedTables | undefined;
  readonly #idleLifetimeMs: number;
  readonly #quantum: number;
  readonly #clock: () => number;
  readonly #sweeper: NodeJS.Timeout;
  #closed = false;

  /** @param withRoom returns the store with disk space for one step, or throws StoreUnavailable */
  constructor(withRoom: () => RootDatabase, pool: string, options: EmbeddedPoolOptions, clock: () => number) {
    this.#withRoom = withRoom;
    this.#pool = pool;
    this.#idleLifetimeMs = options.idleLifetimeMs;
    this.#quantum = quantumOf(options.idleLifetimeMs);
    this.#clock = clock;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref();
  }

  async claim(names: readonly RequestName[], proposal: Placement): Promise<Claim> {
    const place = packable(proposal);
    const user = names.find(({ kind }) => kind !== 'session');
    const session = names.find(({ kind }) => kind === 'session');
    const step = {
      named: namedBy(names),
      user: user && storedKey(user),
      session: session && storedKey(session),
      place,
    };
    const claimed = this.#step((now, end) => claim(this.#tables, { ...step, now, end }));
    if (claimed === undefined) throw new NamesNoAgent();
    return claimed;
  }

  async rebind(expected: Binding, proposal: Placement): Promise<Claim> {
    const place = packable(proposal);
    const asked = storedKey(expected.root);
    return this.#step((now, end) => {
      const { entry, field, root } = this.#tables.resolve(asked, now);
      if (root !== undefined && (field !== asked || root.generation !== expected.generation)) {
        return { binding: toBinding(field as string, root), made: false };
      }
      const found = root?.found === true;
      const moved: RootEntry = { ...place, generation: expected.generation + 1, end, found };
      this.#tables.writeRoot(asked, entry, moved, now);
      return { binding: toBinding(asked, moved), made: true };
    });
  }

  async renew(names: readonly Name[]): Promise<Binding | undefined> {
    const fields = names.map(storedKey);
    return this.#step((now, end) => {
      const found = fields.map((name) => this.#tables.resolve(name, now));
      const holds = found.find(({ root }) => root !== undefined);
      if (holds?.root === undefined || holds.field === undefined) return undefined;
      const { field, root } = holds;
      this.#tables.writeRoot(field, root, { ...root, end }, now);
      fields.forEach((name, i) => {
        const leads = found[i];
        if (leads?.field === field && name !== field) {
          const { entry } = leads;
          this.#tables.writePointer(name, entry, { root: field, end, found: entry?.found === true }, now);
        }
      });
      return toBinding(field, root);
    });
  }

  async release(name: Name): Promise<void> {
    const asked = storedKey(name);
    this.#step((now) => {
      const { entry, field, root } = this.#tables.resolve(asked, now);
      this.#tables.remove(asked, entry);
      if (field !== undefined && field !== asked) this.#tables.remove(field, root);
    });
  }

  /** Atomic for a few names at a time, not for all together. */
  async restore(entries: readonly KnownBinding[]): Promise<Binding[]> {
    const held: Binding[] = [];
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

  async list(query: BindingQuery): Promise<BindingPage> {
    const limit = Math.max(1, query.limit ?? DEFAULT_PAGE);
    const isBeyondRoots = query.cursor?.startsWith(BEYOND_ROOTS) === true;
    if (isBeyondRoots) return { bindings: [], ...(await this.#listAliases(limit, query.cursor ?? '')) };
    const page = await this.#listRoots(limit, query);
    if (query.aliases !== true) return page;
    return { ...page, aliases: [], cursor: page.cursor ?? BEYOND_ROOTS };
  }

  listen(): void {
    // Only this process changes the store, so there is nothing to tell it.
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
  }

  async #listRoots(limit: number, query: BindingQuery): Promise<BindingPage> {
    const bindings: ListedBinding[] = [];
    const atOnce = query.instance === undefined ? Math.min(limit, LISTED_AT_ONCE) : LISTED_AT_ONCE;
    let after = query.cursor;
    do {
      if (bindings.length > 0 || after !== query.cursor) await nextTurn();
      const from = after;
      const { now, roots, last } = this.#step((now) => ({
        now,
        ...this.#tables.slice(from, atOnce, now),
      }));
      for (const [field, root] of roots) {
        if (query.instance !== undefined && root.instance !== query.instance) continue;
        // An earlier release stored another kind of name; those entries expire.
        if (parseNameKey(field) === undefined) continue;
        bindings.push({ binding: toBinding(field, root), expiresInMs: root.end - now });
        if (bindings.length === limit) return { bindings, cursor: field };
      }
      after = last;
    } while (after !== undefined);
    return { bindings, cursor: undefined };
  }

  async #listAliases(
    limit: number,
    cursor: string,
  ): Promise<{ aliases: ListedAlias[]; cursor: string | undefined }> {
    const after = cursor.slice(BEYOND_ROOTS.length);
    const { pointers, last } = this.#step((now) =>
      this.#tables.slicePointers(after === '' ? undefined : after, Math.min(limit, LISTED_AT_ONCE), now),
    );
    const aliases = pointers.map(([field, root]) => ({ name: toName(field), root: toName(root) }));
    return { aliases, cursor: last === undefined ? undefined : BEYOND_ROOTS + last };
  }

  #restore({ binding, aliases }: KnownBinding, now: number, end: number): Binding {
    const asked = storedKey(binding.root);
    const held = this.#tables.resolve(asked, now);
    const field = held.field ?? asked;
    const root = { ...(held.root ?? { ...packable(binding), generation: binding.generation }), end };
    // Before the root is written: a pointer that an earlier binding left behind would lead to it again.
    const followers = new Map<string, boolean>();
    for (const alias of aliases.map(storedKey)) {
      if (alias === field || this.#tables.note(alias, now) === SHARED) continue;
      const leads = this.#tables.resolve(alias, now);
      if (leads.root === undefined) followers.set(alias, false);
      else if (leads.field === field) followers.set(alias, leads.entry?.found === true);
    }
    this.#tables.writeRoot(field, held.root, root, now);
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
    const environment = this.#withRoom();
    try {
      this.#opened ??= new EmbeddedTables(environment, this.#pool);
      return environment.transactionSync(() => transition(now, end));
    } catch (cause) {
      this.#opened?.forget();
      throw new StoreUnavailable(
        `embedded store: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      );
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
