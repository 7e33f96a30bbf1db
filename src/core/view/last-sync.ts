import type { ReplicaReport } from './health-report.ts';
import type { Policy } from './policy.ts';
import { NO_POLICY } from './policy.ts';
import type { SyncReply } from './view-store.ts';

/** What the view store last told a replica, apart from the view and the right to act on it. */
export interface LastSync {
  /** `''` before the first answer. */
  readonly storeGeneration: string;
  readonly isOpen: boolean;
  /** The view store has lost data that this replica may still have. */
  readonly wantsState: boolean;
  /** Live replicas. */
  readonly replicas: number;
  readonly policy: Policy;
  readonly reports: readonly ReplicaReport[];
  /** Since when each abstaining replica has been seen to abstain, in monotonic ms. */
  readonly abstainsSince: ReadonlyMap<string, number>;
  /** The view store's version of {@link reports}; 0 if the count may have restarted. */
  readonly reportsVersion: number;
  /** The store's clock at its last answer, in ms since the Unix epoch. */
  readonly clock: number;
  /** When {@link clock} was asked for, in monotonic ms. */
  readonly askedAt: number;
}

export const NO_SYNC: LastSync = Object.freeze({
  storeGeneration: '',
  isOpen: false,
  wantsState: false,
  replicas: 0,
  policy: NO_POLICY,
  reports: Object.freeze([]) as readonly ReplicaReport[],
  abstainsSince: new Map(),
  reportsVersion: 0,
  clock: 0,
  askedAt: 0,
});

/** The state after one more answer, which leaves out everything that has not changed since the previous one. */
export function afterSync(before: LastSync, reply: SyncReply, askedAt: number): LastSync {
  const { storeGeneration, open, wantsState, replicas, reports, now } = reply;
  // Another store generation may reuse a version number for other reports.
  const reportsKnown = storeGeneration === before.storeGeneration ? before.reportsVersion : 0;
  return {
    storeGeneration,
    isOpen: open,
    wantsState,
    replicas,
    policy: policyAfter(before.policy, reply),
    reports: reports ?? before.reports,
    abstainsSince: reports === undefined ? before.abstainsSince : abstentions(before, reports, askedAt),
    reportsVersion: reports === undefined ? reportsKnown : reply.reportsVersion,
    clock: now,
    askedAt,
  };
}

/** The store's current time, extrapolated from its last answer. */
export function storeClock({ clock, askedAt }: LastSync, mono: number): number {
  return clock + mono - askedAt;
}

function abstentions(
  { abstainsSince }: LastSync,
  reports: readonly ReplicaReport[],
  now: number,
): LastSync['abstainsSince'] {
  const abstaining = reports.filter(({ report }) => report === undefined);
  return new Map(abstaining.map(({ replica }) => [replica, abstainsSince.get(replica) ?? now]));
}

/** The reports that views are made from: a replica that has abstained for a whole lease no longer counts. */
export function countedReports(
  { reports, abstainsSince, askedAt }: LastSync,
  leaseMs: number,
): readonly ReplicaReport[] {
  return reports.map((report) => {
    const since = abstainsSince.get(report.replica);
    return since !== undefined && askedAt - since >= leaseMs ? { ...report, isAbsent: true } : report;
  });
}

/** An older policy comes from a store that has lost the newest one; the store will ask for it. */
function policyAfter(before: Policy, { policy, open }: SyncReply): Policy {
  return policy !== undefined && (open || policy.version > before.version) ? policy : before;
}
