import type { AdminState, HealthState, InstanceId } from '../instance.ts';
import type { ConfigParts } from './config-parts.ts';

/** What the replicas agree on about one instance. */
export interface AgreedInstance {
  readonly health: HealthState;
  readonly admin: AdminState;
  /** The operator's act that set `admin`; `''` if the configuration did. */
  readonly act: string;
  /** The current incarnation, shown by the health page or counted; `''` if neither is available. */
  readonly incarnation: string;
  /** Incarnations that have ended, the latest last. Bounded. */
  readonly past: readonly string[];
  /** How many incarnations were seen to start. Numbers the incarnations of an instance whose page shows none. */
  readonly lives: number;
  /** The epoch since which the instance may hold sessions of agents that other instances serve now; 0 if it cannot. */
  readonly quarantinedAt: number;
  /**
   * The last epoch in which bindings to this instance could be moved elsewhere. Anything a replica learnt about a
   * binding in this epoch or before may be outdated.
   */
  readonly lostAt: number;
}

/**
 * In place of the instance that an agent is moved to: an operator ends the agent's binding, and until it has ended no
 * instance may serve the agent. No instance has this id, so earlier releases do not serve the agent either.
 */
export const NOWHERE = '';

/** An operator's move of one agent to another instance, or the end of the agent's binding. */
export interface AgentMove {
  /** The key of the root of the agent's binding, in stored form. */
  readonly key: string;
  readonly from: InstanceId;
  readonly to: InstanceId | typeof NOWHERE;
  /** The move counts as done from then on, even if the agent was idle; milliseconds since the Unix epoch. */
  readonly until: number;
  /** The operator and the reason. Missing if a gateway of an earlier release has begun the move. */
  readonly by?: string;
  readonly why?: string;
}

/**
 * What the replicas agree on about a pool: the document in the view store. It is immutable; every change makes a new
 * document with the next epoch.
 */
export interface AgreedView {
  readonly epoch: number;
  /** Unique to this document. Two views can have the same epoch only if a store has lost one of them. */
  readonly id: string;
  /** False until every instance is known to be up or down, or the time for that is over. */
  readonly settled: boolean;
  readonly instances: Readonly<Record<InstanceId, AgreedInstance>>;
  /**
   * Failover pools: the instance that serves all agents. It stays active while it is down and no other can take over.
   */
  readonly active: InstanceId | '';
  /** Milliseconds since the Unix epoch, by the store's clock; 0 if no instance is active. */
  readonly activeSince: number;
  /** The id of the operator's last carried-out request to activate an instance. */
  readonly activated: string;
  /** Agents that only the instance they are moved to may serve; {@link NOWHERE} means none. */
  readonly moving: readonly AgentMove[];
  /**
   * Until when an agent who has logged off may move at the next log-on, to where fewer agents are: an operator's request.
   * 0 or missing without one. Earlier releases keep it, and move no agent for it.
   */
  readonly rebalancesUntil?: number;
  /** The configuration that all gateways act on. Missing until a gateway has started whose release supports it. */
  readonly config?: ConfigParts;
  /** The id of the operator's last carried-out request to change the configuration. */
  // A stored name; elsewhere such a request is called a requested configuration.
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

/**
 * What concerns one gateway, and so is in the event logs of all its pools. `state` and `options`: the gateway's state or
 * its own options changed, for whatever reason, such as a signal. The others: an operator asked for it.
 */
export type GatewayEventKind = 'maintenance' | 'stop' | 'restart' | 'reload' | 'state' | 'options';

/** What a change of an instance's health follows from. Missing in events of earlier releases. */
export interface EventBasis {
  /** What each live gateway had reported of the instance. */
  readonly reports: Readonly<Record<string, 'up' | 'down' | 'unknown' | 'abstains'>>;
  /** The agents that were bound to the instance and must be served elsewhere, or log on again; missing if not counted. */
  readonly agents?: number;
  /**
   * From the first sign that contradicted the view before, at the gateway that proposed this one, to the proposal. Missing
   * if that gateway saw none itself.
   */
  readonly doubtedMs?: number;
}

/** A change made by a new view or by an operator: one line of the pool's event log. */
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
    | 'forgotten'
    | 'failback-policy'
    | 'rebalance'
    | 'configured'
    | 'activate'
    | 'release'
    | GatewayEventKind;
  /** The instance concerned; `''` if the event concerns the whole pool. */
  readonly instance: InstanceId | '';
  readonly from: string;
  readonly to: string;
  /** The replica or the operator that caused the change. */
  readonly by: string;
  readonly why: string;
  /** The address from which an operator acted. */
  readonly source?: string;
  /** The gateway that alone is concerned. */
  readonly gateway?: string;
  readonly basis?: EventBasis;
}

/** An event as the log stores it. */
export interface LoggedEvent extends PoolEvent {
  /** Milliseconds since the Unix epoch; of an act that was repeated, the last time. */
  readonly at: number;
  readonly epoch: number;
  /** How often an act was repeated, and when it was made first. Missing if it was made once. */
  readonly times?: number;
  readonly firstAt?: number;
}
