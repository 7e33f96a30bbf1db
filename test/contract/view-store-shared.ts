import { beforeEach, describe, expect, test } from 'vitest';
import type { ViewStoreClient } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';
import { request } from '../support/view-store-requests.ts';
import type { OpenViewStore, OpenViewStoreWith } from './view-store-support.ts';
import { letOpen, opensViewStore, policyOf, REPORT, TIMES, viewOf } from './view-store-support.ts';

/** What every view store must do that can begin another generation, or that several processes share. */
export function sharedViewStoreContract(name: string, open: OpenViewStoreWith): void {
  describe(`${name} as a view store that gateways share`, () => {
    let viewStore: OpenViewStore;
    let one: ViewStoreClient;
    let two: ViewStoreClient;

    opensViewStore(open, (...opened) => {
      [viewStore, one, two] = opened;
    });

    const opened = (): Promise<string> =>
      letOpen(viewStore, TIMES, [
        [one, 'r1'],
        [two, 'r2'],
      ]);

    test('in a new generation leases are kept, and nothing changes until all replicas have synced', async () => {
      const before = await opened();
      await viewStore.beginGeneration?.();

      const first = await one.sync(request('r1', { held: true, restored: before }));
      expect(first.storeGeneration).not.toBe(before);
      expect(first).toMatchObject({ open: false, granted: true, fencingToken: '' });
      const { storeGeneration: generation } = first;
      expect(await two.sync(request('r2', { restored: before }))).toMatchObject({ granted: false });
      const proposal = { replica: 'r1', base: '', view: viewOf(1, 'x'), events: [] };
      expect(await one.propose(proposal)).toBe(false);
      expect(await one.sync(request('r1', { held: true, restored: generation }))).toMatchObject({
        open: false,
      });

      const last = await two.sync(request('r2', { restored: generation }));

      expect(last).toMatchObject({ open: true, granted: true });
      expect(await one.propose(proposal)).toBe(true);
    });

    test('no view or policy is taken after a new generation has begun, before the first sync', async () => {
      await opened();
      await viewStore.beginGeneration?.();
      const proposal = { replica: 'r1', base: '', view: viewOf(1, 'x'), events: [] };
      expect(await one.propose(proposal)).toBe(false);
      expect(await one.commitPolicy({ base: 0, policy: policyOf(1), events: [] })).toBe(false);
    });

    test('a view store that is emptied and then begins a generation waits for replicas that it does not know', async () => {
      await one.sync(request('r1'));
      await viewStore.beginGeneration?.();
      const { storeGeneration: generation } = await one.sync(request('r1'));
      const reply = await one.sync(request('r1', { restored: generation }));
      expect(reply).toMatchObject({ open: false, granted: false });
    });

    test('a view store that has lost views stays closed until it has them back', async () => {
      await opened();
      await viewStore.beginGeneration?.();
      const { storeGeneration: generation } = await one.sync(request('r1'));
      await one.sync(request('r1', { restored: generation }));
      const view = viewOf(3, 'x');
      const knows = request('r2', { epoch: 3, viewId: view.id, restored: generation });

      expect(await two.sync(knows)).toMatchObject({ wantsState: true, open: false });

      const reply = await two.sync({ ...knows, view });
      // The other one says that it holds no lease.
      expect(reply).toMatchObject({ wantsState: false, open: true, effective: true, epoch: 3 });
    });

    test('in a new generation every replica gets the reports and the policy again', async () => {
      const generation = await opened();
      await one.commitPolicy({ base: 0, policy: policyOf(1), events: [] });
      const { reportsVersion } = await one.sync(request('r1', { restored: generation }));
      const known = { reportsKnown: reportsVersion, policyKnown: 1 };
      expect((await one.sync(request('r1', { restored: generation, ...known }))).policy).toBeUndefined();
      await viewStore.beginGeneration?.();

      const reply = await one.sync(request('r1', { restored: generation, ...known }));

      expect(reply.policy).toEqual(policyOf(1));
      expect(reply.reports).toHaveLength(2);
    });

    describe('news', () => {
      let heard: string[];

      beforeEach(async () => {
        heard = [];
        let hears = false;
        const listening = new Promise<void>((resolve) => {
          two.listen({
            onNews: (urgent) => {
              if (hears) heard.push(urgent ? 'urgent' : 'reports');
              hears = true;
              resolve();
            },
            onSuspect: (instance) => heard.push(`suspect ${instance}`),
          });
        });
        await listening;
      });

      /** Messages come in order: when this one arrives, all earlier ones have arrived. */
      const heardUntilNow = async (): Promise<string[]> => {
        one.suspect('(end)');
        await eventually(() => expect(heard.at(-1)).toBe('suspect (end)'));
        return heard.splice(0).slice(0, -1);
      };

      test('of views and policies are urgent, of reports they are not', async () => {
        await one.sync(request('r1'));
        expect(await heardUntilNow()).toEqual(['urgent']);
        await one.sync(request('r1'));
        expect(await heardUntilNow()).toEqual([]);
        await one.sync(request('r1', { report: REPORT }));
        expect(await heardUntilNow()).toEqual(['reports']);

        const generation = await opened();
        await heardUntilNow();
        await one.commitPolicy({ base: 0, policy: policyOf(1), events: [] });
        expect(await heardUntilNow()).toEqual(['urgent']);
        const view = viewOf(1, 'x');
        await one.propose({ replica: 'r1', base: '', view, events: [] });
        expect(await heardUntilNow()).toEqual(['urgent']);
        await two.sync(request('r2', { epoch: 1, viewId: view.id, restored: generation }));
        await one.sync(request('r1', { epoch: 1, viewId: view.id, restored: generation }));
        expect(await heardUntilNow()).toEqual(['urgent']);
      });

      test('of a suspect reach all other replicas, whatever its name', async () => {
        two.suspect('mine');
        one.suspect('ici 1/ä');
        expect(await heardUntilNow()).toEqual(['suspect ici 1/ä']);
      });
    });
  });
}
