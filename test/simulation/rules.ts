import { mustGiveUp } from '../../src/core/give-up.ts';
import { Replica } from '../../src/core/view/replica.ts';
import type { ReplicaOptions } from '../../src/core/view/replica-options.ts';
import { KnownBindings } from './bindings.ts';
import type { StoreEvents } from './store.ts';
import { Store } from './store.ts';

/** The parts of the simulated world. A mutant replaces one of them. */
export interface Rules {
  createReplica(options: ReplicaOptions): Replica;
  createStore(events: StoreEvents): Store;
  createBindings(replica: Replica): KnownBindings;
  readonly mustGiveUp: typeof mustGiveUp;
}

export const RULES: Rules = {
  createReplica: (options) => new Replica(options),
  createStore: (events) => new Store(events),
  createBindings: (replica) => new KnownBindings(replica),
  mustGiveUp,
};
