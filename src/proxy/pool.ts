import type { AgentBindings } from '../core/agent-bindings.ts';
import type { AgentGroups } from '../core/agent-groups.ts';
import type { Balancer, BalancerName, Load } from '../core/balancers.ts';
import type { InstanceId } from '../core/instance.ts';
import type { Rebalance } from '../core/rebalance.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { PoolMode } from '../core/view/view.ts';
import type { AgentOperations } from './agent-operations.ts';
import type { Upstream } from './upstream.ts';
import type { WaitQueue } from './wait-queue.ts';

/** How to treat requests that name no agent. */
export type AnonymousPolicy = 'any' | 'address' | 'refuse';

/**
 * How to answer an agent whose session was lost with its instance: `fault` tells the agent to log on again, `pass`
 * forwards the request to the agent's new instance.
 */
export type SessionLostAnswer = 'pass' | 'fault';

/** Everything that is needed to serve a pool. */
export interface Pool {
  readonly name: string;
  readonly mode: PoolMode;
  readonly anonymous: AnonymousPolicy;
  readonly sessionLost: SessionLostAnswer;
  readonly operations: AgentOperations;
  /** How long a binding lasts after a log-off, in ms. */
  readonly logoffGraceMs: number;
  readonly balancer: Balancer;
  /** Are requests bound to agents? {@link bindsAgents} */
  readonly bindsAgents: boolean;
  /** The configured name of `balancer`, for the origin of bindings. */
  readonly balancerName: BalancerName;
  /** Spreads requests that name no agent. */
  readonly anonymousBalancer: Balancer;
  readonly load: Load;
  /** Agents move as they log on again, also without an operator's request. */
  readonly rebalancesAlways?: boolean;
  /** {@link Rebalance.heardMs} and {@link Rebalance.leaseMs}. Without them no agent moves. */
  readonly heard?: Pick<Rebalance, 'heardMs' | 'leaseMs'>;
  /** Who belongs to which group; `undefined` if no agent belongs to one. */
  readonly groups: AgentGroups | undefined;
  /** The most agents that each instance should have, as far as they are limited. */
  readonly maxAgents: ReadonlyMap<InstanceId, number>;
  readonly bindings: AgentBindings;
  readonly upstreams: ReadonlyMap<InstanceId, Upstream>;
  readonly parking: WaitQueue;
  readonly routingState: RoutingState;
  /** Incremented with every change for which a request may wait. */
  changes: number;
  /** When the last request arrived, in monotonic ms. */
  lastRequestAt: number;
}

/** Are requests bound to agents? In a failover pool only to know which agents lose their session with the instance. */
export function bindsAgents({
  mode,
  sessionLost,
}: {
  readonly mode: PoolMode;
  readonly sessionLost: { readonly answer: SessionLostAnswer };
}): boolean {
  return mode === 'sticky' || sessionLost.answer === 'fault';
}
