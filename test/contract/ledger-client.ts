import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgreedView, PoolEvent } from '../../src/core/agreement/agreed-view.ts';
import { NO_VIEW } from '../../src/core/agreement/agreed-view.ts';
import type { SyncReply, SyncRequest } from '../../src/core/agreement/ledger.ts';
import type { Opinion } from '../../src/core/agreement/opinion.ts';
import type { Policy } from '../../src/core/agreement/policy.ts';
import { NO_POLICY } from '../../src/core/agreement/policy.ts';
import type { LedgerClient } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';

/** An empty ledger, and ways to it. */
export interface OpenLedger {
  /** Another replica's way to the same ledger. */
  connect(): LedgerClient;
  /** Makes the store begin another life with all that it holds. Missing where it has but one. */
  beginLife?(): Promise<void>;
  close(): Promise<void>;
}

export interface LedgerTimes {
  readonly leaseMs: number;
  readonly joinMs: number;
}

export type OpenLedgerWith = (times: LedgerTimes) => Promise<OpenLedger>;

const SHORT: LedgerTimes = { leaseMs: 200, joinMs: 50 };
const LONG: LedgerTimes = { leaseMs: 60_000, joinMs: 0 };

export function request(replica: string, more: Partial<SyncRequest> = {}): SyncRequest {
  return {
    replica,
    epoch: 0,
    viewId: '',
    held: false,
    restored: '',
    opinion: undefined,
    ballotsKnown: 0,
    policyKnown: 0,
    ...more,
  };
}

/** With all that a view can hold, and with lists that are empty. */
export function viewOf(epoch: number, unique: string): AgreedView {
  const b = { health: 'down', admin: 'draining', act: 'x', incarnation: '2', past: ['1'] } as const;
  const a = { health: 'up', admin: 'enabled', act: '', incarnation: '', past: [] } as const;
  return {
    epoch,
    id: `${epoch}.${unique}`,
    settled: true,
    instances: {
      a: { ...a, lives: 0, quarantinedAt: 0, lostAt: 0 },
      b: { ...b, lives: 2, quarantinedAt: 1, lostAt: epoch },
    },
    active: 'a',
    activeSince: 1_790_000_000_123,
    activated: '',
    moving: epoch % 2 === 0 ? [] : [{ key: 'u:Müller "x"|{}', from: 'a', to: 'b', until: 1 }],
  };
}

export const OPINION: Opinion = {
  verdicts: { a: { health: 'up', incarnation: 'λ', emptyAt: 0 } },
  settled: true,
  idle: false,
};

export function eventOf(why: string): PoolEvent {
  return { kind: 'down', instance: 'b', from: 'up', to: 'down', by: 'r1', why };
}

export function policyOf(version: number): Policy {
  return { ...NO_POLICY, version, failback: { kind: 'immediate' }, failbackBy: 'operator' };
}

/** What every {@link LedgerClient} must do. Each adapter's test file calls this once. */
export function ledgerClientContract(name: string, open: OpenLedgerWith): void {
  describe(`${name} as a LedgerClient`, () => {
    let ledger: OpenLedger;
    let one: LedgerClient;
    let two: LedgerClient;
    const clients: LedgerClient[] = [];

    const start = async (times: LedgerTimes): Promise<void> => {
      ledger = await open(times);
      [one, two] = [ledger.connect(), ledger.connect()];
      clients.push(one, two);
    };
    afterEach(async () => {
      for (const client of clients.splice(0)) await client.close();
      await ledger.close();
    });

    /** Syncs until the ledger is open, with the bindings written back. */
    const opened = (client: LedgerClient, more: SyncRequest): Promise<SyncReply> =>
      eventually(async () => {
        const { life } = await client.sync(more);
        const reply = await client.sync({ ...more, restored: life });
        expect(reply.open).toBe(true);
        return reply;
      });

    describe('with a lease that runs out', () => {
      beforeEach(() => start(SHORT));

      test('an empty ledger opens when a lease has passed, and grants one only then', async () => {
        const first = await one.sync(request('r1'));
        expect(first).toMatchObject({ open: false, granted: false, wantsState: false, replicas: 1 });
        expect(first).toMatchObject({ epoch: 0, viewId: '', effective: true, fence: '' });
        expect(first.life).not.toBe('');

        const reply = await opened(one, request('r1'));

        expect(reply.now - first.now).toBeGreaterThanOrEqual(SHORT.leaseMs);
        expect(reply).toMatchObject({ granted: true, effective: true, fence: `:${reply.life}` });
      });

      test('nobody has a lease before his bindings are written back, or before he has waited', async () => {
        const { life } = await opened(one, request('r1'));
        expect((await one.sync(request('r1'))).granted).toBe(false);
        const joined = await two.sync(request('r2', { restored: life }));
        expect(joined.granted).toBe(false);

        const reply = await eventually(async () => {
          const seen = await two.sync(request('r2', { restored: life }));
          expect(seen.granted).toBe(true);
          return seen;
        });

        expect(reply.now - joined.now).toBeGreaterThanOrEqual(SHORT.joinMs);
      });

      test('a replica that is not heard of any more is waited for until its lease has ended', async () => {
        const { viewId, life } = await opened(one, request('r1'));
        const gone = await two.sync(request('r2', { restored: life }));
        const view = viewOf(1, 'x');
        expect(await one.propose({ replica: 'r1', base: viewId, view, events: [] })).toBe(true);
        const adopted = request('r1', { epoch: 1, viewId: view.id, restored: life });
        expect(await one.sync(adopted)).toMatchObject({ effective: false, fence: '', replicas: 2 });

        const reply = await eventually(async () => {
          const seen = await one.sync(adopted);
          expect(seen.effective).toBe(true);
          return seen;
        });

        expect(reply.now - gone.now).toBeGreaterThanOrEqual(SHORT.leaseMs);
        expect(reply).toMatchObject({ replicas: 1, fence: `${view.id}:${life}` });
      });

      test('one of two proposals is taken, and it takes effect when all have adopted it', async () => {
        const { viewId, life } = await opened(one, request('r1'));
        await two.sync(request('r2', { restored: life }));
        const views = [viewOf(1, 'x'), viewOf(1, 'y')] as const;

        const taken = await Promise.all([
          one.propose({ replica: 'r1', base: viewId, view: views[0], events: [] }),
          two.propose({ replica: 'r2', base: viewId, view: views[1], events: [] }),
        ]);

        expect([...taken].sort()).toEqual([false, true]);
        const view = taken[0] ? views[0] : views[1];
        const adopted = { epoch: 1, viewId: view.id, restored: life };
        expect(await one.sync(request('r1', { restored: life }))).toMatchObject({ view, effective: false });
        const next = { replica: 'r1', base: view.id, view: viewOf(2, 'z'), events: [] };
        expect(await one.propose(next)).toBe(false);
        expect(await one.sync(request('r1', adopted))).toMatchObject({ effective: false, fence: '' });
        const reply = await two.sync(request('r2', adopted));
        expect(reply).toMatchObject({ effective: true, fence: `${view.id}:${life}`, epoch: 1 });
        expect(reply.view).toBeUndefined();
        expect(await one.propose(next)).toBe(true);
      });

      test('nobody waits for a replica that has left', async () => {
        const { viewId, life } = await opened(one, request('r1'));
        await two.sync(request('r2', { restored: life }));
        const view = viewOf(1, 'x');
        await one.propose({ replica: 'r1', base: viewId, view, events: [] });
        await one.sync(request('r1', { epoch: 1, viewId: view.id, restored: life }));

        await two.leave('r2');

        const reply = await one.sync(request('r1', { epoch: 1, viewId: view.id, restored: life }));
        expect(reply).toMatchObject({ effective: true, replicas: 1 });
      });

      test('a view of before the loss of all others is renumbered, never gone back to', async () => {
        const { life } = await opened(one, request('r1'));

        const reply = await one.sync(request('r1', { epoch: 7, viewId: '7.lost', restored: life }));

        expect(reply).toMatchObject({ epoch: 8, viewId: `8.${life}`, effective: false, wantsState: false });
        expect(reply.view).toEqual({ ...NO_VIEW, epoch: 8, id: `8.${life}` });
      });
    });

    describe('with a lease that lasts', () => {
      beforeEach(() => start(LONG));

      test('nothing is proposed to a ledger that is closed', async () => {
        await one.sync(request('r1'));
        const proposal = { replica: 'r1', base: '', view: viewOf(1, 'x'), events: [eventOf('no')] };
        expect(await one.propose(proposal)).toBe(false);
        expect(await one.events(10)).toEqual([]);
      });

      test('a ledger that has lost views asks for them, and takes the newest', async () => {
        const [older, newer] = [viewOf(5, 'x'), viewOf(6, 'y')];
        const knows = (view: AgreedView): Partial<SyncRequest> => ({ epoch: view.epoch, viewId: view.id });

        expect(await one.sync(request('r1', knows(older)))).toMatchObject({ epoch: 0, wantsState: true });
        const given = await one.sync(request('r1', { ...knows(older), view: older }));
        expect(given).toMatchObject({ epoch: 5, viewId: older.id, wantsState: false, effective: false });
        await two.sync(request('r2', { ...knows(newer), view: newer }));

        const reply = await one.sync(request('r1', knows(older)));
        expect(reply).toMatchObject({ epoch: 6, viewId: newer.id, wantsState: false });
        expect(reply.view).toEqual(newer);
      });

      test('ballots are told to those who do not know them', async () => {
        const first = await one.sync(request('r1', { opinion: OPINION }));
        expect(first.ballots).toEqual([{ replica: 'r1', opinion: OPINION }]);
        const same = request('r1', { opinion: OPINION, ballotsKnown: first.ballotsState });
        expect((await one.sync(same)).ballots).toBeUndefined();

        await two.sync(request('r2'));

        const reply = await one.sync(same);
        expect(byReplica(reply)).toEqual([
          { replica: 'r1', opinion: OPINION },
          { replica: 'r2', opinion: undefined },
        ]);
        await two.leave('r2');
        expect((await one.sync({ ...same, ballotsKnown: reply.ballotsState })).ballots).toHaveLength(1);
      });

      test('one of two decrees is taken, and told to those who do not know it', async () => {
        await one.sync(request('r1'));
        expect((await one.sync(request('r1'))).policy).toBeUndefined();
        const policy = policyOf(1);

        const taken = await Promise.all(
          [one, two].map((client) => client.decree({ base: 0, policy, events: [eventOf('act')] })),
        );

        expect([...taken].sort()).toEqual([false, true]);
        expect((await one.sync(request('r1'))).policy).toEqual(policy);
        expect((await one.sync(request('r1', { policyKnown: 1 }))).policy).toBeUndefined();
        expect(await one.decree({ base: 1, policy: policyOf(2), events: [] })).toBe(true);
      });

      test('the newest events come first, and the oldest are dropped in the end', async () => {
        for (let version = 1; version <= 11; version += 1) {
          const events = Array.from({ length: 100 }, (_, i) => eventOf(`${version}/${i} "|"`));
          await one.decree({ base: version - 1, policy: policyOf(version), events });
        }

        const some = await two.events(2);
        expect(some).toEqual([
          { ...eventOf('11/99 "|"'), at: expect.any(Number), epoch: 0 },
          { ...eventOf('11/98 "|"'), at: expect.any(Number), epoch: 0 },
        ]);
        const all = await one.events(5_000);
        expect(all).toHaveLength(1_000);
        expect(all.at(-1)).toMatchObject({ why: '2/0 "|"' });
        expect(await one.events(0)).toEqual([]);
      });
    });
  });
}

function byReplica({ ballots = [] }: SyncReply) {
  return [...ballots].sort((a, b) => (a.replica < b.replica ? -1 : 1));
}
