import type { InstanceId } from '../../src/core/instance.ts';
import { partsOf } from '../../src/core/view/agreed-config.ts';
import type { ConfigParts } from '../../src/core/view/config-parts.ts';
import type { PoolRules } from '../../src/core/view/pool-rules.ts';
import type { ReplicaOptions } from '../../src/core/view/replica-options.ts';
import { Instance } from './instances.ts';
import type { Setup, Variant } from './story.ts';

// The instance for which a gateway may have another URL.
const ELSEWHERE = 'i0';

/** The configurations of gateways: that of the beginning of the story, or one with a single difference. */
export class Configurations {
  readonly #setup: Setup;
  readonly #instances: readonly Instance[];
  readonly #elsewhere: Instance;

  constructor(setup: Setup, instances: readonly Instance[]) {
    this.#setup = setup;
    this.#instances = instances;
    this.#elsewhere = Instance.elsewhere(`${ELSEWHERE}'`, setup.clocks.length);
  }

  /** The connectors that such a gateway has under the names of instances. */
  connectors(variant: Variant | undefined): ReadonlyMap<InstanceId, Instance> {
    const all = new Map(this.#instances.map((instance) => [instance.id, instance]));
    if (variant === 'instances') all.delete(this.#instances.at(-1)?.id ?? '');
    if (variant === 'url') all.set(ELSEWHERE, this.#elsewhere);
    return all;
  }

  optionsOf(variant: Variant | undefined): Pick<ReplicaOptions, 'rules' | 'weights' | 'parts'> {
    const rules = this.#rulesBy(variant);
    const weights = new Map(variant === 'priorities' ? [[ELSEWHERE, 5]] : []);
    const { failback: kind = 'never' } = this.#setup;
    const fixed: ConfigParts = {
      'identity.userHeader': variant === 'identity' ? 'other' : 'user',
      [`url:${ELSEWHERE}`]: variant === 'url' ? 'elsewhere' : 'here',
    };
    const parts = partsOf({ rules, weights, failback: { kind }, fixed });
    return { rules, weights, parts: () => parts };
  }

  #rulesBy(variant: Variant | undefined): PoolRules {
    const { mode, quorum, quarantines, incarnations } = this.#setup;
    const other = mode === 'sticky' ? 'failover' : 'sticky';
    const ids = [...this.connectors(variant).keys()];
    if (variant === 'priorities') ids.reverse();
    return {
      mode: variant === 'mode' ? other : mode,
      quorum,
      quarantines,
      countsLives: incarnations === 'counted',
      instances: ids.map((id, priority) => ({ id, priority, admin: 'enabled' })),
    };
  }
}
