import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import { RedisGatewayRegistry } from '../../src/coordination/redis/gateway-registry.ts';
import type { Name } from '../../src/core/identity.ts';
import { StoreFull } from '../../src/core/ports.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { at, session, user } from '../contract/affinity-store-support.ts';
import { letOpen, viewOf } from '../contract/view-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { setFencingToken } from '../support/fencing-token.ts';
import { entryOf } from '../support/gateway-entry.ts';
import { redisCommand } from '../support/redis-command.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { viewStoreOn } from '../support/redis-view-stores.ts';
import { request } from '../support/view-store-requests.ts';

const keyPrefix = 'gw';

describe('while Redis has reached its maxmemory', () => {
  let server: RedisServer;
  let redis: RedisConnection;

  beforeEach(async () => {
    server = await startRedis();
    redis = openRedis({ ...REDIS_TIMEOUTS, url: server.url, commandTimeoutMs: 5_000 });
    await eventually(() => redis.ping());
  });
  afterEach(async () => {
    await redis.close();
    await server.stop();
  });

  const fillUp = (): Promise<string> => redisCommand(server.port, 'CONFIG', 'SET', 'maxmemory', '1');

  test('agents who are bound stay, move and get new sessions; new names take the places of those that came once', async () => {
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: 3_600_000 });
    const fencingToken = await setFencingToken(server.port, keyPrefix);
    const claim = (...names: Name[]) => store.claim(names, at('a'), fencingToken);
    const { binding } = await claim(user('MILLER'), session('1'));
    await store.renew([user('MILLER'), session('1')]);
    await claim(user('ONCE'));
    await claim(user('ALSO ONCE'));
    await fillUp();

    expect((await claim(user('MILLER'), session('2'))).binding).toEqual(binding);
    expect(await store.renew([session('2'), user('MILLER')])).toEqual(binding);
    expect((await store.rebind(binding, at('b'), fencingToken)).made).toBe(true);
    expect((await claim(user('SMITH'))).replaced).toEqual([user('ALSO ONCE')]);
    await claim(user('SMITH'));
    await expect(claim(user('JONES'))).rejects.toBeInstanceOf(StoreFull);
    const known = { binding: { root: user('LOST'), ...at('a'), generation: 1 }, aliases: [], epoch: 1 };
    expect(await store.restore([known])).toEqual([known.binding]);
    await redisCommand(server.port, 'CONFIG', 'SET', 'maxmemory', '0');
    expect(await claim(user('JONES'))).toMatchObject({ made: true });
  });

  test('gateways renew their leases, agree on views, keep the policy, and are listed', async () => {
    const times = { leaseMs: 60_000, joinMs: 0 };
    const viewStore = viewStoreOn(redis, times, { keyPrefix });
    const client = viewStore.connect();
    const restored = await letOpen(viewStore, times, [[client, 'r1']]);
    await fillUp();

    const view = viewOf(1, 'x');
    expect(await client.propose({ replica: 'r1', base: '', view, events: [] })).toBe(true);
    const adopted = { epoch: 1, viewId: view.id, held: true, restored };
    const { effective, fencingToken } = await client.sync(request('r1', adopted));
    expect({ effective, fencingToken }).toEqual({
      effective: true,
      fencingToken: expect.stringMatching(/^1\./),
    });
    const registry = new RedisGatewayRegistry(redis, { keyPrefix });
    const entry = entryOf('r1');
    await registry.write(entry);
    expect((await registry.list()).map((seen) => seen.entry)).toEqual([entry]);
    await client.leave('r1');
  });
});
