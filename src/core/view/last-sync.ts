import type { ReplicaReport } from './health-report.ts';
import type { Policy } from './policy.ts';
import { NO_POLICY } from './policy.ts';
import type { SyncReply } from './view-store.ts';

/** What the ledger has told a replica, apart from the view and what may be done with it. */
export interface LastSync {
  /** Of the store; `''` before the first answer. */
  readonly storeGeneration: string;
  readonly isOpen: boolean;
  /** The ledger has lost what this replica may still know. */
  readonly wantsState: boolean;
  /** Live replicas. */
  readonly replicas: number;
  readonly policy: Policy;
  readonly reports: readonly ReplicaReport[];
  /** Monotonic ms since when a replica has been heard to abstain. */
  readonly abstainsSince: ReadonlyMap<string, number>;
  /** What the ledger counts the changes of {@link reports} by; 0 where it may count anew. */
  readonly reportsVersion: number;
  /** The store's clock in its last answer, in ms since the Unix epoch. */
  readonly clock: number;
  /** Monotonic ms at which {@link clock} was asked for. */
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

/** What is known after one more answer, which leaves out what has not changed since the one before. */
export function afterSync(before: LastSync, reply: SyncReply, askedAt: number): LastSync {
  const { storeGeneration, open, wantsState, replicas, reports, now } = reply;
  // What another life counts may have been counted before.
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

/** The store's clock, as of its last answer. */
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

/** The ballots by which views are made: a replica that has abstained for a lease is not counted any more. */
export function countedReports(
  { reports, abstainsSince, askedAt }: LastSync,
  leaseMs: number,
): readonly ReplicaReport[] {
  return reports.map((report) => {
    const since = abstainsSince.get(report.replica);
    return since !== undefined && askedAt - since >= leaseMs ? { ...report, isAbsent: true } : report;
  });
}

/** An older one is what a store remembers that has lost the last; it will ask. */
function policyAfter(before: Policy, { policy, open }: SyncReply): Policy {
  return policy !== undefined && (open || policy.version > before.version) ? policy : before;
}
