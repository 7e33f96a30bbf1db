import { mustGiveUp } from '../../src/core/give-up.ts';
import { judgeRelayed } from '../../src/core/relay.ts';
import { Replica } from '../../src/core/view/replica.ts';
import type { ReplicaOptions } from '../../src/core/view/replica-options.ts';
import { outcomeFromField } from '../../src/proxy/relay-message.ts';
import { KnownBindings } from './bindings.ts';
import { Forget } from './forget.ts';
import type { Gateway } from './gateway.ts';
import type { StoreEvents } from './store.ts';
import { Store } from './store.ts';

/** How gateways hand requests to each other. */
export interface RelayRules {
  readonly judgeRelayed: typeof judgeRelayed;
  readonly outcomeFromField: typeof outcomeFromField;
  /** A peer does not judge a request again right before its first byte. */
  readonly judgesOnlyAtArrival: boolean;
  /** A peer does not give up what it has sent for another gateway. */
  readonly keepsRelayed: boolean;
  /** The sender takes a request for unsent although its peer has got it. */
  readonly retriesSent: boolean;
  /** A peer that cannot connect to the instance hands the request to another one. */
  readonly handsOn: boolean;
}

/** The parts of the simulated world. A mutant replaces one of them. */
export interface Rules {
  createReplica(options: ReplicaOptions): Replica;
  createStore(events: StoreEvents): Store;
  createBindings(replica: Replica): KnownBindings;
  createForget(gateway: Gateway, agent: string): Forget;
  readonly mustGiveUp: typeof mustGiveUp;
  readonly relaying: RelayRules;
}

export const RULES: Rules = {
  createReplica: (options) => new Replica(options),
  createStore: (events) => new Store(events),
  createBindings: (replica) => new KnownBindings(replica),
  createForget: (gateway, agent) => new Forget(gateway, agent),
  mustGiveUp,
  relaying: {
    judgeRelayed,
    outcomeFromField,
    judgesOnlyAtArrival: false,
    keepsRelayed: false,
    retriesSent: false,
    handsOn: false,
  },
};
