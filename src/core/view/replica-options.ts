import type { InstanceId } from '../instance.ts';
import type { AgreedView } from './agreed-view.ts';
import type { ClaimTrouble } from './claim-watch.ts';
import type { ConfigParts } from './config-parts.ts';
import type { Policy } from './policy.ts';
import type { PoolRules } from './pool-rules.ts';

export interface ReplicaOptions {
  readonly id: string;
  readonly pool: string;
  readonly rules: PoolRules;
  /** Weight of each instance in this replica's configuration; 1 where it is missing. */
  readonly weights: ReadonlyMap<InstanceId, number>;
  /**
   * What the configuration of all who act for this replica says, the same object as long as it is the same. Where
   * they differ, as during a reload, that of the one that has acted for it the longest. By default what `rules` and
   * `weights` say.
   */
  readonly parts?: () => ConfigParts;
  readonly leaseMs: number;
  readonly onStoreLoss: 'continue' | 'refuse';
  /**
   * How long the store must have failed to answer before it counts as away. Longer than half a lease: by then no
   * claim that waits in a store that stands still is carried out any more.
   */
  readonly awayMs: number;
  /** How long an instance must be out of reach here alone before its agents are told. */
  readonly cutOffMs: number;
  /** What makes the id of a view unique; must never repeat. */
  readonly newId: () => string;
  /** Are the agents known that others have placed? While they are not, placing them alone would split them. */
  readonly knowsAgents?: () => boolean;
  /** What is asked of the store's bindings and fails, wherever it is asked. */
  readonly claimTrouble?: () => ClaimTrouble | undefined;
  /** Others act for this replica, and it has adopted a view only once {@link Replica.confirm} says that they have. */
  readonly awaitsConfirmation?: boolean;
  /** May another process that acts for this replica hold a lease, at this moment in monotonic ms? */
  readonly othersHold?: (mono: number) => boolean;
  /** What the monotonic clock lags behind one that an earlier process of this replica numbered its requests by. */
  readonly clockOffsetMs?: number;
  /** What an earlier process of this replica knew last. */
  readonly knew?: Knowledge;
}

/** What a replica that is started again may be told, so that it does not depend on what the store still has. */
export interface Knowledge {
  readonly agreed: AgreedView;
  readonly policy: Policy;
}
