import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { PoolCoordinator } from '../../src/coordination/pool-coordinator.ts';
import type { ViewStoreClient } from '../../src/core/ports.ts';
import type { AgreedView, PoolEvent } from '../../src/core/view/agreed-view.ts';
import { epochLines } from '../../src/core/view/epoch-line.ts';
import { driftOf } from '../../src/core/view/local-config.ts';
import { viewId } from '../../src/core/view/view-store.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import { letOpen, policyOf, REPORT, TIMES, viewOf } from '../contract/view-store-support.ts';
import { startBareReplica } from '../support/bare-replica.ts';
import { eventually } from '../support/eventually.ts';
import { viewStoreOfLastRelease } from '../support/last-release.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { viewStoreOn } from '../support/redis-view-stores.ts';
import { request } from '../support/view-store-requests.ts';

const POOL = 'crm';
const CONFIG = { quorum: 'all', 'url:a': 'http://a' };

let connections: RedisConnection[];
let keyPrefix: string;

async function connect(): Promise<RedisConnection> {
  const redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
  connections.push(redis);
  await eventually(() => redis.ping());
  return redis;
}

beforeEach(() => {
  connections = [];
  keyPrefix = uniquePrefix();
});
afterEach(async () => {
  for (const redis of connections) await redis.close();
});

describe('a view store shared by gateways of the last release and of this one', () => {
  let last: ViewStoreClient;
  let ours: ViewStoreClient;
  let passTime: (ms: number) => Promise<void>;

  beforeEach(async () => {
    last = viewStoreOn(viewStoreOfLastRelease(await connect()), TIMES, { keyPrefix }).connect();
    const viewStore = viewStoreOn(await connect(), TIMES, { keyPrefix });
    ours = viewStore.connect();
    passTime = viewStore.passTime;
  });
  afterEach(async () => {
    for (const client of [last, ours]) await client.close();
  });

  const openForBoth = (): Promise<string> =>
    letOpen({ passTime }, TIMES, [
      [last, 'old'],
      [ours, 'new'],
    ]);
  const configs = async (): Promise<Record<string, unknown>> => {
    const { reports = [] } = await ours.sync(request('new', { config: CONFIG, reportsKnown: -1 }));
    return Object.fromEntries(reports.map(({ replica, config }) => [replica, config]));
  };

  test.each(['this', 'the last'])('a view of %s release is in effect when both have it', async (whose) => {
    const restored = await openForBoth();
    const view: AgreedView = { ...viewOf(1, 'x'), config: CONFIG, configWish: 'w' };
    const [proposes, other] = whose === 'this' ? [ours, last] : [last, ours];
    const [id, otherId] = whose === 'this' ? ['new', 'old'] : ['old', 'new'];
    expect(await proposes.propose({ replica: id, base: '', view, events: [] })).toBe(true);
    const adopted = { epoch: 1, viewId: view.id, restored, held: true };

    expect(await proposes.sync(request(id, adopted))).toMatchObject({ effective: false, granted: true });
    const told = await other.sync(request(otherId, { restored, held: true }));
    // All fields, even those unknown to the last release, which it copies into its views.
    expect([told.effective, told.view]).toEqual([false, view]);

    const fencingToken = `${view.id}:${restored}`;
    expect(await other.sync(request(otherId, adopted))).toMatchObject({
      effective: true,
      fencingToken,
    });
    expect(await proposes.sync(request(id, adopted))).toMatchObject({ effective: true, fencingToken });
  });

  test.each(['this', 'the last'])(
    'what a change follows from stays in the log of %s release',
    async (whose) => {
      const restored = await openForBoth();
      const reader = whose === 'this' ? ours : last;
      const down: PoolEvent = {
        kind: 'down',
        instance: 'a',
        from: 'up',
        to: 'down',
        by: 'new',
        why: '1 of 2',
      };
      const basis = { reports: { new: 'down', old: 'down' }, agents: 7, doubtedMs: 900 } as const;
      const events = [{ ...down, basis }];
      expect(await ours.propose({ replica: 'new', base: '', view: viewOf(1, 'x'), events })).toBe(true);
      const adopted = { epoch: 1, viewId: viewOf(1, 'x').id, restored, held: true };
      for (const [client, id] of [
        [ours, 'new'],
        [last, 'old'],
        [ours, 'new'],
      ] as const)
        await client.sync(request(id, adopted));
      const view = viewOf(2, 'y');
      expect(await last.propose({ replica: 'old', base: viewOf(1, 'x').id, view, events: [down] })).toBe(
        true,
      );
      const log = await reader.events(10);
      expect(log.map(({ epoch, basis: found }) => [epoch, found])).toEqual([
        [2, undefined],
        [1, basis],
      ]);
      expect(epochLines(log, []).map(({ agents, seconds }) => [agents, seconds])).toEqual([
        [undefined, undefined],
        [7, 0.9],
      ]);
    },
  );

  test('the registration of each stays unchanged when the other syncs', async () => {
    const restored = await openForBoth();
    const held = { restored, held: true };
    await last.sync(request('old', { ...held, report: REPORT }));
    await ours.sync(request('new', { ...held, config: CONFIG, report: REPORT }));
    for (let round = 0; round < 3; round += 1) {
      await passTime(TIMES.leaseMs / 3);
      const one = await last.sync(request('old', { ...held, report: REPORT, reportsKnown: -1 }));
      expect(one).toMatchObject({ open: true, granted: true, replicas: 2 });
      expect(one.reports).toEqual([
        { replica: 'new', report: REPORT },
        { replica: 'old', report: REPORT },
      ]);
      const two = await ours.sync(
        request('new', { ...held, config: CONFIG, report: REPORT, reportsKnown: -1 }),
      );
      expect(two).toMatchObject({ open: true, granted: true, replicas: 2 });
      expect(two.reports).toEqual([
        { replica: 'new', report: REPORT, config: CONFIG },
        { replica: 'old', report: REPORT },
      ]);
    }
    expect(await last.commitPolicy({ base: 0, policy: policyOf(1), events: [] })).toBe(true);
    expect((await ours.sync(request('new', { ...held, config: CONFIG }))).policy).toEqual(policyOf(1));
  });

  test.each(['leaves by', 'is swept by'])(
    'the remains of a gateway that %s the last release do not count for its successor of the same name',
    async (how) => {
      const restored = await openForBoth();
      await ours.sync(request('changed', { config: CONFIG }));
      expect(await configs()).toEqual({ old: undefined, new: CONFIG, changed: CONFIG });
      if (how === 'leaves by') await last.leave('changed');
      for (let third = 0; third < 4; third += 1) {
        await passTime(TIMES.leaseMs / 3);
        await last.sync(request('old', { restored }));
      }
      await ours.sync(request('new', { restored, config: CONFIG }));
      expect(await configs()).toEqual({ old: undefined, new: CONFIG });

      await last.sync(request('changed', { restored }));

      expect(await configs()).toEqual({ old: undefined, new: CONFIG, changed: undefined });
    },
  );
});

test('gateways of this release neither refuse one without a registration, nor revert its views without end', async () => {
  const times = { leaseMs: 500, joinMs: 0 };
  const last = viewStoreOn(viewStoreOfLastRelease(await connect()), times, { keyPrefix }).connect();
  const redis = await connect();
  const known: PoolCoordinator[] = [];
  let restored = '';
  let adopted: AgreedView | undefined;
  const acknowledge = async () => {
    const { epoch = 0, id = '' } = adopted ?? {};
    const asked = request('old', { epoch, viewId: id, restored, held: true, report: REPORT });
    const reply = await last.sync(asked);
    restored = reply.storeGeneration;
    adopted = reply.view ?? adopted;
    return reply;
  };
  try {
    await acknowledge();
    for (const id of ['new1', 'new2']) {
      const failback = { kind: 'immediate' } as const;
      const given = {
        id,
        pool: POOL,
        keyPrefix,
        mode: 'failover',
        instances: ['b', 'a'],
        failback,
        ...times,
      };
      known.push(await startBareReplica(redis, given as Parameters<typeof startBareReplica>[1]));
    }
    const round = async () => {
      for (const coordinator of known) await coordinator.renew();
      await acknowledge();
      return acknowledge();
    };
    await eventually(async () => {
      const { effective } = await round();
      expect([effective, adopted?.config !== undefined, adopted?.active !== '']).toEqual([true, true, true]);
    });
    const before = adopted?.epoch ?? 0;
    // The old one uses its own priorities and its own failback policy.
    let proposed = 0;
    for (let i = 0; i < 20; i += 1) {
      const { effective } = await round();
      if (!effective || adopted === undefined || adopted.active === 'a') continue;
      proposed += 1;
      const epoch = adopted.epoch + 1;
      const view = { ...adopted, epoch, id: viewId(epoch, `old${i}`), active: 'a' };
      if (await last.propose({ replica: 'old', base: adopted.id, view, events: [] })) adopted = view;
    }
    await eventually(async () => expect(await round()).toMatchObject({ effective: true }));

    expect([proposed > 0, adopted?.active, (adopted?.epoch ?? 0) - before < 4]).toEqual([true, 'a', true]);
    for (const { agreed, parts, isEffective, leaseRemaining } of known) {
      expect([agreed.id, isEffective, leaseRemaining > 0]).toEqual([adopted?.id, true, true]);
      expect(driftOf(agreed, parts)).toMatchObject({ differences: [], serves: true, ready: true });
    }
  } finally {
    for (const coordinator of known) await coordinator.close();
    await last.close();
  }
});
