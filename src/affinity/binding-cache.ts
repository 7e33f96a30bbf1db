import { LRUCache } from 'lru-cache';
import type { CachedBinding } from '../core/agent-bindings.ts';
import type { Binding } from '../core/binding.ts';
import type { Name, Names } from '../core/identity.ts';
import { nameKey, parseNameKey } from '../core/identity.ts';
import { renewalIntervalMs } from '../core/renewal.ts';
import { storedForm, storedKey } from '../core/stored-name.ts';
import { isCurrent, isDrainingAt } from '../core/target.ts';
import type { View } from '../core/view/view.ts';
import { withRoom } from './growing-cache.ts';
import type { Trust } from './trust.ts';

/** How current an answer of the store about a binding is. */
export interface Confirmation {
  /** When the store was asked. The answer was true then or later. */
  readonly askedAt: number;
  /** The earliest time at which the binding's lifetime was renewed; `askedAt` if the question renewed it. */
  readonly renewedAt?: number;
  /** The newest epoch that was known here when the store was asked; 0 if none was. */
  readonly epoch: number;
}

export interface BindingCacheOptions {
  /** The most bindings that are kept. Beyond that, the least recently used one is evicted. */
  readonly maxEntries: number;
  readonly idleLifetimeMs: number;
}

/** The prefixes that {@link nameKey} writes, computed once because every request looks names up. */
const KEY_START = {
  user: nameKey('user', ''),
  session: nameKey('session', ''),
  address: nameKey('address', ''),
} as const;

interface Entry extends CachedBinding {
  names: Name[];
  /** From the key of a name as requests send it to the key of its stored form, where the two differ. */
  raw: Map<string, string> | undefined;
}

// Each new logon of an agent adds a session; the oldest one is dropped.
const MAX_NAMES = 8;
// Shared sessions are a fault of the client. Usually there is none, or one that all agents send.
const MAX_SHARED = 1_000;
// Room for all that may be cached would take 10 ms and 6 MB at each start of a process.
const FIRST_ENTRIES = 1_000;

/**
 * The bindings that this process knows, so that known agents need no store lookup: those served here, and as many
 * others as fit.
 *
 * There is one entry for each root, and two indexes lead to it. One holds names as requests send them, so that a
 * lookup hashes nothing. The other holds names in stored form, which the store uses in its messages.
 */
export class BindingCache {
  readonly idleLifetimeMs: number;
  #entries: LRUCache<string, Entry>;
  readonly #byRaw = new Map<string, Entry>();
  readonly #byStored = new Map<string, Entry>();
  readonly #shared = new LRUCache<string, number>({ max: MAX_SHARED });
  readonly #maxEntries: number;
  readonly #trustedMs: number;
  readonly #renewedMs: number;
  readonly #sharedMs: number;
  #evicted = 0;
  #onAdded: (root: Name) => void = () => {};

  constructor({ maxEntries, idleLifetimeMs }: BindingCacheOptions) {
    this.#entries = new LRUCache({
      max: Math.min(FIRST_ENTRIES, maxEntries),
      dispose: (entry, _key, reason) => {
        if (reason === 'evict') this.#evicted += 1;
        this.#unlink(entry);
      },
    });
    this.#maxEntries = maxEntries;
    this.idleLifetimeMs = idleLifetimeMs;
    // A binding in use is renewed at least ten times before it loses trust, and loses trust long before the store ends it.
    this.#trustedMs = idleLifetimeMs / 2;
    this.#renewedMs = renewalIntervalMs(idleLifetimeMs);
    this.#sharedMs = idleLifetimeMs / 20;
  }

  /** The next new binding would evict another one. */
  get isFull(): boolean {
    return this.#entries.size >= this.#maxEntries;
  }

  /** The number of evictions so far. */
  get evicted(): number {
    return this.#evicted;
  }

  /** At most one listener, called for each binding that was not known, with its root in stored form. */
  onAdded(listener: (root: Name) => void): void {
    this.#onAdded = listener;
  }

  /** Bindings, not names. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * The entry for the names of a request. `undefined` means that the store must be asked: a name is not known, or the
   * two names lead to different bindings.
   */
  find(user: string | undefined, session: string | undefined): CachedBinding | undefined {
    if (user === undefined) return session === undefined ? undefined : this.#find('session', session);
    const entry = this.#find('user', user);
    if (entry === undefined || session === undefined) return entry;
    return this.#at('session', session) === entry || this.#isShared(session) ? entry : undefined;
  }

  /** {@link find} for names that may have been found in a body: the entry that the store would choose. */
  findFor({ user, session, userIsFound, sessionIsFound }: Names): CachedBinding | undefined {
    if (user !== undefined && session !== undefined && (userIsFound || sessionIsFound)) {
      const known = this.find(undefined, session);
      if (userIsFound && known?.binding.root.kind === 'user') return known;
      // The user decides, and the session leads somewhere already, so there is no link to make.
      if (!userIsFound && known !== undefined) return this.find(user, undefined);
    }
    return this.find(user, session);
  }

  /** The entry for the {@link nameKey} of one name, as a request sends it or in stored form. */
  get(key: string): CachedBinding | undefined {
    const name = parseNameKey(key);
    return name && this.#find(name.kind, name.value);
  }

  /** The entry for a key in stored form. Does not count as a use of the entry. */
  peek(key: string): CachedBinding | undefined {
    return this.#byStored.get(key);
  }

  /**
   * The alias that the agent of a request has had for longest, if one more would be too many. The store gives it up too;
   * otherwise each log-on, or a client with another session in each request, would leave one more name there.
   */
  oldestAlias([user, session]: readonly Name[]): Name | undefined {
    if (user === undefined || session === undefined) return undefined;
    const names = this.#byStored.get(storedKey(user))?.names;
    return names !== undefined && names.length >= MAX_NAMES ? names[1] : undefined;
  }

  /** The names that are known to lead to the binding; other names of the request may be another agent's. */
  leadingTo({ root }: Binding, names: readonly Name[]): readonly Name[] {
    const key = storedKey(root);
    return names.filter(({ kind, value }) => this.#find(kind, value)?.key === key);
  }

  /** Takes the store's answer about these names. Drops it if a message about a later move arrived before it. */
  put(names: readonly Name[], binding: Binding, told: Confirmation): CachedBinding {
    const key = storedKey(binding.root);
    const entry = this.#entries.peek(key) ?? this.#add(key, binding);
    const knownSince = Math.max(entry.checkedAt, entry.renewedAt);
    const isOvertaken = entry.binding.generation > binding.generation && knownSince > told.askedAt;
    if (!isOvertaken) confirm(entry, binding, told);
    for (const name of names) this.#link(name, entry);
    return entry;
  }

  /**
   * Takes news of a binding that a gateway made or moved. News may be older than the cached entry, because answers come
   * on another connection. It is newer if its generation or its epoch is later, or if the cached entry has ended.
   */
  announce(binding: Binding, aliases: readonly Name[], epoch: number, now: number, isNew = false): void {
    const key = storedKey(binding.root);
    const known = this.#entries.peek(key);
    if (known !== undefined && !this.hasEnded(known, now)) {
      const { generation } = known.binding;
      if (binding.generation < generation ? epoch <= known.epoch : isOlderCopy(binding, epoch, known)) return;
    }
    const entry = known ?? this.#add(key, binding);
    confirm(entry, binding, { askedAt: now, epoch });
    if (isNew) entry.isNew = true;
    for (const name of aliases) this.#link(name, entry);
  }

  /**
   * Takes a decision made here without the store. It holds while the store is away; afterwards the next request asks
   * the store.
   */
  decide(names: readonly Name[], binding: Binding, now: number): CachedBinding {
    const key = storedKey(binding.root);
    const entry = this.#entries.peek(key) ?? this.#add(key, binding);
    entry.binding = binding;
    entry.epoch = 0;
    entry.checkedAt = Number.NEGATIVE_INFINITY;
    entry.usedAt = now;
    this.join(names, entry);
    return entry;
  }

  /**
   * The agent has logged off: the next request asks the store, unless that is away, and the entry ends at `endsAt`.
   *
   * @param key of the root
   */
  endSoon(key: string, generation: number, endsAt: number): CachedBinding | undefined {
    const entry = this.#byStored.get(key);
    if (entry === undefined || entry.key !== key) return undefined;
    if (entry.binding.generation < generation) entry.binding = { ...entry.binding, generation };
    entry.checkedAt = Number.NEGATIVE_INFINITY;
    entry.renewedAt = Math.min(entry.renewedAt, endsAt - this.idleLifetimeMs);
    entry.usedAt = Math.min(entry.usedAt, entry.renewedAt);
    entry.isEnding = true;
    return entry;
  }

  /** Lets these names lead to the binding too. */
  join(names: readonly Name[], { key }: CachedBinding): void {
    const entry = this.#byStored.get(key);
    if (entry === undefined) return;
    for (const name of names) this.#link(name, entry);
  }

  /** The store said that several users alternate on this session, so it names no agent. */
  share(session: Name, askedAt: number): void {
    this.forget(session);
    this.#shared.set(session.value, askedAt);
  }

  /**
   * Drops what is known of the name. If it is a root, its binding goes too.
   *
   * @param name as a request sends it or in stored form
   */
  forget(name: Name): void {
    const key = storedKey(name);
    const entry = this.#byStored.get(key);
    if (entry !== undefined) this.#detach(key, entry);
  }

  /** Every name in stored form with its binding, roots included. Tolerates changes during the iteration. */
  entries(): IterableIterator<[string, CachedBinding]> {
    return this.#byStored.entries();
  }

  /** May it be acted on by this view, while the store answers, without asking the store? */
  isConfirmed(entry: CachedBinding, view: View, now: number, trust: Trust): boolean {
    const { instance, root } = entry.binding;
    // A log-on at another gateway may move the agent away from there.
    if (isDrainingAt(view, instance)) return false;
    if (entry.checkedAt < trust.since || !this.isAlive(entry, now)) return false;
    if (!isCurrent(view, instance, entry.epoch)) return false;
    return !(trust.sessionsAreProvisional && root.kind === 'session');
  }

  /** Is it the best information while the store does not answer? */
  mayHold(entry: CachedBinding, view: View, now: number): boolean {
    return !this.hasEnded(entry, now) && isCurrent(view, entry.binding.instance, entry.epoch);
  }

  /** It cannot have ended in the store, and is not about to. */
  isAlive(entry: CachedBinding, now: number): boolean {
    return now - entry.renewedAt < this.#trustedMs;
  }

  /** It should be renewed in the store, in the background. */
  needsRenewal(entry: CachedBinding, now: number): boolean {
    return entry.isNew || now - entry.renewedAt >= this.#renewedMs;
  }

  /** It has ended in the store unless another gateway renewed it, and was not used without the store since. */
  hasEnded(entry: CachedBinding, now: number): boolean {
    return now - Math.max(entry.renewedAt, entry.usedAt) >= this.idleLifetimeMs;
  }

  /** Is the session known to be shared? The store is asked again now and then, which keeps its note alive. */
  #isShared(session: string): boolean {
    const askedAt = this.#shared.get(session);
    return askedAt !== undefined && performance.now() - askedAt < this.#sharedMs;
  }

  #add(key: string, binding: Binding): Entry {
    const root = storedForm(binding.root);
    // The name may have been an alias of another binding until now.
    const before = this.#byStored.get(key);
    if (before !== undefined) this.#detach(key, before);
    const entry: Entry = {
      key,
      binding,
      names: [root],
      checkedAt: Number.NEGATIVE_INFINITY,
      renewedAt: Number.NEGATIVE_INFINITY,
      usedAt: Number.NEGATIVE_INFINITY,
      epoch: 0,
      renewing: false,
      isNew: false,
      isEnding: false,
      raw: undefined,
    };
    this.#entries = withRoom(this.#entries, this.#maxEntries);
    this.#entries.set(key, entry);
    this.#byStored.set(key, entry);
    this.#onAdded(root);
    return entry;
  }

  #find(kind: Name['kind'], value: string): Entry | undefined {
    const entry = this.#at(kind, value);
    // Marks the entry as used, for the order of eviction.
    if (entry !== undefined) this.#entries.get(entry.key);
    return entry;
  }

  /** Does not count as a use. Nearly all sessions are sent otherwise than they are stored, and nearly no other name. */
  #at(kind: Name['kind'], value: string): Entry | undefined {
    const key = KEY_START[kind] + value;
    const isSession = kind === 'session';
    return (
      (isSession ? this.#byRaw : this.#byStored).get(key) ??
      (isSession ? this.#byStored : this.#byRaw).get(key) ??
      this.#adopt({ kind, value })
    );
  }

  /** A name that is known only in stored form, as after a restart, gets its entry in the other index too. */
  #adopt(name: Name): Entry | undefined {
    const key = storedKey(name);
    const entry = this.#byStored.get(key);
    if (entry !== undefined) this.#linkRaw(nameKey(name.kind, name.value), key, entry);
    return entry;
  }

  #link(name: Name, entry: Entry): void {
    const stored = storedForm(name);
    const key = nameKey(stored.kind, stored.value);
    const before = this.#byStored.get(key);
    if (before !== entry) {
      if (before !== undefined) this.#detach(key, before);
      this.#byStored.set(key, entry);
      // A new array has no room for more names, which would take most of its memory.
      entry.names = [...entry.names, stored];
      const oldest = entry.names[1];
      if (entry.names.length > MAX_NAMES && oldest !== undefined) {
        this.#detach(nameKey(oldest.kind, oldest.value), entry);
      }
    }
    this.#linkRaw(nameKey(name.kind, name.value), key, entry);
  }

  #linkRaw(raw: string, key: string, entry: Entry): void {
    if (raw === key) return;
    this.#byRaw.set(raw, entry);
    entry.raw ??= new Map();
    entry.raw.set(raw, key);
  }

  /** Removes one name from an entry. An entry that loses its root is removed whole. */
  #detach(key: string, entry: Entry): void {
    if (key === entry.key) {
      this.#entries.delete(key);
      return;
    }
    this.#byStored.delete(key);
    entry.names = entry.names.filter((name) => nameKey(name.kind, name.value) !== key);
    for (const [raw, stored] of entry.raw ?? []) {
      if (stored !== key) continue;
      this.#byRaw.delete(raw);
      entry.raw?.delete(raw);
    }
  }

  #unlink(entry: Entry): void {
    for (const { kind, value } of entry.names) this.#byStored.delete(nameKey(kind, value));
    for (const raw of entry.raw?.keys() ?? []) this.#byRaw.delete(raw);
  }
}

function confirm(
  entry: Entry,
  binding: Binding,
  { askedAt, renewedAt = askedAt, epoch }: Confirmation,
): void {
  // The same binding was already confirmed in a later epoch; a question asked in an earlier one does not undo that.
  const wasKnown = isSame(entry.binding, binding);
  entry.epoch = wasKnown ? Math.max(entry.epoch, epoch) : epoch;
  entry.binding = binding;
  entry.checkedAt = Math.max(entry.checkedAt, askedAt);
  // A log-off shortens the lifetime, so only renewals of the same generation add up.
  entry.renewedAt = wasKnown ? Math.max(entry.renewedAt, renewedAt) : renewedAt;
  if (renewedAt === askedAt) entry.isEnding = false;
}

function isSame(a: Binding, b: Binding): boolean {
  return a.generation === b.generation && a.instance === b.instance && a.incarnation === b.incarnation;
}

function isOlderCopy(binding: Binding, epoch: number, known: CachedBinding): boolean {
  return binding.generation === known.binding.generation && epoch < known.epoch;
}
