import type { CachedBinding } from '../core/agent-bindings.ts';
import type { Binding } from '../core/binding.ts';
import type { AffinityStore, KnownBinding } from '../core/ports.ts';
import type { BindingCache } from './binding-cache.ts';
import type { WriteBackQueue } from './write-back-queue.ts';

/**
 * Called for each binding that was written back.
 *
 * @param held what the store holds now
 * @param wasDecidedHere the binding was made or moved here without the store
 * @param askedAt when the store was asked, in monotonic milliseconds
 */
export type OnWrittenBack = (
  written: KnownBinding,
  held: Binding,
  wasDecidedHere: boolean,
  askedAt: number,
) => void;

export interface WriteBackOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  readonly queue: WriteBackQueue;
  readonly onWrittenBack: OnWrittenBack;
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

  constructor(options: WriteBackOptions) {
    this.#options = options;
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
      // A queued binding was changed here and is written by `writeQueue`.
      if (key !== entry.key || writeBackQueue.has(key) || cache.hasEnded(entry, performance.now())) continue;
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
    const held = await this.#options.store.restore(entries);
    for (const [i, entry] of entries.entries()) {
      this.#options.onWrittenBack(entry, held[i] as Binding, wereDecidedHere, askedAt);
    }
    return entries.length;
  }
}

function knownOf({ binding, names, epoch }: CachedBinding): KnownBinding {
  return { binding, aliases: names.slice(1), epoch };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
