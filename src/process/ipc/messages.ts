import type { Binding } from '../../core/binding.ts';
import type { ExplainQuestion, Explanation } from '../../core/explanation.ts';
import type { CountsOfSecond } from '../../core/history/pool-counts.ts';
import type { Name } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type { HeardLogOff } from '../../core/ports.ts';
import type { RequestQuery, WorkerRequests } from '../../core/recent-requests.ts';
import type { SeenNames } from '../../core/seen-names.ts';
import type { ConfigParts } from '../../core/view/config-parts.ts';
import type { Knowledge } from '../../core/view/replica-options.ts';
import type { RoutingStateSnapshot } from '../../core/view/routing-state-copy.ts';
import type { Totals } from '../../telemetry/totals.ts';
import type { PoolLoad } from './pool-load.ts';

/**
 * The messages between the controller and the workers of one host, beside the calls
 * of `calls.ts`. Times are by the host's clock.
 */

/** All that a worker needs to carry a pool's traffic. */
export interface RoutingStateUpdate {
  // `kind` and `standing` keep the words that processes of earlier releases send and read.
  readonly kind: 'bulletin';
  readonly pool: string;
  readonly standing: RoutingStateSnapshot;
  /** Live bindings per instance. */
  readonly counts: ReadonlyMap<InstanceId, number>;
  /** The resolved addresses of instances whose URLs contain a host name. */
  readonly addresses?: ReadonlyMap<InstanceId, readonly string[]> | undefined;
  /** The workers keep this for the next controller. */
  readonly knowledge: Knowledge;
}

export type ToWorker =
  | RoutingStateUpdate
  /** Answers a `hello`, before the first updates. This controller publishes updates for these pools only. */
  | { readonly kind: 'pools'; readonly pools: readonly string[] }
  /** A suspect instance has passed a probe. */
  | { readonly kind: 'reassured'; readonly pool: string }
  | { readonly kind: 'totals'; readonly totals: Totals }
  /** A controller that has just started asks the existing workers what they know. */
  | { readonly kind: 'who' }
  /** A change that another worker made in the embedded store. */
  | { readonly kind: 'store'; readonly pool: string; readonly news: StoreNews };

/** The arguments of `AffinityListener`. Names are in stored form. */
export interface StoreNews {
  readonly moved: readonly Name[];
  readonly bound:
    | {
        readonly binding: Binding;
        readonly aliases: readonly Name[];
        readonly epoch: number;
        /** Missing from a controller of an earlier release. */
        readonly isNew?: boolean;
      }
    | undefined;
  /** The first of the moved names is the root of an agent who has logged off. Earlier releases only forget it. */
  readonly loggedOff?: HeardLogOff;
}

export type ToController =
  /** A worker's first message to a controller. The answer is an update for each pool, as soon as there is one. */
  | {
      readonly kind: 'hello';
      readonly knowledge: ReadonlyMap<string, Knowledge>;
      readonly totals: Totals | undefined;
      /** The worker's configuration of each pool. Missing from a worker of an earlier release. */
      readonly parts?: ReadonlyMap<string, ConfigParts>;
    }
  /** Acknowledges a view: the worker acts on this view and on no earlier one. */
  | { readonly kind: 'adopted'; readonly pool: string; readonly viewId: string }
  | { readonly kind: 'suspect'; readonly pool: string; readonly instance: InstanceId }
  | { readonly kind: 'load'; readonly load: WorkerLoad }
  /** What the worker counted in a second since the Unix epoch, sent at its end. Earlier releases ignore it. */
  | { readonly kind: 'second'; readonly second: number; readonly counts: CountsOfSecond }
  /** An agent was placed or moved while the store was away, for the snapshot. Earlier releases ignore it. */
  | {
      readonly kind: 'decided-alone';
      readonly pool: string;
      readonly binding: Binding;
      readonly aliases: readonly Name[];
    }
  /** In the format of prom-client's `getMetricsAsJSON`. */
  | { readonly kind: 'metrics'; readonly metrics: readonly unknown[] };

export interface WorkerLoad {
  readonly pools: ReadonlyMap<string, PoolLoad>;
  /** Requests in the worker. */
  readonly inFlight: number;
}

/** Calls to a worker. */
export interface WorkerCalls {
  /** Resolves once the worker has written all its bindings into this generation of the store. */
  writeBack(pool: string, storeGeneration: string): Promise<void>;
  metrics(): Promise<readonly unknown[]>;
  /**
   * The latest other names that lead to a root, as the worker has them cached; `undefined` if it may lack some. A worker
   * of an earlier release rejects.
   *
   * @param key of the root's stored form
   */
  aliases(pool: string, key: string): Promise<readonly Name[] | undefined>;
  /** How requests named their agents in the last hour. A worker of an earlier release rejects. */
  seenNames(pool: string): Promise<SeenNames>;
  /** How the worker would route a request now. A worker of an earlier release rejects. */
  explain(question: ExplainQuestion): Promise<Explanation>;
  /** The last requests that it has handled. A worker of an earlier release rejects. */
  recentRequests(query: RequestQuery): Promise<WorkerRequests>;
}

/** Calls to the controller. */
export interface ControllerCalls {
  /** Resolves once the view store has answered, or its time limit is over. */
  renew(pool: string): Promise<void>;
  /**
   * Reports a claim that failed.
   *
   * @param sinceMs when the claim was sent, by the host's clock
   * @param wasLate whether the worker's timer fired late when it gave up the claim
   */
  storeFailed(pool: string, sinceMs: number, wasLate: boolean): Promise<void>;
}
