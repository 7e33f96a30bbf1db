import { LRUCache } from 'lru-cache';
import type { Binding } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import { nameKey, parseNameKey } from '../core/identity.ts';
import { storedForm, storedKey } from './stored-name.ts';

/** A binding as this process last saw it, shared by all its names. */
export interface CachedBinding {
  binding: Binding;
  /** The names known to lead to it, in stored form, its root first. */
  readonly names: readonly Name[];
  /** When the store last confirmed it, in monotonic milliseconds. */
  checkedAt: number;
  /** Set by whoever renews it in the background, so that nobody else does. */
  renewing: boolean;
}

export interface BindingCacheOptions {
  /** Bindings kept at most; the one that was not used for the longest time makes room. */
  readonly maxEntries: number;
  readonly idleLifetimeMs: number;
}

interface Entry extends CachedBinding {
  names: Name[];
  /** The key of its root, in stored form. */
  readonly key: string;
  /** Its keys in the index of names as requests bear them, each with the key of its stored form. */
  readonly raw: Map<string, string>;
}

// Sessions of one agent that are known at a time; a re-logon adds one, and the oldest is forgotten.
const MOST_NAMES = 8;

/**
 * The bindings that this process knows, so that a known agent's request needs no
 * store. Two indexes lead to an entry: one by names as requests bear them, which
 * is looked up without hashing anything, and one by names in stored form, which
 * is how a store tells of moves. There is one entry for each root.
 */
export class BindingCache {
  readonly #entries: LRUCache<string, Entry>;
  readonly #byRaw = new Map<string, Entry>();
  readonly #byStored = new Map<string, Entry>();
  readonly #trustedMs: number;
  readonly #renewedMs: number;

  constructor({ maxEntries, idleLifetimeMs }: BindingCacheOptions) {
    this.#entries = new LRUCache({ max: maxEntries, dispose: (entry) => this.#unlink(entry) });
    // A binding that is used is renewed ten times before it would cease to be trusted,
    // and ceases to be trusted long before the store could forget it.
    this.#trustedMs = idleLifetimeMs / 2;
    this.#renewedMs = idleLifetimeMs / 20;
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
    return this.#find('session', session) === entry ? entry : undefined;
  }

  /** The entry for the {@link nameKey} of one name, as a request bears it or in stored form. */
  get(key: string): CachedBinding | undefined {
    const name = parseNameKey(key);
    return name && this.#find(name.kind, name.value);
  }

  /** Tells what the store said of these names, at `now` in monotonic milliseconds. */
  put(names: readonly Name[], binding: Binding, now: number): CachedBinding {
    const entry = this.#entries.get(storedKey(binding.root)) ?? this.#add(binding, now);
    entry.binding = binding;
    entry.checkedAt = now;
    for (const name of names) this.#link(name, entry);
    return entry;
  }

  /**
   * Drops the binding that a name leads to, with all its names.
   *
   * @param name in either form
   */
  forget(name: Name): void {
    const entry = this.#byStored.get(storedKey(name));
    if (entry !== undefined) this.#entries.delete(entry.key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Every binding, the last used first. */
  entries(): IterableIterator<CachedBinding> {
    return this.#entries.values();
  }

  /** May be acted on, while the lease on the view holds, without asking the store. */
  isTrusted(entry: CachedBinding, now: number): boolean {
    return now - entry.checkedAt < this.#trustedMs;
  }

  /** Should be renewed in the store, without anybody waiting for it. */
  needsRenewal(entry: CachedBinding, now: number): boolean {
    return now - entry.checkedAt >= this.#renewedMs;
  }

  #add(binding: Binding, now: number): Entry {
    const root = storedForm(binding.root);
    const key = nameKey(root.kind, root.value);
    // Until now it may have been another binding's alias.
    const before = this.#byStored.get(key);
    if (before !== undefined) this.#part(key, before);
    const entry = { binding, names: [root], key, raw: new Map(), checkedAt: now, renewing: false };
    this.#entries.set(key, entry);
    this.#byStored.set(key, entry);
    return entry;
  }

  #find(kind: Name['kind'], value: string): Entry | undefined {
    const entry = this.#byRaw.get(nameKey(kind, value)) ?? this.#adopt({ kind, value });
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
      if (before !== undefined) this.#part(key, before);
      this.#byStored.set(key, entry);
      entry.names.push(stored);
      const oldest = entry.names[1];
      if (entry.names.length > MOST_NAMES && oldest !== undefined) {
        this.#part(nameKey(oldest.kind, oldest.value), entry);
      }
    }
    this.#linkRaw(nameKey(name.kind, name.value), key, entry);
  }

  #linkRaw(raw: string, key: string, entry: Entry): void {
    this.#byRaw.set(raw, entry);
    entry.raw.set(raw, key);
  }

  /** Takes one name from an entry; an entry that loses its root is gone. */
  #part(key: string, entry: Entry): void {
    if (key === entry.key) {
      this.#entries.delete(key);
      return;
    }
    this.#byStored.delete(key);
    entry.names = entry.names.filter((name) => nameKey(name.kind, name.value) !== key);
    for (const [raw, stored] of entry.raw) {
      if (stored !== key) continue;
      this.#byRaw.delete(raw);
      entry.raw.delete(raw);
    }
  }

  #unlink(entry: Entry): void {
    for (const { kind, value } of entry.names) this.#byStored.delete(nameKey(kind, value));
    for (const raw of entry.raw.keys()) this.#byRaw.delete(raw);
  }
}
