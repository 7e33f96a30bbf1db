import type { AgentBindings } from '../core/agent-bindings.ts';
import type { Balancer, Load } from '../core/balancers.ts';
import type { InstanceId } from '../core/instance.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { PoolMode } from '../core/view/view.ts';
import type { Upstream } from './upstream.ts';
import type { WaitQueue } from './wait-queue.ts';

/** What becomes of requests that name no agent. */
export type AnonymousPolicy = 'any' | 'address' | 'refuse';

/** What an agent is told whose session was lost with its instance. */
export interface SessionLostPolicy {
  /** `fault`: to log on again. `pass`: nothing, the request goes to the instance that the agent is bound to now. */
  readonly answer: 'pass' | 'fault';
  /** Local names of the operations with which an agent logs on; they go through in any case. */
  readonly logonOperations: readonly string[];
}

/** Everything that serving a pool takes, put together once. */
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
  /** Counted up with every change for which a request may wait. */
  changes: number;
  /** When the last request came, in monotonic ms. */
  lastRequestAt: number;
}

/**
 * Are requests bound to agents? Where one instance serves all, only in order to
 * know which agents lose their session with it.
 */
export function bindsAgents({
  mode,
  sessionLost,
}: {
  readonly mode: PoolMode;
  readonly sessionLost: Pick<SessionLostPolicy, 'answer'>;
}): boolean {
  return mode === 'sticky' || sessionLost.answer === 'fault';
}
