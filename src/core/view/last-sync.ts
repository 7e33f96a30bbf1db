import type { SyncReply } from './view-store.ts';
import type { Ballot } from './health-report.ts';
import type { Policy } from './policy.ts';
import { NO_POLICY } from './policy.ts';

/** What the ledger has told a replica, apart from the view and what may be done with it. */
export interface Heard {
  /** Of the store; `''` before the first answer. */
  readonly life: string;
  readonly isOpen: boolean;
  /** The ledger has lost what this replica may still know. */
  readonly wantsState: boolean;
  /** Live replicas. */
  readonly replicas: number;
  readonly policy: Policy;
  readonly ballots: readonly Ballot[];
  /** Monotonic ms since when a replica has been heard to abstain. */
  readonly abstainsSince: ReadonlyMap<string, number>;
  /** What the ledger counts the changes of {@link ballots} by; 0 where it may count anew. */
  readonly ballotsState: number;
  /** The store's clock in its last answer, in ms since the Unix epoch. */
  readonly clock: number;
  /** Monotonic ms at which {@link clock} was asked for. */
  readonly askedAt: number;
}

export const NOTHING_HEARD: Heard = Object.freeze({
  life: '',
  isOpen: false,
  wantsState: false,
  replicas: 0,
  policy: NO_POLICY,
  ballots: Object.freeze([]) as readonly Ballot[],
  abstainsSince: new Map(),
  ballotsState: 0,
  clock: 0,
  askedAt: 0,
});

/** What is known after one more answer, which leaves out what has not changed since the one before. */
export function hear(before: Heard, reply: SyncReply, askedAt: number): Heard {
  const { life, open, wantsState, replicas, ballots, now } = reply;
  // What another life counts may have been counted before.
  const ballotsKnown = life === before.life ? before.ballotsState : 0;
  return {
    life,
    isOpen: open,
    wantsState,
    replicas,
    policy: policyAfter(before.policy, reply),
    ballots: ballots ?? before.ballots,
    abstainsSince: ballots === undefined ? before.abstainsSince : abstentions(before, ballots, askedAt),
    ballotsState: ballots === undefined ? ballotsKnown : reply.ballotsState,
    clock: now,
    askedAt,
  };
}

/** The store's clock, as of its last answer. */
export function storeClock({ clock, askedAt }: Heard, mono: number): number {
  return clock + mono - askedAt;
}

function abstentions(
  { abstainsSince }: Heard,
  ballots: readonly Ballot[],
  now: number,
): Heard['abstainsSince'] {
  const abstaining = ballots.filter(({ opinion }) => opinion === undefined);
  return new Map(abstaining.map(({ replica }) => [replica, abstainsSince.get(replica) ?? now]));
}

/** The ballots by which views are made: a replica that has abstained for a lease is not counted any more. */
export function ballotsOf({ ballots, abstainsSince, askedAt }: Heard, leaseMs: number): readonly Ballot[] {
  return ballots.map((ballot) => {
    const since = abstainsSince.get(ballot.replica);
    return since !== undefined && askedAt - since >= leaseMs ? { ...ballot, isAbsent: true } : ballot;
  });
}

/** An older one is what a store remembers that has lost the last; it will ask. */
function policyAfter(before: Policy, { policy, open }: SyncReply): Policy {
  return policy !== undefined && (open || policy.version > before.version) ? policy : before;
}
