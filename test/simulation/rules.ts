import { mustGiveUp } from '../../src/core/give-up.ts';
import { Replica } from '../../src/core/view/replica.ts';
import type { ReplicaOptions } from '../../src/core/view/replica-options.ts';
import { KnownBindings } from './bindings.ts';
import { Forget } from './forget.ts';
import type { Gateway } from './gateway.ts';
import type { StoreEvents } from './store.ts';
import { Store } from './store.ts';

/** The parts of the simulated world. A mutant replaces one of them. */
export interface Rules {
  createReplica(options: ReplicaOptions): Replica;
  createStore(events: StoreEvents): Store;
  createBindings(replica: Replica): KnownBindings;
  createForget(gateway: Gateway, agent: string): Forget;
  readonly mustGiveUp: typeof mustGiveUp;
}

export const RULES: Rules = {
  createReplica: (options) => new Replica(options),
  createStore: (events) => new Store(events),
  createBindings: (replica) => new KnownBindings(replica),
  createForget: (gateway, agent) => new Forget(gateway, agent),
  mustGiveUp,
};
