import type { AdminState, InstanceId } from '../instance.ts';
import type { AgentMove } from './agreed-view.ts';
import type { RequestedConfig } from './config-parts.ts';
import type { Quorum } from './health-report.ts';

/** When a failover pool returns to a preferred instance. */
export type Failback =
  | { readonly kind: 'never' | 'when-idle' | 'immediate' }
  /** Once a day; `time` is `HH:MM` in the IANA time zone `zone`. */
  | { readonly kind: 'at'; readonly time: string; readonly zone: string };

/** What an operator decided about an instance, and why. */
export interface AdminAct {
  /** Unique. */
  readonly id: string;
  readonly state: AdminState;
  readonly by: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly why: string;
  /** The drain ends at this time even if agents are still bound; 0 for never. */
  readonly deadline: number;
}

/** An operator lets agents move as they log on again. */
export interface RequestedRebalance {
  readonly by: string;
  readonly why: string;
  /** Milliseconds since the Unix epoch; 0 if an operator has ended it. */
  readonly until: number;
}

/**
 * Rules that must be the same in all gateways of a store, whatever their configurations say. The agreed configuration
 * holds them too; this copy is for releases that do not know it.
 */
export interface AgreedRules {
  readonly quorum: Quorum;
  /** An instance that lost its agents takes no new ones until it is known to be new or empty. */
  readonly quarantines: boolean;
  /** An instance that comes back from down counts as restarted if its health page shows no incarnation. */
  readonly countsLives: boolean;
}

/** What operators decided about a pool. The store keeps it, so it applies to every replica and survives restarts. */
export interface Policy {
  /** Grows by one with every change; 0 before the first. */
  readonly version: number;
  readonly failback: Failback;
  /** Where `failback` comes from. An operator's choice outlasts every change of the configuration. */
  readonly failbackBy: 'configuration' | 'operator';
  /** The rules for making views; `undefined` until the first gateway has set them. */
  readonly rules: AgreedRules | undefined;
  readonly instances: Readonly<Record<InstanceId, AdminAct>>;
  /** The operator's latest request to activate an instance. */
  readonly activate: { readonly id: string; readonly instance: InstanceId } | undefined;
  /** Instances released from quarantine, with the epoch in which the quarantine began. */
  readonly released: Readonly<Record<InstanceId, number>>;
  /** Moves of single agents in progress. The next policy drops those that are over. */
  readonly moves: readonly AgentMove[];
  /** Until when agents move to instances that have fewer as they log on again; missing before the first request. */
  readonly rebalance?: RequestedRebalance;
  /** The configuration that an operator requested; missing before the first request. */
  readonly config?: RequestedConfig;
}

export const NO_POLICY: Policy = Object.freeze({
  version: 0,
  failback: Object.freeze({ kind: 'never' }) as Failback,
  failbackBy: 'configuration',
  rules: undefined,
  instances: Object.freeze({}),
  activate: undefined,
  released: Object.freeze({}),
  moves: Object.freeze([]) as readonly AgentMove[],
});

/** Until when agents move as they log on again; 0 if no request holds any more. */
export function rebalancesBy({ policy, now }: { readonly policy: Policy; readonly now: number }): number {
  const until = policy.rebalance?.until ?? 0;
  return now < until ? until : 0;
}
