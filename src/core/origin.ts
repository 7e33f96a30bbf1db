import type { BalancerName } from './balancers.ts';
import type { InstanceId } from './instance.ts';

/** How an instance lost an agent: `inactive` in failover pools only, where another instance became the active one. */
export type Loss = 'down' | 'disabled' | 'restarted' | 'removed' | 'inactive';

/**
 * Why a binding was made or moved.
 *
 * `claimed`: a new agent was placed by the balancer. `grouped`: its group was there. `joined`: the agent's session had
 * been bound without a user name before, and the user took over its place. `rebound`: the instance before had lost the
 * agent. `moved`: an operator moved the agent. `placed-alone`: a gateway placed the agent while the store was away.
 * `written-back`: the store had lost the binding, and a gateway wrote it back from its memory.
 */
export type Cause =
  | { readonly kind: 'claimed'; readonly balancer: BalancerName }
  | { readonly kind: 'grouped' }
  | { readonly kind: 'joined' }
  | { readonly kind: 'rebound'; readonly from: InstanceId; readonly loss: Loss }
  | { readonly kind: 'moved'; readonly by: string; readonly why: string }
  | { readonly kind: 'placed-alone' }
  | { readonly kind: 'written-back' };

/** Since when, and why, a binding holds. The store keeps it beside the binding. */
export interface Origin {
  /** Milliseconds since the Unix epoch, by the store's clock. */
  readonly since: number;
  /** The epoch of the view in which the binding was made or moved; 0 without a view. */
  readonly epoch: number;
  /** The name of the gateway that did it, shortened if it is long; `''` if it is not known. */
  readonly gateway: string;
  readonly cause: Cause;
}
