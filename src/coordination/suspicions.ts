import type { HealthState, InstanceId } from '../core/instance.ts';
import type { PoolCoordinatorOptions } from './coordinator-options.ts';

/** Which instances seem to be other than agreed, and since when; and whether the other gateways were told lately. */
export class Suspicions {
  readonly #agreed: (instance: InstanceId) => HealthState | undefined;
  readonly #since = new Map<InstanceId, number>();
  readonly #toldAt = new Map<InstanceId, number>();

  /** @param agreed the health of an instance in the newest view */
  constructor(agreed: (instance: InstanceId) => HealthState | undefined) {
    this.#agreed = agreed;
  }

  /** A probe, or a request that failed, says this of the instance. */
  seen(instance: InstanceId, says: 'up' | 'down'): void {
    const agreed = this.#agreed(instance);
    if (agreed === undefined || agreed === 'unknown' || says === agreed) this.#since.delete(instance);
    else if (!this.#since.has(instance)) this.#since.set(instance, performance.now());
  }

  /** For how long the instance has seemed to be other than agreed; `undefined` if it does not. */
  readonly lastedMs = (instance: InstanceId): number | undefined => {
    const since = this.#since.get(instance);
    return since === undefined ? undefined : performance.now() - since;
  };

  /** Tells the other gateways of a suspicion, unless they have been told lately. */
  tell(
    instance: InstanceId,
    { viewStore, suspectEveryMs }: Pick<PoolCoordinatorOptions, 'viewStore' | 'suspectEveryMs'>,
  ): void {
    const last = this.#toldAt.get(instance) ?? Number.NEGATIVE_INFINITY;
    if (performance.now() - last < suspectEveryMs) return;
    this.#toldAt.set(instance, performance.now());
    viewStore.suspect(instance);
  }
}
