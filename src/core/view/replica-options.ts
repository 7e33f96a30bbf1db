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
  /** Weight of each instance in this replica's configuration; 1 if missing. */
  readonly weights: ReadonlyMap<InstanceId, number>;
  /**
   * The configuration of all processes that act for this replica; the same object while it does not change. If they
   * differ, as during a reload, it is the configuration of the process that has acted longest. By default it is made
   * from `rules` and `weights`.
   */
  readonly parts?: () => ConfigParts;
  readonly leaseMs: number;
  readonly onStoreLoss: 'continue' | 'refuse';
  /**
   * How long the store must fail to answer before it counts as away. This must be more than half a lease: by then
   * claims that wait in a hanging store are refused when it resumes.
   */
  readonly awayMs: number;
  /** How long only this replica must fail to reach an instance before its agents are told. */
  readonly cutOffMs: number;
  /** Makes the ids of views unique; must never return the same value twice. */
  readonly newId: () => string;
  /**
   * Does this replica know the agents that others have placed? If not, placing agents in degraded mode would split
   * them.
   */
  readonly knowsAgents?: () => boolean;
  /** Failing operations on bindings, in any process that acts for this replica. */
  readonly claimTrouble?: () => ClaimTrouble | undefined;
  /** Other processes act for this replica. A view counts as adopted only after {@link Replica.confirm}. */
  readonly awaitsConfirmation?: boolean;
  /** May another process that acts for this replica hold a lease at this moment, in monotonic ms? */
  readonly othersHold?: (mono: number) => boolean;
  /**
   * How far the monotonic clock lags behind the one that an earlier process of this replica numbered its requests by.
   */
  readonly clockOffsetMs?: number;
  /** What an earlier process of this replica knew last. */
  readonly earlierKnowledge?: Knowledge;
}

/** Handed to a replica that restarts, so that it does not depend on what the store still has. */
export interface Knowledge {
  readonly agreed: AgreedView;
  readonly policy: Policy;
}
