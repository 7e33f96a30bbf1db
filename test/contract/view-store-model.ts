import fc from 'fast-check';
import { expect } from 'vitest';
import type { ViewStoreClient } from '../../src/core/ports.ts';
import type { AgreedView, LoggedEvent } from '../../src/core/view/agreed-view.ts';
import { NO_VIEW } from '../../src/core/view/agreed-view.ts';
import type { SyncReply, SyncRequest } from '../../src/core/view/view-store.ts';
import { ViewStore } from '../../src/core/view/view-store.ts';
import { nextSeq, request } from '../support/view-store-requests.ts';
import type { ViewStoreTimes } from './view-store-support.ts';
import { eventOf, policyOf, REPORT, TIMES, viewOf } from './view-store-support.ts';

/** An empty view store that can be compared with the reference after each step. */
export interface ComparableViewStore {
  /** @param times of its gateway, where they differ */
  connect(times?: ViewStoreTimes): ViewStoreClient;
  /** Sets its clock on, or back where negative. */
  passTime(ms: number): Promise<void>;
  beginGeneration(): Promise<void>;
  /** Loses all that it holds. */
  lose(): Promise<void>;
  /** The stored fencing token; `''` if there is none. */
  fencingToken(): Promise<string>;
  /** By the clock by which the fencing token expires. */
  now(): Promise<number>;
}

const REPLICAS = ['r1', 'r2', 'r3'] as const;
// Gateways may be configured with different leases: all wait for the longest.
const SHARES = [0.5, 1, 1.25, 2] as const;

/** The times of a gateway whose lease is so many of {@link TIMES}. */
function timesOf(share: number): ViewStoreTimes {
  return { leaseMs: TIMES.leaseMs * share, joinMs: TIMES.joinMs * share };
}

/** A view store and the reference, taken through the same steps. */
class Pair {
  reference = new ViewStore(TIMES);
  readonly #viewStore: ComparableViewStore;
  readonly #times: readonly ViewStoreTimes[];
  /** Of the longest lease. */
  readonly #third: number;
  readonly #clients: readonly ViewStoreClient[];
  readonly #generations: string[] = REPLICAS.map(() => '');
  readonly #reportsKnown: number[] = REPLICAS.map(() => 0);
  /** All views that were ever written or proposed. */
  readonly #views: AgreedView[] = [];
  #policies = 0;
  #generation = '';
  /** By the reference's clock, which is set whenever the view store's is. */
  #now = 0;
  #clockSetBy = 0;
  /** The store has begun a generation that the reference does not know yet. */
  #hasBegun = false;
  /** The fencing token had expired when the clock was set last, and no replica has synced since. */
  #hasExpired = false;

  /** @param times of each replica */
  constructor(viewStore: ComparableViewStore, times: readonly ViewStoreTimes[]) {
    this.#viewStore = viewStore;
    this.#times = times;
    this.#third = Math.max(...times.map(({ leaseMs }) => leaseMs)) / 3;
    this.#clients = times.map((own) => viewStore.connect(own));
  }

  async sync(replica: number, how: Sync): Promise<SyncReply> {
    const known = this.#views.at(-1 - how.behind) ?? NO_VIEW;
    const version = Math.max(0, this.#policies - how.policyBehind);
    const sent: SyncRequest = request(REPLICAS[replica] as string, {
      seq: how.isOvertaken ? 1 : nextSeq(),
      epoch: known.epoch,
      viewId: known.id,
      held: how.held,
      restored: how.restored ? this.#generation : '',
      report: how.abstains ? undefined : { ...REPORT, idle: how.idle },
      ...(how.config === undefined ? {} : { config: { quorum: how.config } }),
      reportsKnown: this.#reportsKnown[replica] as number,
      policyKnown: version,
      ...(how.view === 'its own' ? { view: known } : {}),
      ...(how.view === 'another' ? { view: { ...known, id: 'other' } } : {}),
      ...(how.policy === 'its own' ? { policy: policyOf(version) } : {}),
      ...(how.policy === 'another' ? { policy: policyOf(version + 1) } : {}),
    });
    const reply = await this.#client(replica).sync(sent);
    this.#hasBegun = false;
    const isNew = this.#generations[replica] !== reply.storeGeneration;
    // A replica that meets another generation gets everything, whatever versions it knows.
    const asked = isNew ? { ...sent, reportsKnown: -1 } : sent;
    this.#now = reply.now + this.#clockSetBy;
    const expected = this.reference.sync(asked, reply.storeGeneration, this.#now, this.#times[replica]);
    const policy = isNew ? this.reference.state.policy : expected.policy;
    expect(sorted({ ...reply, now: this.#now })).toEqual(sorted({ ...expected, policy }));
    this.#hasExpired = false;
    await this.#compareFencingToken();
    this.#generation = reply.storeGeneration;
    this.#generations[replica] = reply.storeGeneration;
    this.#reportsKnown[replica] = reply.reportsVersion;
    if (reply.view !== undefined) this.#views.push(reply.view);
    return reply;
  }

  async propose(replica: number, behind: number): Promise<void> {
    const base = this.#views.at(-1 - behind) ?? NO_VIEW;
    const view = viewOf(base.epoch + 1, `v${this.#views.length}`);
    const proposal = {
      replica: REPLICAS[replica] as string,
      base: base.id,
      view,
      events: [eventOf(view.id)],
    };
    const taken = await this.#client(replica).propose(proposal);
    expect(taken).toBe(
      this.#hasBegun ? false : this.reference.propose(proposal, this.#generation, this.#now),
    );
    this.#views.push(view);
  }

  async commitPolicy(replica: number, behind: number): Promise<void> {
    const base = Math.max(0, this.#policies - behind);
    const change = {
      base,
      policy: policyOf(base + 1),
      events: [eventOf(`policy ${base}`)],
      // Of the newest view that was proposed, which another one may have come before.
      onView: base % 2 === 0 ? undefined : this.#views.at(-1)?.id,
    };
    const taken = await this.#client(replica).commitPolicy(change);
    expect(taken).toBe(
      this.#hasBegun ? false : this.reference.commitPolicy(change, this.#generation, this.#now),
    );
    if (taken) this.#policies = base + 1;
  }

  async leave(replicas: readonly number[]): Promise<void> {
    for (const replica of replicas) {
      await this.#client(replica).leave(REPLICAS[replica] as string);
      this.reference.leave(REPLICAS[replica] as string);
      await this.#compareFencingToken();
    }
  }

  async beginGeneration(): Promise<void> {
    await this.#viewStore.beginGeneration();
    this.#hasBegun = true;
  }

  async lose(): Promise<void> {
    await this.#viewStore.lose();
    this.reference = new ViewStore(TIMES);
    this.#hasBegun = true;
  }

  async setClock(byMs: number): Promise<void> {
    await this.#viewStore.passTime(byMs);
    this.#clockSetBy += byMs;
    this.#now += byMs;
    // It expires without a sync. Setting the clock back does not restore it; the next sync does.
    const fencingToken = await this.#viewStore.fencingToken();
    expect(['', this.reference.fencingTokenAt(this.#now)]).toContain(fencingToken);
    this.#hasExpired = fencingToken === '';
  }

  /** The server's clock goes on between a step and this check, so the fencing token may expire in between. */
  async #compareFencingToken(): Promise<void> {
    const fencingToken = await this.#viewStore.fencingToken();
    const now = (await this.#viewStore.now()) + this.#clockSetBy;
    const expected = [this.reference.fencingTokenAt(this.#now), this.reference.fencingTokenAt(now)];
    if (this.#hasExpired) expected.push('');
    expect(expected).toContain(fencingToken);
  }

  /** Lets a third of the longest lease or another time pass; then these replicas sync. */
  async pass(replicas: readonly number[], ms = this.#third): Promise<void> {
    await this.setClock(ms);
    for (const replica of replicas) await this.sync(replica, QUIET);
  }

  /** One replica does not finish its write-back in it. */
  async passTenLeases(): Promise<void> {
    for (let third = 0; third <= 30; third += 1) {
      await this.pass([0]);
      await this.sync(1, { ...QUIET, restored: false });
    }
  }

  /** Leads to a view in effect, where the interesting histories begin. */
  async begin(): Promise<void> {
    for (let third = 0; third <= 5; third += 1) await this.pass([0, 1, 2]);
    await this.commitPolicy(0, 0);
    await this.propose(0, 0);
    await this.pass([0, 1, 2]);
    expect(this.reference.fencingTokenAt(this.#now)).not.toBe('');
  }

  async finish(): Promise<void> {
    const times = ({ at: _at, firstAt: _firstAt, ...event }: LoggedEvent) => event;
    const events = await this.#client(0).events(1_000);
    expect(events.map(times)).toEqual([...this.reference.events].reverse().map(times));
    const acts = await this.#client(0).acts(1_000);
    expect(acts.map(times)).toEqual([...this.reference.acts].reverse().map(times));
    for (const client of this.#clients) await client.close();
  }

  #client(index: number): ViewStoreClient {
    return this.#clients[index] as ViewStoreClient;
  }
}

interface Sync {
  /** How many views before the newest the replica is. */
  readonly behind: number;
  readonly policyBehind: number;
  readonly held: boolean;
  /** A later request has arrived before it. */
  readonly isOvertaken: boolean;
  readonly restored: boolean;
  readonly abstains: boolean;
  readonly idle: boolean;
  readonly config: string | undefined;
  readonly view: Given;
  readonly policy: Given;
}

/** The view that it says it knows, or another one, which must not pass for it. */
type Given = 'its own' | 'another' | 'none';

const QUIET: Sync = {
  behind: 0,
  policyBehind: 0,
  held: true,
  isOvertaken: false,
  restored: true,
  abstains: false,
  idle: false,
  config: 'majority',
  view: 'its own',
  policy: 'its own',
};

type Step = (pair: Pair) => Promise<unknown>;

const who = fc.nat({ max: REPLICAS.length - 1 });
const some = fc.subarray([0, 1, 2]);
const behind = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat({ max: 2 }));
const mostly = fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false));
const rarely = fc.oneof({ weight: 7, arbitrary: fc.constant(false) }, fc.constant(true));
const given = fc.constantFrom<Given>('its own', 'another', 'none');
const syncs = fc.record({
  behind,
  policyBehind: behind,
  held: fc.boolean(),
  isOvertaken: rarely,
  restored: mostly,
  abstains: fc.boolean(),
  idle: fc.boolean(),
  config: fc.constantFrom('majority', 'any', undefined),
  view: given,
  policy: given,
});

function step<T>(
  weight: number,
  of: fc.Arbitrary<T>,
  name: string,
  take: (pair: Pair, how: T) => Promise<unknown>,
) {
  const arbitrary = of.map((how): [string, Step] => [
    `${name} ${JSON.stringify(how)}`,
    (pair) => take(pair, how),
  ]);
  return { weight, arbitrary };
}

const nothing = fc.constant('');
const leases = fc.tuple(...REPLICAS.map(() => fc.constantFrom<number>(...SHARES)));
const steps: fc.Arbitrary<[string, Step]> = fc.oneof(
  step(12, fc.tuple(who, syncs), 'sync', (pair, [replica, how]) => pair.sync(replica, how)),
  step(3, fc.tuple(who, behind), 'propose', (pair, [replica, base]) => pair.propose(replica, base)),
  step(3, fc.tuple(who, behind), 'commit policy', (pair, [replica, base]) =>
    pair.commitPolicy(replica, base),
  ),
  step(2, some, 'leave', (pair, replicas) => pair.leave(replicas)),
  step(2, nothing, 'begin another generation', (pair) => pair.beginGeneration()),
  step(1, nothing, 'lose everything', (pair) => pair.lose()),
  step(6, some, 'a third of a lease, heard', (pair, replicas) => pair.pass(replicas)),
  step(4, fc.tuple(some, fc.nat({ max: TIMES.joinMs * 2 })), 'some time, heard', (pair, [replicas, ms]) =>
    pair.pass(replicas, ms),
  ),
  step(2, fc.integer({ min: -6 * TIMES.leaseMs, max: 6 * TIMES.leaseMs }), 'set the clock by', (pair, by) =>
    pair.setClock(by),
  ),
  step(1, nothing, 'ten leases', (pair) => pair.passTenLeases()),
);

/** Histories that were answered differently once, and that random histories seldom contain. */
const KNOWN: readonly (readonly [string, Step])[][] = [
  [
    ['all leave', (pair) => pair.leave([0, 1, 2])],
    ['propose', (pair) => pair.propose(0, 0)],
    ['one leaves that is not registered', (pair) => pair.leave([0])],
  ],
  [
    ['one leaves', (pair) => pair.leave([2])],
    ['set the clock on', (pair) => pair.setClock(TIMES.leaseMs)],
    ['set the clock back', (pair) => pair.setClock(-TIMES.leaseMs)],
    ['one leaves that is not registered', (pair) => pair.leave([2])],
  ],
  [
    ['all but one leave', (pair) => pair.leave([1, 2])],
    ['they join again', (pair) => pair.pass([1, 2], 0)],
    ['the shortest time of joining passes', (pair) => pair.pass([1, 2], (TIMES.joinMs * 3) / 4)],
    ['the usual one passes', (pair) => pair.pass([1, 2], TIMES.joinMs / 2)],
    ['the longest one passes', (pair) => pair.pass([1, 2], TIMES.joinMs)],
  ],
];

/**
 * The view store answers any history of steps as the reference does: the same replies
 * at the same times, by the view store's own clock. fast-check prints the seed and
 * the shortest history of a failure.
 */
export async function behavesLikeTheReference(
  open: (times: ViewStoreTimes) => ComparableViewStore,
  runs: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(leases, fc.array(steps, { maxLength: 40 }), async (shares, history) => {
      const pair = new Pair(open(TIMES), shares.map(timesOf));
      await pair.begin();
      for (const [, step] of history) await step(pair);
      await pair.finish();
    }),
    {
      numRuns: runs,
      examples: KNOWN.map((history) => [[1, 0.5, 2], history.map(([name, take]) => [name, take])]),
    },
  );
}

/** Reports come in no particular order. */
function sorted(reply: SyncReply): SyncReply {
  const reports = reply.reports && [...reply.reports].sort((a, b) => (a.replica < b.replica ? -1 : 1));
  return { ...reply, reports };
}
