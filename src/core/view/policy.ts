import type { AdminState, InstanceId } from '../instance.ts';
import type { AgentMove } from './agreed-view.ts';
import type { RequestedConfig } from './config-parts.ts';
import type { Quorum } from './health-report.ts';

/** When a failover pool goes back to a preferred instance. */
export type Failback =
  | { readonly kind: 'never' | 'when-idle' | 'immediate' }
  /** Once a day; `time` is `HH:MM` in the IANA time zone `zone`. */
  | { readonly kind: 'at'; readonly time: string; readonly zone: string };

/** What an operator wants of an instance, and why. */
export interface AdminAct {
  /** Unique. */
  readonly id: string;
  readonly state: AdminState;
  readonly by: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly why: string;
  /** A drain ends then even if agents are still bound; 0 for never. */
  readonly deadline: number;
}

/**
 * What all gateways of a store must hold to alike, whatever their configurations say.
 * The view's configuration says it too; here it stands for releases that know no other place.
 */
export interface AgreedRules {
  readonly quorum: Quorum;
  /** An instance that lost its agents stays out until it is shown to be new or empty. */
  readonly quarantines: boolean;
  /** A return from down is a new life where the health page does not tell. */
  readonly countsLives: boolean;
}

/** What operators decided of a pool. Kept in the store, so it holds for every replica and survives restarts. */
export interface Policy {
  /** Grows by one with every act; 0 before the first. */
  readonly version: number;
  readonly failback: Failback;
  /** Whose word `failback` is. An operator's outlives every configuration. */
  readonly failbackBy: 'configuration' | 'operator';
  /** By which rules views are made; `undefined` before the first gateway has said so. */
  readonly rules: AgreedRules | undefined;
  readonly instances: Readonly<Record<InstanceId, AdminAct>>;
  /** The instance that an operator wants active now. */
  readonly activate: { readonly id: string; readonly instance: InstanceId } | undefined;
  /** Instances released from quarantine, by the epoch in which that was done. */
  readonly released: Readonly<Record<InstanceId, number>>;
  /** Moves of single agents that are under way; those that are over are left out of the next policy. */
  readonly moves: readonly AgentMove[];
  /** The configuration that an operator wants agreed. Missing before the first such wish. */
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

/** How long after its time of day a failback may still be made up for. */
const FAILBACK_WINDOW_MINUTES = 5;

/** Is it the time of day that the policy names? */
export function isFailbackTime(time: string, zone: string, now: number): boolean {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  const parts = clock(zone).formatToParts(now);
  const part = (type: string): number => Number(parts.find((p) => p.type === type)?.value ?? 0);
  const since = (part('hour') % 24) * 60 + part('minute') - (hours * 60 + minutes);
  return (since + 1_440) % 1_440 < FAILBACK_WINDOW_MINUTES;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function clock(zone: string): Intl.DateTimeFormat {
  let format = clocks.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
    clocks.set(zone, format);
  }
  return format;
}
