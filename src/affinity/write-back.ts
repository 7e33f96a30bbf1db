import type { CachedBinding } from '../core/agent-bindings.ts';
import type { Binding, Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { AffinityStore, KnownBinding } from '../core/ports.ts';
import type { BindingCache } from './binding-cache.ts';
import type { WriteBackQueue } from './write-back-queue.ts';

export interface WriteBackOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  readonly queue: WriteBackQueue;
  /** The name of this gateway. */
  readonly gateway: string;
  /** Did news about these names come since then, in monotonic milliseconds? */
  readonly isOutdated: (names: readonly Name[], askedAt: number) => boolean;
  /** One of these names led to `was`, and the store has something else. */
  readonly onConflict: (names: readonly Name[], was: Placement, now: Placement) => void;
}

const WRITTEN_AT_ONCE = 256;
// After this many entries, requests get a turn.
const SEEN_AT_ONCE = 2_000;
// Decisions made while the queue is written back join it and are written too. This bounds the loop.
const MAX_ROUNDS = 1_000;

/** Writes bindings that the store may not know, or may have lost, back to it. */
export class WriteBack {
  readonly #options: WriteBackOptions;
  #emptying: Promise<number> | undefined;
  #writingAll: { readonly storeGeneration: string | undefined; readonly run: Promise<number> } | undefined;
  /** The store generation to which everything was last written back. */
  #writtenGeneration: string | undefined;

  constructor(options: WriteBackOptions) {
    this.#options = options;
  }

  /** Must the queue be written before the store is used for anything else? */
  get isDue(): boolean {
    return this.#options.queue.size > 0;
  }

  /**
   * Writes the queue, also what joins it meanwhile, and the cache unless it was already written to this store
   * generation. Without one, everything is written. Returns the number of bindings.
   */
  writeAll(storeGeneration: string | undefined): Promise<number> {
    const before = this.#writingAll;
    if (before !== undefined && before.storeGeneration === storeGeneration) return before.run;
    const begin = (): Promise<number> => this.#writeBoth(storeGeneration);
    const run = before === undefined ? begin() : before.run.then(begin, begin);
    const writing = { storeGeneration, run };
    this.#writingAll = writing;
    const end = (): void => {
      if (this.#writingAll === writing) this.#writingAll = undefined;
    };
    run.then(end, end);
    return run;
  }

  async #writeBoth(storeGeneration: string | undefined): Promise<number> {
    let written = 0;
    if (storeGeneration === undefined || storeGeneration !== this.#writtenGeneration)
      written += await this.writeCache();
    written += await this.writeQueue();
    this.#writtenGeneration = storeGeneration;
    return written;
  }

  /** Writes every cached binding that can still be live. Returns how many. */
  async writeCache(): Promise<number> {
    const { cache, queue: writeBackQueue } = this.#options;
    let written = 0;
    let seen = 0;
    let chunk: KnownBinding[] = [];
    for (const [key, entry] of cache.entries()) {
      seen += 1;
      if (seen % SEEN_AT_ONCE === 0) await nextTurn();
      // A queued binding was changed here and is written by `writeQueue`. An agent who has logged off has no need of it.
      if (key !== entry.key || writeBackQueue.has(key) || entry.isEnding) continue;
      if (cache.hasEnded(entry, performance.now())) continue;
      chunk.push(knownOf(entry));
      if (chunk.length < WRITTEN_AT_ONCE) continue;
      written += await this.#restore(chunk, false);
      chunk = [];
    }
    return written + (await this.#restore(chunk, false));
  }

  /** Writes the queue to the store and empties it. Concurrent callers share one run. Returns the number of bindings. */
  writeQueue(): Promise<number> {
    this.#emptying ??= this.#empty().finally(() => {
      this.#emptying = undefined;
    });
    return this.#emptying;
  }

  async #empty(): Promise<number> {
    const { queue: writeBackQueue } = this.#options;
    let written = 0;
    for (let round = 0; writeBackQueue.size > 0 && round < MAX_ROUNDS; round += 1) {
      const chunk = writeBackQueue.first(WRITTEN_AT_ONCE);
      written += await this.#restore(
        chunk.map(([, entry]) => entry),
        true,
      );
      for (const [key, entry] of chunk) writeBackQueue.settle(key, entry);
    }
    return written;
  }

  async #restore(entries: readonly KnownBinding[], wereDecidedHere: boolean): Promise<number> {
    if (entries.length === 0) return 0;
    const askedAt = performance.now();
    const { store, gateway } = this.#options;
    const held = await store.restore(entries.map((entry) => ({ ...entry, gateway })));
    for (const [i, entry] of entries.entries()) {
      this.#learn(entry, held[i], wereDecidedHere, askedAt);
    }
    return entries.length;
  }

  /** @param held what the store holds now; `undefined` if the binding has ended */
  #learn(
    { binding, aliases }: KnownBinding,
    held: Binding | undefined,
    wasDecidedHere: boolean,
    askedAt: number,
  ): void {
    const { cache, isOutdated, onConflict } = this.#options;
    const names = [binding.root, ...aliases];
    if (held === undefined) {
      cache.forget(binding.root);
      return;
    }
    const isSamePlace = held.instance === binding.instance && held.incarnation === binding.incarnation;
    if (wasDecidedHere && !isSamePlace) onConflict(names, binding, held);
    if (isOutdated(names, askedAt)) return;
    // Writing back is not based on a view. An unchanged binding keeps its epoch; any other is not confirmed yet.
    cache.put(names, held, { askedAt, epoch: 0 });
  }
}

function knownOf({ binding, names, epoch, renewedAt, usedAt }: CachedBinding): KnownBinding {
  const usedAgoMs = Math.max(0, performance.now() - Math.max(renewedAt, usedAt));
  return { binding, aliases: names.slice(1), epoch, ...(Number.isFinite(usedAgoMs) ? { usedAgoMs } : {}) };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
