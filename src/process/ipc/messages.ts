import type { Binding } from '../../core/binding.ts';
import type { Name } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type { Parts } from '../../core/view/agreed-config.ts';
import type { Knowledge } from '../../core/view/replica-options.ts';
import type { RoutingStateSnapshot } from '../../core/view/routing-state-copy.ts';
import type { PoolLoad } from './pool-load.ts';
import type { Totals } from './totals.ts';

/**
 * What the controller and the workers of one host tell each other, beside the
 * calls of `calls.ts`. Times are by the host's clock.
 */

/** What a worker needs to carry a pool's traffic. */
export interface RoutingStateUpdate {
  readonly kind: 'bulletin';
  readonly pool: string;
  readonly standing: RoutingStateSnapshot;
  /** Live bindings per instance. */
  readonly counts: ReadonlyMap<InstanceId, number>;
  /** Where the instances are whose URLs have a host name. */
  readonly addresses?: ReadonlyMap<InstanceId, readonly string[]> | undefined;
  /** Kept by the workers for the next controller. */
  readonly knowledge: Knowledge;
}

export type ToWorker =
  | RoutingStateUpdate
  /** Answers a hello, before the bulletins: of no other pool will there be one from this controller. */
  | { readonly kind: 'pools'; readonly pools: readonly string[] }
  /** An instance that was in doubt is well. */
  | { readonly kind: 'reassured'; readonly pool: string }
  | { readonly kind: 'totals'; readonly totals: Totals }
  /** A controller that has just started asks who is there, and what they know. */
  | { readonly kind: 'who' }
  /** The embedded store: what another worker did in it. */
  | { readonly kind: 'store'; readonly pool: string; readonly news: StoreNews };

/** As `AffinityListener` has it. Names are in stored form. */
export interface StoreNews {
  readonly moved: readonly Name[];
  readonly bound:
    | { readonly binding: Binding; readonly aliases: readonly Name[]; readonly epoch: number }
    | undefined;
}

export type ToController =
  /** Begins every acquaintance; answered by a bulletin for each pool, as soon as there is one. */
  | {
      readonly kind: 'hello';
      readonly knowledge: ReadonlyMap<string, Knowledge>;
      readonly totals: Totals | undefined;
      /** What its configuration says of each pool. Missing from a worker of an earlier version. */
      readonly parts?: ReadonlyMap<string, Parts>;
    }
  /** The worker acts on this view and on no earlier one. */
  | { readonly kind: 'adopted'; readonly pool: string; readonly viewId: string }
  | { readonly kind: 'suspect'; readonly pool: string; readonly instance: InstanceId }
  | { readonly kind: 'load'; readonly load: WorkerLoad }
  /** As prom-client's `getMetricsAsJSON` gives them. */
  | { readonly kind: 'metrics'; readonly metrics: readonly unknown[] };

export interface WorkerLoad {
  readonly pools: ReadonlyMap<string, PoolLoad>;
  /** Requests in the worker. */
  readonly inFlight: number;
}

/** Workers are asked for these. */
export interface WorkerCalls {
  /** Resolves once everything that the worker knows has been written into this life of the store. */
  writeBack(pool: string, life: string): Promise<void>;
  metrics(): Promise<readonly unknown[]>;
}

/** The controller is asked for these. */
export interface ControllerCalls {
  /** Resolves once the ledger has answered, or has not in time. */
  renew(pool: string): Promise<void>;
  /**
   * @param sinceMs when the claim was made, by the host's clock
   * @param wasLate the worker's timer that gave it up was late
   */
  storeFailed(pool: string, sinceMs: number, wasLate: boolean): Promise<void>;
}
