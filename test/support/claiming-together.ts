import type { Embedded } from '../../src/affinity/embedded/store.ts';
import type { AffinityStore } from '../../src/core/ports.ts';

/** The same store, whose claims of one turn are written together, as those of a controller's workers are. */
export function claimingTogether(embedded: Embedded, store: AffinityStore): AffinityStore {
  const claim: AffinityStore['claim'] = (...args) => embedded.together(() => store.claim(...args));
  return new Proxy(store, {
    get: (target, key) => {
      if (key === 'claim') return claim;
      const value = target[key as keyof AffinityStore] as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
