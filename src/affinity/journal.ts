import type { Binding } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { AffinityStore, KnownBinding } from '../core/ports.ts';
import { storedKey } from './stored-name.ts';

interface Entry extends KnownBinding {
  /** The binding as the store has, or had, it; `undefined` for one that was made without it. */
  readonly from: Binding | undefined;
}

/** Told of each binding that was written back: its names, what was written, and what the store holds now. */
export type OnWrittenBack = (names: readonly Name[], written: Binding, held: Binding) => void;

const WRITTEN_AT_ONCE = 500;

/**
 * What was decided while the store was away, and what is known here and the
 * store has forgotten, by the root of each binding: to be written back before the
 * store is used for anything else.
 */
export class Journal {
  readonly #entries = new Map<string, Entry>();

  /** @param from the binding as the store has it; `undefined` for one that is made here */
  write(names: readonly Name[], binding: Binding, from: Binding | undefined): void {
    const root = storedKey(binding.root);
    const written = this.#entries.get(root);
    this.#entries.set(root, {
      binding,
      aliases: aliasesOf(root, [...(written?.aliases ?? []), ...names]),
      // Moved twice, or made and then moved: the store knows only what was before the first of them.
      from: written === undefined ? from : written.from,
    });
  }

  /** These names are the binding's too. */
  join(names: readonly Name[], binding: Binding): void {
    // Generations begin at 1 in the store.
    this.write(names, binding, binding.generation > 0 ? binding : undefined);
  }

  /** The store may have forgotten it. What was decided since is kept. */
  remember(names: readonly Name[], binding: Binding): void {
    if (!this.#entries.has(storedKey(binding.root))) this.join(names, binding);
  }

  /** Empties itself into the store, also of what is written meanwhile. Returns how many bindings that were. */
  async writeBack(store: AffinityStore, onWrittenBack: OnWrittenBack): Promise<number> {
    let written = 0;
    while (this.#entries.size > 0) {
      const chunk: [string, Entry][] = [];
      for (const entry of this.#entries) {
        if (chunk.length === WRITTEN_AT_ONCE) break;
        chunk.push(entry);
      }
      await this.#writeChunk(store, chunk, onWrittenBack);
      written += chunk.length;
    }
    return written;
  }

  async #writeChunk(
    store: AffinityStore,
    chunk: readonly [string, Entry][],
    onWrittenBack: OnWrittenBack,
  ): Promise<void> {
    const settle = (key: string, entry: Entry, held: Binding): void => {
      // Written again while the store was asked: that is for the next round.
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      onWrittenBack([entry.binding.root, ...entry.aliases], entry.binding, held);
    };
    const made = chunk.filter(([, entry]) => !hasMoved(entry));
    const held = await store.restore(made.map(([, entry]) => entry));
    for (const [i, [key, entry]] of made.entries()) settle(key, entry, held[i] as Binding);
    for (const [key, entry] of chunk) {
      if (!hasMoved(entry)) continue;
      const { binding } = await store.rebind(entry.from, entry.binding);
      settle(key, entry, binding);
    }
  }
}

function hasMoved(entry: Entry): entry is Entry & { readonly from: Binding } {
  return entry.from !== undefined && entry.from.generation !== entry.binding.generation;
}

function aliasesOf(root: string, names: readonly Name[]): Name[] {
  const aliases = new Map(names.map((name) => [storedKey(name), name]));
  aliases.delete(root);
  return [...aliases.values()];
}
