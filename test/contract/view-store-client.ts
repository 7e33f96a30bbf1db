import { describe, expect, test } from 'vitest';
import type { ViewStoreClient } from '../../src/core/ports.ts';
import type { AgreedView, LoggedEvent, PoolEvent } from '../../src/core/view/agreed-view.ts';
import { NO_VIEW } from '../../src/core/view/agreed-view.ts';
import { NO_POLICY } from '../../src/core/view/policy.ts';
import type { SyncReply, SyncRequest } from '../../src/core/view/view-store.ts';
import { request } from '../support/view-store-requests.ts';
import type { OpenViewStore, OpenViewStoreWith } from './view-store-support.ts';
import { eventOf, letOpen, opensViewStore, policyOf, REPORT, TIMES, viewOf } from './view-store-support.ts';

/** What every {@link ViewStoreClient} must do. Each adapter's test file calls this once. */
export function viewStoreClientContract(name: string, open: OpenViewStoreWith): void {
  describe(`${name} as a ViewStoreClient`, () => {
    let viewStore: OpenViewStore;
    let one: ViewStoreClient;
    let two: ViewStoreClient;

    opensViewStore(open, (...opened) => {
      [viewStore, one, two] = opened;
    });

    const openForOne = (): Promise<string> => letOpen(viewStore, TIMES, [[one, 'r1']]);
    const openForBoth = (): Promise<string> =>
      letOpen(viewStore, TIMES, [
        [one, 'r1'],
        [two, 'r2'],
      ]);
    const THIRD = TIMES.leaseMs / 3;

    describe('and its leases', () => {
      test('an empty view store opens after the time of a lease, and grants leases only then', async () => {
        const first = await one.sync(request('r1'));
        expect(first).toMatchObject({ open: false, granted: false, wantsState: false, replicas: 1 });
        expect(first).toMatchObject({ epoch: 0, viewId: '', effective: true, fencingToken: '' });
        expect(first.storeGeneration).not.toBe('');
        const restored = first.storeGeneration;
        for (let third = 1; third < 3; third += 1) {
          await viewStore.passTime(THIRD);
          const reply = await one.sync(request('r1', { restored }));
          expect(reply).toMatchObject({ open: false, granted: false });
        }

        await viewStore.passTime(THIRD);

        // Without a view no claim can be made, so there is no fencing token.
        const reply = await one.sync(request('r1', { restored }));
        expect(reply).toMatchObject({ open: true, granted: true, effective: true, fencingToken: '' });
      });

      test('a replica has no lease before its bindings are written back, or before it has waited', async () => {
        const restored = await openForOne();
        expect((await one.sync(request('r1'))).granted).toBe(false);
        const joins = request('r2', { restored });
        expect((await two.sync(joins)).granted).toBe(false);
        await viewStore.passTime(TIMES.joinMs / 2);
        expect((await two.sync(joins)).granted).toBe(false);

        await viewStore.passTime(TIMES.joinMs / 2);

        expect((await two.sync(joins)).granted).toBe(true);
      });

      test('a view waits for a silent replica until its lease has ended', async () => {
        const restored = await openForBoth();
        const view = viewOf(1, 'x');
        expect(await one.propose({ replica: 'r1', base: '', view, events: [] })).toBe(true);
        const adopted = request('r1', { epoch: 1, viewId: view.id, restored });
        for (let third = 0; third < 3; third += 1) {
          expect(await one.sync(adopted)).toMatchObject({ effective: false, fencingToken: '', replicas: 2 });
          await viewStore.passTime(THIRD);
        }

        const reply = await one.sync(adopted);

        expect(reply).toMatchObject({ effective: true, replicas: 1, fencingToken: `${view.id}:${restored}` });
      });

      test('a view waits for a replica that sends requests but gets no answers, until its last lease has ended', async () => {
        const restored = await openForBoth();
        const view = viewOf(1, 'x');
        await one.propose({ replica: 'r1', base: '', view, events: [] });
        const adopted = request('r1', { epoch: 1, viewId: view.id, held: true, restored });
        for (let third = 0; third < 3; third += 1) {
          expect(await one.sync(adopted)).toMatchObject({ granted: true, effective: false });
          const deaf = request('r2', { held: third < 2, restored });
          expect(await two.sync(deaf)).toMatchObject({ granted: false, keeps: true });
          await viewStore.passTime(THIRD);
        }

        expect(await one.sync(adopted)).toMatchObject({ granted: true, effective: true, replicas: 2 });
        // It has a lease again as soon as it acts on the view.
        expect(await two.sync({ ...adopted, replica: 'r2', held: false })).toMatchObject({ granted: true });
      });

      test('a view does not wait for a replica without a lease', async () => {
        const restored = await openForBoth();
        const view = viewOf(1, 'x');
        await one.propose({ replica: 'r1', base: '', view, events: [] });
        const adopted = request('r1', { epoch: 1, viewId: view.id, held: true, restored });
        expect(await one.sync(adopted)).toMatchObject({ effective: false });

        await two.sync(request('r2', { held: false, restored }));

        expect(await one.sync(adopted)).toMatchObject({ effective: true, replicas: 2 });
      });

      test('a request that arrives after a later one of its replica changes nothing', async () => {
        const restored = await openForBoth();
        const view = viewOf(1, 'x');
        const late = request('r2', { held: false, restored, report: REPORT });
        const unnumbered = viewStore.connect();
        await two.sync(request('r2', { held: true, restored }));
        await one.propose({ replica: 'r1', base: '', view, events: [] });
        const adopted = request('r1', { epoch: 1, viewId: view.id, held: true, restored });
        const { reportsVersion } = await one.sync(adopted);

        expect(await unnumbered.sync(late)).toMatchObject({ granted: false, keeps: false, view });

        expect(await one.sync(adopted)).toMatchObject({ effective: false, reportsVersion });
        await unnumbered.close();
      });

      test('a view does not wait for a replica that has left', async () => {
        const restored = await openForBoth();
        const view = viewOf(1, 'x');
        await one.propose({ replica: 'r1', base: '', view, events: [] });
        await one.sync(request('r1', { epoch: 1, viewId: view.id, restored }));

        await two.leave('r2');

        const reply = await one.sync(request('r1', { epoch: 1, viewId: view.id, restored }));
        expect(reply).toMatchObject({ effective: true, replicas: 1 });
      });

      test('a replica that leaves and is not registered changes nothing', async () => {
        await openForOne();
        await one.leave('r1');
        const view = viewOf(1, 'x');
        expect(await one.propose({ replica: 'r1', base: '', view, events: [] })).toBe(true);

        await one.leave('r1');

        const next = { replica: 'r1', base: view.id, view: viewOf(2, 'y'), events: [] };
        expect(await one.propose(next)).toBe(false);
      });

      test('the store waits for a replica that cannot write its bindings back, but not for ever', async () => {
        await one.sync(request('r1'));
        await two.sync(request('r2'));
        const { storeGeneration: generation } = await one.sync(request('r1'));
        let thirds = 0;
        const held = { held: true };
        while (!(await one.sync(request('r1', { ...held, restored: generation }))).open && thirds < 60) {
          expect(await two.sync(request('r2', held))).toMatchObject({ open: false, granted: true });
          await viewStore.passTime(THIRD);
          thirds += 1;
        }

        expect(thirds).toBe(30);
        expect(await two.sync(request('r2', held))).toMatchObject({ open: true, granted: false });
      });
    });

    describe('and its clock', () => {
      test.each([
        ['on', 10 * TIMES.leaseMs],
        ['back', -10 * TIMES.leaseMs],
      ])('when it is set %s, nothing changes until all replicas have synced', async (_, by) => {
        const restored = await openForBoth();
        await viewStore.passTime(by);

        const held = { held: true, restored };
        for (let again = 0; again < 2; again += 1) {
          const reply = await one.sync(request('r1', held));
          expect(reply).toMatchObject({ storeGeneration: restored, open: false, granted: true, replicas: 2 });
        }
        const proposal = { replica: 'r1', base: '', view: viewOf(1, 'x'), events: [] };
        expect(await one.propose(proposal)).toBe(false);

        // A replica that was registered before the clock was set need not join again.
        expect(await two.sync(request('r2', held))).toMatchObject({ open: true, granted: true });
        expect(await one.propose(proposal)).toBe(true);
      });

      test('may be set while no replica is registered that could hold a lease', async () => {
        const restored = await openForOne();
        await one.leave('r1');
        await viewStore.passTime(10 * TIMES.leaseMs);
        expect(await one.sync(request('r1', { restored }))).toMatchObject({ open: true, granted: false });
      });

      test('when it is set within the first lease, the store still waits for replicas that it does not know', async () => {
        const { storeGeneration: generation } = await one.sync(request('r1'));
        await viewStore.passTime(10 * TIMES.leaseMs);
        const reply = await one.sync(request('r1', { restored: generation }));
        expect(reply).toMatchObject({ open: false, granted: false });
      });
    });

    describe('and its views', () => {
      test('one of two proposals is taken, and takes effect when all have adopted it', async () => {
        const restored = await openForBoth();
        const views = [viewOf(1, 'x'), viewOf(1, 'y')] as const;

        const taken = await Promise.all([
          one.propose({ replica: 'r1', base: '', view: views[0], events: [] }),
          two.propose({ replica: 'r2', base: '', view: views[1], events: [] }),
        ]);

        expect([...taken].sort()).toEqual([false, true]);
        const view = taken[0] ? views[0] : views[1];
        const adopted = { epoch: 1, viewId: view.id, restored };
        expect(await one.sync(request('r1', { restored }))).toMatchObject({ view, effective: false });
        const next = { replica: 'r1', base: view.id, view: viewOf(2, 'z'), events: [] };
        expect(await one.propose(next)).toBe(false);
        expect(await one.sync(request('r1', adopted))).toMatchObject({ effective: false, fencingToken: '' });
        const reply = await two.sync(request('r2', adopted));
        expect(reply).toMatchObject({ effective: true, fencingToken: `${view.id}:${restored}`, epoch: 1 });
        expect(reply.view).toBeUndefined();
        expect(await one.propose(next)).toBe(true);
      });

      test('a view from before a loss gets a new number; the epoch never goes back', async () => {
        const generation = await openForOne();

        const reply = await one.sync(
          request('r1', { epoch: 7, viewId: '7.lost', restored: generation, held: true }),
        );

        expect(reply).toMatchObject({
          epoch: 8,
          viewId: `8.${generation}`,
          effective: false,
          wantsState: false,
        });
        expect(reply.view).toEqual({ ...NO_VIEW, epoch: 8, id: `8.${generation}` });
      });

      test('a view store that has lost views asks for them, and takes the newest', async () => {
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
    });

    describe('and its policies', () => {
      test('a view store that has lost them asks for them, and takes the newest', async () => {
        const [older, newer] = [policyOf(4), policyOf(5)];

        const asked = await one.sync(request('r1', { policyKnown: 4 }));
        expect(asked).toMatchObject({ wantsState: true, policy: NO_POLICY });
        const given = await one.sync(request('r1', { policyKnown: 4, policy: older }));
        expect(given).toMatchObject({ wantsState: false, policy: undefined });
        const another = await two.sync(request('r2', { policyKnown: 5, policy: policyOf(6) }));
        expect(another.wantsState).toBe(true);
        await two.sync(request('r2', { policyKnown: 5, policy: newer }));

        const reply = await one.sync(request('r1', { policyKnown: 4, policy: older }));
        expect(reply.wantsState).toBe(false);
        expect(reply.policy).toEqual(newer);
      });

      test('an open view store has lost none, and takes policies only from commitPolicy', async () => {
        const restored = await openForOne();
        const claims = request('r1', { restored, policyKnown: 4, policy: policyOf(4) });
        expect(await one.sync(claims)).toMatchObject({ wantsState: false, policy: NO_POLICY });
      });

      test('a closed view store takes no policy and no proposal', async () => {
        await one.sync(request('r1'));
        const events = [eventOf('no')];
        expect(await one.propose({ replica: 'r1', base: '', view: viewOf(1, 'x'), events })).toBe(false);
        expect(await one.commitPolicy({ base: 0, policy: policyOf(1), events })).toBe(false);
        expect(await one.events(10)).toEqual([]);
      });

      test('one of two policies is taken, and sent to replicas that do not know it', async () => {
        await openForOne();
        const { storeGeneration: restored } = await one.sync(request('r1'));
        expect((await one.sync(request('r1', { restored }))).policy).toBeUndefined();
        const policy = policyOf(1);

        const taken = await Promise.all(
          [one, two].map((client) => client.commitPolicy({ base: 0, policy, events: [eventOf('act')] })),
        );

        expect([...taken].sort()).toEqual([false, true]);
        expect((await one.sync(request('r1', { restored }))).policy).toEqual(policy);
        expect((await one.sync(request('r1', { restored, policyKnown: 1 }))).policy).toBeUndefined();
        // A replica that was away when the view store opened may know another policy of that version.
        expect((await one.sync(request('r1', { policyKnown: 1 }))).policy).toEqual(policy);
        expect(await one.commitPolicy({ base: 1, policy: policyOf(2), events: [] })).toBe(true);
      });

      test('a policy that an operator decided on another view is not taken', async () => {
        await openForOne();
        const [before, now] = [viewOf(1, 'before'), viewOf(1, 'now')];
        await one.propose({ replica: 'r1', base: '', view: now, events: [] });
        const change = { base: 0, policy: policyOf(1), events: [eventOf('act')] };

        expect(await one.commitPolicy({ ...change, onView: before.id })).toBe(false);
        expect(await one.acts(10)).toEqual([]);
        expect(await one.commitPolicy({ ...change, onView: now.id })).toBe(true);
      });
    });

    test('reports are sent to replicas that do not know them', async () => {
      const first = await one.sync(request('r1', { report: REPORT }));
      expect(first.reports).toEqual([{ replica: 'r1', report: REPORT }]);
      const same = request('r1', { report: REPORT, reportsKnown: first.reportsVersion });
      expect((await one.sync(same)).reports).toBeUndefined();

      await two.sync(request('r2'));

      const reply = await one.sync(same);
      expect(byReplica(reply)).toEqual([
        { replica: 'r1', report: REPORT },
        { replica: 'r2', report: undefined },
      ]);
      await two.leave('r2');
      expect((await one.sync({ ...same, reportsKnown: reply.reportsVersion })).reports).toHaveLength(1);
    });

    describe('the event log', () => {
      const actOf = (why: string): PoolEvent => ({ ...eventOf(why), kind: 'admin', source: '10.0.0.7' });

      test('lists the newest acts first, page by page', async () => {
        await openForOne();
        for (let version = 1; version <= 3; version += 1) {
          const events = Array.from({ length: 10 }, (_, i) => actOf(`${version}/${i} "|"`));
          await one.commitPolicy({ base: version - 1, policy: policyOf(version), events });
        }

        expect(await two.acts(2)).toEqual([
          { ...actOf('3/9 "|"'), at: expect.any(Number), epoch: 0 },
          { ...actOf('3/8 "|"'), at: expect.any(Number), epoch: 0 },
        ]);
        expect((await one.acts(10, 25)).map(({ why }) => why)).toEqual(
          [4, 3, 2, 1, 0].map((i) => `1/${i} "|"`),
        );
        expect(await one.acts(10, 30)).toEqual([]);
        expect(await one.acts(0)).toEqual([]);
      });

      test('keeps acts, however many views follow', async () => {
        const restored = await openForOne();
        await one.record([actOf('maintenance')]);
        const view = viewOf(1, 'x');
        const events = Array.from({ length: 1_100 }, (_, i) => eventOf(`${i}`));
        expect(await one.propose({ replica: 'r1', base: '', view, events })).toBe(true);

        expect((await one.acts(10)).map(({ why }) => why)).toEqual(['maintenance']);
        const views = await one.events(5_000);
        expect(views).toHaveLength(1_000);
        expect([views[0]?.why, views.at(-1)?.why]).toEqual(['1099', '100']);
        expect(await one.events(0)).toEqual([]);
        expect(restored).not.toBe('');
      });

      test('counts an act that is repeated, so that it pushes no other one out', async () => {
        await openForOne();
        for (const why of ['on', 'off', 'on', 'off', 'on']) await one.record([actOf(why)]);

        const acts = await one.acts(10);
        expect(acts.map(({ why, times }) => [why, times])).toEqual([
          ['on', 3],
          ['off', 2],
        ]);
        const [on, off] = acts as [LoggedEvent, LoggedEvent];
        expect(on.firstAt).toBeLessThanOrEqual(off.firstAt as number);
        await one.record([{ ...actOf('on'), source: '10.0.0.8' }]);
        expect((await one.acts(1))[0]).not.toHaveProperty('times');
      });
    });
  });
}

function byReplica({ reports = [] }: SyncReply) {
  return [...reports].sort((a, b) => (a.replica < b.replica ? -1 : 1));
}
