import type { Binding, Placement } from '../../src/core/binding.ts';
import { nameKey } from '../../src/core/identity.ts';
import type { Target } from '../../src/core/target.ts';
import type { Replica } from '../../src/core/view/replica.ts';
import { epochOf } from '../../src/core/view/view-store.ts';
import type { Remembered } from './store.ts';
import { generationOf } from './store.ts';

/** A binding as one gateway knows it. */
export interface Entry {
  readonly binding: Binding;
  /** The epoch in which the store has confirmed it; 0 for never. */
  readonly epoch: number;
  /** Placed or moved by this gateway while the store was away. */
  readonly alone: boolean;
  /** The binding in the form that `checkTarget` takes. */
  readonly routed: Target;
}

/**
 * The bindings that one gateway knows: the cache that the hot path trusts, and
 * the copy that is written back. The rules of `affinity/bindings.ts`, without
 * time and names.
 */
export class KnownBindings {
  readonly #entries = new Map<string, Entry>();
  readonly #replica: Replica;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** Some binding here is not in the store yet. */
  get hasPlacedAlone(): boolean {
    for (const { alone } of this.#entries.values()) if (alone) return true;
    return false;
  }

  get(agent: string): Entry | undefined {
    return this.#entries.get(agent);
  }

  /**
   * A binding from the store, in an answer to a command with this fencing token or as news. The store
   * may have forgotten a binding of another generation, which is therefore known but not trusted.
   */
  learn(binding: Binding, fencingToken: string): void {
    const epoch =
      generationOf(fencingToken) === this.#replica.lastSync.storeGeneration ? epochOf(fencingToken) : 0;
    const agent = binding.root.value;
    const before = this.#entries.get(agent);
    // News and answers may arrive in either order.
    if (before !== undefined && !before.alone && isOlder(binding, epoch, before)) return;
    this.#entries.set(agent, this.entryOf(binding, epoch, false));
  }

  /** A write-back made it the stored binding. It is kept, because the store may lose it again. */
  learnRestored(binding: Binding): void {
    const agent = binding.root.value;
    const before = this.#entries.get(agent);
    if (before !== undefined && before.binding.generation >= binding.generation) return;
    this.#entries.set(agent, this.entryOf(binding, 0, false));
  }

  /** News that an operator ended the binding. A placement made alone is still to be written back. */
  forget({ root }: Binding): void {
    if (this.#entries.get(root.value)?.alone === false) this.#entries.delete(root.value);
  }

  /** The target while the store is away. Known agents stay. */
  placeAlone(agent: string, placement: Placement): Entry {
    const known = this.#entries.get(agent);
    if (known !== undefined) return known;
    const binding: Binding = { ...placement, root: { kind: 'user', value: agent }, generation: 0 };
    return this.#write(binding);
  }

  moveAlone({ binding: { root, generation } }: Entry, placement: Placement): Entry {
    return this.#write({ ...placement, root, generation });
  }

  /** All bindings that the store may have lost. */
  remembered(): Remembered[] {
    return [...this.#entries.values()];
  }

  /** The stored binding after a write-back. That alone does not make a binding more recent than it was. */
  restored(written: readonly Remembered[], held: readonly Binding[]): void {
    for (const [i, { binding }] of written.entries()) {
      const now = held[i] as Binding;
      const agent = binding.root.value;
      const entry = this.#entries.get(agent);
      if (entry === undefined || entry.binding !== binding) continue;
      const isSame = isSamePlace(now, binding) && now.generation === binding.generation && !entry.alone;
      this.#entries.set(agent, this.entryOf(now, isSame ? entry.epoch : 0, false));
    }
  }

  protected entryOf(binding: Binding, epoch: number, alone: boolean): Entry {
    const { instance, incarnation, root } = binding;
    const placed = { instance, incarnation, root };
    return { binding, epoch, alone, routed: { ...placed, epoch } };
  }

  #write(binding: Binding): Entry {
    const entry = this.entryOf(binding, 0, true);
    this.#entries.set(binding.root.value, entry);
    return entry;
  }
}

/** The key of an agent's binding, as views name it. */
export function keyOf(agent: string): string {
  return nameKey('user', agent);
}

function isOlder(binding: Binding, epoch: number, known: Entry): boolean {
  return epoch < known.epoch || (epoch === known.epoch && binding.generation < known.binding.generation);
}

export function isSamePlace(a: Placement, b: Placement): boolean {
  return a.instance === b.instance && a.incarnation === b.incarnation;
}
