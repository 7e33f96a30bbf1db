import type { Thresholds } from '../core/health.ts';
import type { InstanceId } from '../core/instance.ts';
import type { ViewStoreClient } from '../core/ports.ts';
import type { Drift } from '../core/view/local-config.ts';
import type { RelayOffer } from '../core/view/local-health-report.ts';
import type { ReplicaOptions } from '../core/view/replica-options.ts';
import type { View } from '../core/view/view.ts';

export interface CoordinatorEvents {
  /** The view by which requests are routed has changed. */
  onView(before: View, after: View): void;
  onStoreState(state: 'away' | 'available', detail: string | undefined): void;
  /** The set of instances that the peers can reach and this gateway cannot has changed. */
  onCutOff(instances: ReadonlySet<InstanceId>): void;
  /** The differences between this gateway's configuration and the agreed one have changed. */
  onDrift?(drift: Drift): void;
  /** The reason why claims fail although the view store answers; `undefined` when they work again. */
  onClaims?(failure: string | undefined): void;
  onAbstention(abstains: boolean, reason: string): void;
  /** Another gateway takes part in the pool, or no longer does. */
  onPeer?(gateway: string, change: 'came' | 'gone'): void;
  /** The store may have lost data. */
  onStoreRenewed?(): void;
  /** Writing bindings back failed, although the store is not away. It will be tried again. */
  onNotRestored(error: unknown): void;
  /** A probe failed: the first one at a healthy instance, or the one that made this gateway report it as down. */
  onProbeFailed(instance: InstanceId, reason: string | undefined, isDownNow: boolean): void;
  /** For the metric. `decree` is its name for a change of the policy (`commitPolicy`). */
  onOperation(operation: 'sync' | 'propose' | 'decree', outcome: 'ok' | 'unavailable'): void;
}

/** Brings the routing state to the workers of this host. */
export interface Publisher {
  /** To be called when the routing state may have changed, even if only its lease was extended. */
  publish(): void;
  /** The time until which a worker may act on what was published, in monotonic ms. */
  mayActUntil(): number;
}

export interface PoolCoordinatorOptions {
  readonly replica: ReplicaOptions;
  readonly thresholds: Thresholds;
  readonly viewStore: ViewStoreClient;
  /** The interval of syncs when there is no news, in ms. */
  readonly renewMs: number;
  /** The time without an answer after which the view store is in doubt, in ms. */
  readonly doubtMs: number;
  /** The time without an answer after which the view store is asked again, in ms. */
  readonly answerMs: number;
  /** The shortest interval at which peers are told about the same suspect, in ms. */
  readonly suspectEveryMs: number;
  /** Writes bindings back after the store was away or lost data. Rejects while it cannot. */
  readonly writeBack: (storeGeneration: string) => Promise<unknown>;
  readonly boundAgents: (instance: InstanceId) => number | undefined;
  /** Has this gateway had no request for the pool for long enough to call it idle? */
  readonly isIdle: () => boolean;
  /** How this gateway takes requests of its peers; missing if it takes none. To be followed by `renew` if it changes. */
  readonly relay?: RelayOffer | undefined;
  readonly events: CoordinatorEvents;
  readonly publisher?: Publisher;
}
