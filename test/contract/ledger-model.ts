import fc from 'fast-check';
import { expect } from 'vitest';
import type { AgreedView } from '../../src/core/agreement/agreed-view.ts';
import type { SyncReply, SyncRequest } from '../../src/core/agreement/ledger.ts';
import { Ledger } from '../../src/core/agreement/ledger.ts';
import type { LedgerClient } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';
import type { LedgerTimes } from './ledger-client.ts';
import { eventOf, OPINION, policyOf, request, viewOf } from './ledger-client.ts';

/** An empty ledger that can be held against the reference step by step. */
export interface ComparableLedger {
  connect(): LedgerClient;
  beginLife(): Promise<void>;
  /** Loses all that it holds. */
  lose(): Promise<void>;
  /** The fence as those find it who place agents; `''` where they find none. */
  fence(): Promise<string>;
}

// Long against a step, short against a test: leases run out in the middle of histories.
const TIMES: LedgerTimes = { leaseMs: 25, joinMs: 8 };
const REPLICAS = ['r1', 'r2', 'r3'] as const;

/** A ledger and the reference, taken through the same steps. */
class Pair {
  reference = new Ledger(TIMES);
  readonly #ledger: ComparableLedger;
  readonly #clients: readonly LedgerClient[];
  readonly #lives: string[] = REPLICAS.map(() => '');
  readonly #ballotsKnown: number[] = REPLICAS.map(() => 0);
  /** All that were ever written, or would have been. */
  readonly #views: AgreedView[] = [];
  #policies = 0;
  #life = '';
  #now = 0;
  #hasBegun = false;

  constructor(ledger: ComparableLedger) {
    this.#ledger = ledger;
    this.#clients = REPLICAS.map(() => ledger.connect());
  }

  async sync(which: number, how: Sync): Promise<void> {
    const replica = which % REPLICAS.length;
    const known = this.#views.at(-1 - how.behind) ?? { epoch: 0, id: '' };
    const sent: SyncRequest = request(REPLICAS[replica] as string, {
      epoch: known.epoch,
      viewId: known.id,
      held: how.held,
      restored: how.restored ? this.#life : '',
      opinion: how.abstains ? undefined : { ...OPINION, idle: how.idle },
      ballotsKnown: this.#ballotsKnown[replica] as number,
      policyKnown: how.knowsPolicy ? this.#policies : 0,
      ...(how.gives && 'settled' in known ? { view: known } : {}),
    });
    const reply = await this.#client(replica).sync(sent);
    const isNew = this.#lives[replica] !== reply.life;
    // Whoever meets another life is told everything, whatever numbers it knows.
    const asked = isNew ? { ...sent, ballotsKnown: -1, policyKnown: -1 } : sent;
    expect(sorted(reply)).toEqual(sorted(this.reference.sync(asked, reply.life, reply.now)));
    expect(await this.#ledger.fence()).toBe(this.reference.fence);
    this.#life = reply.life;
    this.#now = reply.now;
    this.#lives[replica] = reply.life;
    this.#ballotsKnown[replica] = reply.ballotsState;
    if (reply.view !== undefined) this.#views.push(reply.view);
  }

  async propose(which: number, behind: number): Promise<void> {
    const base = this.#views.at(-1 - behind) ?? { epoch: 0, id: '' };
    const view = viewOf(base.epoch + 1, `v${this.#views.length}`);
    const replica = REPLICAS[which % REPLICAS.length] as string;
    const proposal = { replica, base: base.id, view, events: [eventOf(view.id)] };
    const taken = await this.#client(which % REPLICAS.length).propose(proposal);
    // Where the store has begun a life since the last sync, the reference has not heard of it.
    expect(taken).toBe(this.#hasBegun ? false : this.reference.propose(proposal, this.#life, this.#now));
    this.#views.push(view);
  }

  async decree(which: number, behind: number): Promise<void> {
    const base = Math.max(0, this.#policies - behind);
    const decree = { base, policy: policyOf(base + 1), events: [eventOf(`policy ${base}`)] };
    const taken = await this.#client(which % REPLICAS.length).decree(decree);
    expect(taken).toBe(this.#hasBegun ? false : this.reference.decree(decree, this.#life, this.#now));
    if (taken) this.#policies = base + 1;
  }

  async leave(which: number): Promise<void> {
    const replica = which % REPLICAS.length;
    await this.#client(replica).leave(REPLICAS[replica] as string);
    this.reference.leave(REPLICAS[replica] as string);
    expect(await this.#ledger.fence()).toBe(this.reference.fence);
  }

  async beginLife(): Promise<void> {
    await this.#ledger.beginLife();
    this.#hasBegun = true;
    // Somebody notices, or the reference would go on in the old one.
    await this.sync(0, QUIET);
    this.#hasBegun = false;
  }

  async lose(): Promise<void> {
    await this.#ledger.lose();
    this.reference = new Ledger(TIMES);
    this.#policies = 0;
    await this.sync(0, QUIET);
  }

  async letLeaseEnd(): Promise<void> {
    const from = this.#now;
    await eventually(async () => {
      await this.sync(0, QUIET);
      expect(this.#now - from).toBeGreaterThan(TIMES.leaseMs);
    });
  }

  async finish(): Promise<void> {
    const times = ({ at: _, ...event }: { at: number }) => event;
    const events = await this.#client(0).events(1_000);
    expect(events.map(times)).toEqual([...this.reference.events].reverse().map(times));
    for (const client of this.#clients) await client.close();
  }

  #client(index: number): LedgerClient {
    return this.#clients[index] as LedgerClient;
  }
}

interface Sync {
  /** How many views before the newest the replica is. */
  readonly behind: number;
  readonly held: boolean;
  readonly restored: boolean;
  readonly abstains: boolean;
  readonly idle: boolean;
  readonly knowsPolicy: boolean;
  readonly gives: boolean;
}

const QUIET: Sync = {
  behind: 0,
  held: true,
  restored: true,
  abstains: false,
  idle: false,
  knowsPolicy: true,
  gives: false,
};

type Step = (pair: Pair) => Promise<void>;

const who = fc.nat({ max: REPLICAS.length - 1 });
const behind = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat({ max: 2 }));
const mostly = fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false));
const syncs = fc.record({
  behind,
  held: fc.boolean(),
  restored: mostly,
  abstains: fc.boolean(),
  idle: fc.boolean(),
  knowsPolicy: mostly,
  gives: mostly,
});

const steps: fc.Arbitrary<[string, Step]> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(who, syncs)
      .map(([r, how]): [string, Step] => [
        `sync r${r + 1} ${JSON.stringify(how)}`,
        (pair) => pair.sync(r, how),
      ]),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(who, behind)
      .map(([r, b]): [string, Step] => [`propose r${r + 1} on -${b}`, (pair) => pair.propose(r, b)]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(who, behind)
      .map(([r, b]): [string, Step] => [`decree r${r + 1} on -${b}`, (pair) => pair.decree(r, b)]),
  },
  {
    weight: 1,
    arbitrary: who.map((r): [string, Step] => [`leave r${r + 1}`, (pair) => pair.leave(r)]),
  },
  {
    weight: 2,
    arbitrary: fc.constant<[string, Step]>(['begin another life', (pair) => pair.beginLife()]),
  },
  {
    weight: 1,
    arbitrary: fc.constant<[string, Step]>(['lose everything', (pair) => pair.lose()]),
  },
  {
    weight: 2,
    arbitrary: fc.constant<[string, Step]>(['let the lease end', (pair) => pair.letLeaseEnd()]),
  },
);

/**
 * Any history of steps is answered as the reference answers it: the same replies
 * at the same times, by the ledger's own clock. fast-check prints the seed and
 * the shortest history of a failure.
 */
export async function behavesLikeTheLedger(
  open: (times: LedgerTimes) => ComparableLedger,
  runs: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 40 }), async (history) => {
      const pair = new Pair(open(TIMES));
      // The ledger is open then, so that histories come to the point.
      await pair.letLeaseEnd();
      for (const [, step] of history) await step(pair);
      await pair.finish();
    }),
    { numRuns: runs },
  );
}

/** Ballots come in no particular order. */
function sorted(reply: SyncReply): SyncReply {
  const ballots = reply.ballots && [...reply.ballots].sort((a, b) => (a.replica < b.replica ? -1 : 1));
  return { ...reply, ballots };
}
