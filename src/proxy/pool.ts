import type { AgentBindings } from '../core/agent-bindings.ts';
import type { Balancer, Load } from '../core/balancers.ts';
import type { InstanceId } from '../core/instance.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { PoolMode } from '../core/view/view.ts';
import type { Upstream } from './upstream.ts';
import type { WaitQueue } from './wait-queue.ts';

/** How to treat requests that name no agent. */
export type AnonymousPolicy = 'any' | 'address' | 'refuse';

/** How to answer an agent whose session was lost with its instance. */
export interface SessionLostPolicy {
  /** `fault` tells the agent to log on again. `pass` forwards the request to the agent's new instance. */
  readonly answer: 'pass' | 'fault';
  /** Local names of the operations with which an agent logs on. They are always forwarded. */
  readonly logonOperations: readonly string[];
}

/** Everything that is needed to serve a pool. */
export interface Pool {
  readonly name: string;
  readonly mode: PoolMode;
  readonly anonymous: AnonymousPolicy;
  readonly sessionLost: SessionLostPolicy;
  readonly balancer: Balancer;
  /** Are requests bound to agents? {@link bindsAgents} */
  readonly bindsAgents: boolean;
  /** Spreads requests that name no agent. */
  readonly anonymousBalancer: Balancer;
  readonly load: Load;
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
  readonly sessionLost: Pick<SessionLostPolicy, 'answer'>;
}): boolean {
  return mode === 'sticky' || sessionLost.answer === 'fault';
}
