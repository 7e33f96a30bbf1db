import type { AdminState, HealthState, InstanceId } from '../instance.ts';
import type { ConfigParts } from './config-parts.ts';

/** What the replicas agree on about one instance. */
export interface AgreedInstance {
  readonly health: HealthState;
  readonly admin: AdminState;
  /** The operator's act that `admin` follows; `''` where it is the configuration's. */
  readonly act: string;
  /** The life it is in: as its health page shows it, or counted; `''` where neither is done. */
  readonly incarnation: string;
  /** Lives that have ended, the latest last. Bounded. */
  readonly past: readonly string[];
  /** How often it was seen to begin a life, for counting where no page tells. */
  readonly lives: number;
  /** Epoch since which it may hold sessions of agents that are served elsewhere now; 0 if it may not. */
  readonly quarantinedAt: number;
  /**
   * The last epoch in which bindings to it could be moved elsewhere. What a
   * replica learnt of a binding in that epoch or before may be outdated.
   */
  readonly lostAt: number;
}

/** One agent on his way to another instance, because an operator said so. */
export interface AgentMove {
  /** The key of the root of his binding, in stored form. */
  readonly key: string;
  readonly from: InstanceId;
  readonly to: InstanceId;
  /** When the move counts as done, however idle the agent; milliseconds since the Unix epoch. */
  readonly until: number;
}

/**
 * What the replicas agree on about a pool: the document that the ledger holds.
 * Immutable; every change is a new document with the next epoch.
 */
export interface AgreedView {
  readonly epoch: number;
  /** Unique to this document. Two views of one epoch can only be met where a store lost one of them. */
  readonly id: string;
  /** False until every instance has a verdict, or the time for that ran out. */
  readonly settled: boolean;
  readonly instances: Readonly<Record<InstanceId, AgreedInstance>>;
  /** Failover pools: who serves all. It stays the incumbent while it is down and nobody else can take over. */
  readonly active: InstanceId | '';
  /** Milliseconds since the Unix epoch, by the store's clock; 0 where nobody is active. */
  readonly activeSince: number;
  /** The operator's wish for another active instance that was carried out last. */
  readonly activated: string;
  /** Agents who may be served by no other instance than the one they are moved to. */
  readonly moving: readonly AgentMove[];
  /** The configuration by which all gateways act. Missing as long as no gateway has started that knows of it. */
  readonly config?: ConfigParts;
  /** The operator's wish for another configuration that was carried out last. */
  readonly configWish?: string;
}

export const NO_VIEW: AgreedView = Object.freeze({
  epoch: 0,
  id: '',
  settled: false,
  instances: Object.freeze({}),
  active: '',
  activeSince: 0,
  activated: '',
  moving: Object.freeze([]) as readonly AgentMove[],
});

/** Something that a new view changed, or that an operator did: a line of the pool's event log. */
export interface PoolEvent {
  readonly kind:
    | 'up'
    | 'down'
    | 'restarted'
    | 'quarantined'
    | 'cleared'
    | 'active'
    | 'drained'
    | 'admin'
    | 'moved'
    | 'failback-policy'
    | 'configured'
    | 'activate'
    | 'release';
  /** The instance it is about; `''` for what is about the pool. */
  readonly instance: InstanceId | '';
  readonly from: string;
  readonly to: string;
  /** Who: a replica, or an operator. */
  readonly by: string;
  readonly why: string;
}
