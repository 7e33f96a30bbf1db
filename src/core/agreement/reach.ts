import type { InstanceId, InstanceState } from '../instance.ts';
import type { View } from '../view.ts';
import type { Opinion } from './opinion.ts';

const NOBODY: ReadonlySet<InstanceId> = new Set();

/** What of a view one replica cannot reach itself, though the view calls it up, and for how long it could not. */
export class Reach {
  readonly #cutOffMs: number;
  #unreachable = NOBODY;
  #candidates: readonly InstanceState[] = [];
  /** Monotonic ms of the {@link tick} that first found it out of reach. */
  #since: ReadonlyMap<InstanceId, number> = new Map();
  #cutOff = NOBODY;

  /** @param cutOffMs how long an instance must be out of reach here alone to count as cut off */
  constructor(cutOffMs: number) {
    this.#cutOffMs = cutOffMs;
  }

  get unreachable(): ReadonlySet<InstanceId> {
    return this.#unreachable;
  }

  /** Those of the view's assignable instances that can be reached, and that something can be sent to. */
  get candidates(): readonly InstanceState[] {
    return this.#candidates;
  }

  get cutOff(): ReadonlySet<InstanceId> {
    return this.#cutOff;
  }

  /**
   * To be called whenever one of these has changed. Who abstains calls nothing unreachable.
   *
   * @param foreign instances that the configuration here does not name
   */
  compare(view: View, opinion: Opinion | undefined, foreign = NOBODY): void {
    const unreachable = new Set<InstanceId>();
    for (const [id, verdict] of Object.entries(opinion?.verdicts ?? {})) {
      if (verdict.health === 'down' && view.instances.get(id)?.health === 'up') unreachable.add(id);
    }
    this.#unreachable = unreachable;
    const { assignable } = view;
    this.#candidates =
      unreachable.size === 0 && foreign.size === 0
        ? assignable
        : assignable.filter(({ id }) => !unreachable.has(id) && !foreign.has(id));
  }

  /** Lets time pass, up to `mono` in monotonic ms. Returns true where {@link cutOff} has changed. */
  tick(mono: number): boolean {
    const since = new Map<InstanceId, number>();
    for (const id of this.#unreachable) since.set(id, this.#since.get(id) ?? mono);
    this.#since = since;
    const cutOff = [...since].filter(([, from]) => mono - from >= this.#cutOffMs).map(([id]) => id);
    if (cutOff.length === this.#cutOff.size && cutOff.every((id) => this.#cutOff.has(id))) return false;
    this.#cutOff = new Set(cutOff);
    return true;
  }
}
