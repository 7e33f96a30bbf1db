import { LRUCache } from 'lru-cache';
import type { CachedBinding } from '../core/agent-bindings.ts';
import type { Binding } from '../core/binding.ts';
import type { Name, Names } from '../core/identity.ts';
import { nameKey, parseNameKey } from '../core/identity.ts';
import { storedForm, storedKey } from '../core/stored-name.ts';

/** What the store tells of a binding, and what that is worth. */
export interface Confirmation {
  /** When it was asked; what it told at that time, or later, is true. */
  readonly askedAt: number;
  /** When the binding's lifetime was renewed, at the earliest; `askedAt` if the question renewed it. */
  readonly renewedAt?: number;
  /** The epoch that was known to be in effect, or pending, when it was asked; 0 if that is not known. */
  readonly epoch: number;
}

export interface BindingCacheOptions {
  /** Bindings kept at most; the one that was not used for the longest time makes room. */
  readonly maxEntries: number;
  readonly idleLifetimeMs: number;
}

/** What {@link nameKey} puts before a name, for the look-up that each request makes. */
const KEY_START = {
  user: nameKey('user', ''),
  session: nameKey('session', ''),
  address: nameKey('address', ''),
} as const;

interface Entry extends CachedBinding {
  names: Name[];
  /** Its names as requests bear them, where that is not their stored form, each with the key of that form. */
  raw: Map<string, string> | undefined;
}

// Sessions of one agent that are known at a time; a re-logon adds one, and the oldest is forgotten.
const MAX_NAMES = 8;
// There should be none; there may be one for all agents.
const MAX_SHARED = 1_000;

/**
 * The bindings that this process knows, so that a known agent's request needs no
 * store: those served here, and as many of the others as there is room for. Two indexes lead to an entry: one by names as requests bear them, which
 * is looked up without hashing anything, and one by names in stored form, which
 * is how a store tells of moves. There is one entry for each root.
 */
export class BindingCache {
  readonly idleLifetimeMs: number;
  readonly #entries: LRUCache<string, Entry>;
  readonly #byRaw = new Map<string, Entry>();
  readonly #byStored = new Map<string, Entry>();
  readonly #shared = new LRUCache<string, number>({ max: MAX_SHARED });
  readonly #maxEntries: number;
  readonly #trustedMs: number;
  readonly #renewedMs: number;
  #evicted = 0;

  constructor({ maxEntries, idleLifetimeMs }: BindingCacheOptions) {
    this.#entries = new LRUCache({
      max: maxEntries,
      dispose: (entry, _key, reason) => {
        if (reason === 'evict') this.#evicted += 1;
        this.#unlink(entry);
      },
    });
    this.#maxEntries = maxEntries;
    this.idleLifetimeMs = idleLifetimeMs;
    // A binding that is used is renewed ten times before it would cease to be trusted,
    // and ceases to be trusted long before the store could forget it.
    this.#trustedMs = idleLifetimeMs / 2;
    this.#renewedMs = idleLifetimeMs / 20;
  }

  /** Another binding would drive one out. */
  get isFull(): boolean {
    return this.#entries.size >= this.#maxEntries;
  }

  /** How many bindings were driven out so far. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Bindings, not names. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * The entry for the names of a request, or `undefined` where the store must be
   * asked: when a name is not known, or the two lead to different bindings.
   */
  find(user: string | undefined, session: string | undefined): CachedBinding | undefined {
    if (user === undefined) return session === undefined ? undefined : this.#find('session', session);
    const entry = this.#find('user', user);
    if (entry === undefined || session === undefined) return entry;
    return this.#find('session', session) === entry || this.#isShared(session) ? entry : undefined;
  }

  /**
   * The same for names that may have been found in a body: the entry of the binding that the store would rule for.
   */
  findFor({ user, session, userIsFound, sessionIsFound }: Names): CachedBinding | undefined {
    if (session !== undefined && (userIsFound || sessionIsFound)) {
      const known = this.find(undefined, session);
      if (userIsFound && known?.binding.root.kind === 'user') return known;
      // No link between the two is left to be made.
      if (!userIsFound && known !== undefined) return this.find(user, undefined);
    }
    return this.find(user, session);
  }

  /** The entry for the {@link nameKey} of one name, as a request bears it or in stored form. */
  get(key: string): CachedBinding | undefined {
    const name = parseNameKey(key);
    return name && this.#find(name.kind, name.value);
  }

  /** The same of the key in stored form, and not as a use of it. */
  peek(key: string): CachedBinding | undefined {
    return this.#byStored.get(key);
  }

  /**
   * Tells what the store answered about these names. An answer that was
   * overtaken by news of a move is dropped.
   */
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
  announce(binding: Binding, aliases: readonly Name[], epoch: number, now: number): void {
    const key = storedKey(binding.root);
    const known = this.#entries.peek(key);
    if (known !== undefined && !this.hasEnded(known, now)) {
      const { generation } = known.binding;
      if (binding.generation < generation ? epoch <= known.epoch : isOlderCopy(binding, epoch, known)) return;
    }
    const entry = known ?? this.#add(key, binding);
    confirm(entry, binding, { askedAt: now, epoch });
    for (const name of aliases) this.#link(name, entry);
  }

  /** Tells what was decided here without the store: to be acted on while the store is away, and asked for afterwards. */
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

  /** These names lead to the binding too. */
  join(names: readonly Name[], { key }: CachedBinding): void {
    const entry = this.#byStored.get(key);
    if (entry === undefined) return;
    for (const name of names) this.#link(name, entry);
  }

  /** The session is none of anybody's names, as the store said when it was asked. */
  share(session: Name, askedAt: number): void {
    this.forget(session);
    this.#shared.set(session.value, askedAt);
  }

  /**
   * The name does not mean any more what it meant. A binding goes with its root.
   *
   * @param name in either form
   */
  forget(name: Name): void {
    const key = storedKey(name);
    const entry = this.#byStored.get(key);
    if (entry !== undefined) this.#detach(key, entry);
  }

  /** Every name in stored form with its binding, each binding under its own key too. May change on the way. */
  entries(): IterableIterator<[string, CachedBinding]> {
    return this.#byStored.entries();
  }

  /** Cannot have ended in the store unnoticed, nor is about to. */
  isAlive(entry: CachedBinding, now: number): boolean {
    return now - entry.renewedAt < this.#trustedMs;
  }

  /** Should be renewed in the store, without anybody waiting for it. */
  needsRenewal(entry: CachedBinding, now: number): boolean {
    return now - entry.renewedAt >= this.#renewedMs;
  }

  /** It has ended in the store unless another gateway renewed it there, and it was not used without the store either. */
  hasEnded(entry: CachedBinding, now: number): boolean {
    return now - Math.max(entry.renewedAt, entry.usedAt) >= this.idleLifetimeMs;
  }

  /** As long as a binding goes without being renewed, so that the store knows it is in use. */
  #isShared(session: string): boolean {
    const askedAt = this.#shared.get(session);
    return askedAt !== undefined && performance.now() - askedAt < this.#renewedMs;
  }

  #add(key: string, binding: Binding): Entry {
    const root = storedForm(binding.root);
    // Until now it may have been another binding's alias.
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
      raw: undefined,
    };
    this.#entries.set(key, entry);
    this.#byStored.set(key, entry);
    return entry;
  }

  #find(kind: Name['kind'], value: string): Entry | undefined {
    const key = KEY_START[kind] + value;
    const entry = this.#byStored.get(key) ?? this.#byRaw.get(key) ?? this.#adopt({ kind, value });
    // For the order of use alone.
    if (entry !== undefined) this.#entries.get(entry.key);
    return entry;
  }

  /** A name known in its stored form only, as after a restart, is known as requests bear it from now on. */
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
      entry.names.push(stored);
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

  /** Takes one name from an entry; an entry that loses its root is gone. */
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
  // What was true in a later epoch is not less true for being asked about in an earlier one.
  entry.epoch = isSame(entry.binding, binding) ? Math.max(entry.epoch, epoch) : epoch;
  entry.binding = binding;
  entry.checkedAt = Math.max(entry.checkedAt, askedAt);
  entry.renewedAt = Math.max(entry.renewedAt, renewedAt);
}

function isSame(a: Binding, b: Binding): boolean {
  return a.generation === b.generation && a.instance === b.instance && a.incarnation === b.incarnation;
}

function isOlderCopy(binding: Binding, epoch: number, known: CachedBinding): boolean {
  return binding.generation === known.binding.generation && epoch < known.epoch;
}
