import { afterEach, expect, test } from 'vitest';
import type { SyncRequest } from '../../src/core/view/view-store.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { letOpen } from '../contract/view-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { redisCommand } from '../support/redis-command.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { viewStoreOn } from '../support/redis-view-stores.ts';
import { request } from '../support/view-store-requests.ts';

let closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

const info = (port: number): Promise<string> => redisCommand(port, 'INFO', 'replication');

test('a gateway that joins while a replica of Redis lags gets its lease when the replica knows it', async () => {
  const master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] });
  closers.push(() => master.stop());
  const link = await startFaultProxy(() => ({ host: '127.0.0.1', port: master.port }));
  closers.push(() => link.close());
  const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${link.port}`] });
  closers.push(() => replica.stop());
  await eventually(async () => expect(await info(master.port)).toMatch(/state=online,offset=[1-9]/));
  const redis: RedisConnection = openRedis({ ...REDIS_TIMEOUTS, url: master.url, commandTimeoutMs: 5_000 });
  closers.push(() => redis.close());
  await eventually(() => redis.ping());

  const times = { leaseMs: 60_000, joinMs: 20_000 };
  const viewStore = viewStoreOn(redis, times);
  const [old, young] = [viewStore.connect(), viewStore.connect()];
  const restored = await letOpen(viewStore, times, [[old, 'old']]);
  const asks = (id: string): SyncRequest => request(id, { restored });
  await eventually(async () =>
    expect(await old.sync(asks('old'))).toMatchObject({ open: true, granted: true }),
  );

  link.silence();
  expect(await young.sync(asks('young'))).toMatchObject({ open: true, granted: false });
  await viewStore.passTime(times.joinMs);
  expect(await young.sync(asks('young'))).toMatchObject({ granted: false });
  // A gateway that joined before does not wait.
  expect(await old.sync(asks('old'))).toMatchObject({ granted: true });
  link.heal();
  await eventually(async () => expect(await young.sync(asks('young'))).toMatchObject({ granted: true }));
  for (const client of [old, young]) await client.close();
});
