import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisGatewayRegistry } from '../../src/coordination/redis/gateway-registry.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { gatewaysKey } from '../../src/redis/keys.ts';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { entryOf } from '../support/gateway-entry.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const PEEKS = {
  testFill: `
for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], 'dead-' .. i, '1|1|{}') end
return redis.call('HLEN', KEYS[1])`,
  testSet: `return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])`,
  testLength: `return redis.call('HLEN', KEYS[1])`,
};

let redis: RedisConnection;
let keyPrefix: string;
let registry: RedisGatewayRegistry;

beforeAll(async () => {
  // Long time-outs, because these tests check the answers.
  redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
  redis.claims.define(PEEKS);
  await eventually(() => redis.ping());
});
afterAll(() => redis.close());
beforeEach(() => {
  keyPrefix = uniquePrefix();
  registry = new RedisGatewayRegistry(redis, { keyPrefix });
});

const run = (script: keyof typeof PEEKS, ...args: string[]): Promise<unknown> =>
  redis.claims.run(script, [gatewaysKey(keyPrefix)], args);

describe('the registry of gateways in Redis', () => {
  test('lists what each gateway wrote last, with its age, until the gateway removes it', async () => {
    await registry.write(entryOf('one', 'Starting'));
    await registry.write(entryOf('one'));
    await registry.write(entryOf('two'));
    const seen = await registry.list();
    expect(seen.map(({ replica, entry }) => [replica, entry]).toSorted()).toEqual([
      ['one', entryOf('one')],
      ['two', entryOf('two')],
    ]);
    for (const { seenAgoMs } of seen) expect(seenAgoMs).toBeLessThan(5_000);
    await registry.remove('one');
    expect((await registry.list()).map(({ replica }) => replica)).toEqual(['two']);
  });

  test('forgets a gateway that writes no more, and its own key with the last one', async () => {
    const brief = new RedisGatewayRegistry(redis, { keyPrefix, lifetimeMs: 50 });
    await brief.write(entryOf('one'));
    await eventually(async () => expect(await run('testLength')).toBe(0));
  });

  test('has a flood of ended entries removed by those who write, in steps that do not block Redis', async () => {
    expect(await run('testFill', '2000')).toBe(2_000);
    let writes = 0;
    let left = 2_001;
    while (left > 1) {
      await registry.write(entryOf('one'));
      const now = Number(await run('testLength'));
      // A step looks at some 50 entries, and Redis returns whole slots of its table.
      expect(left - now).toBeLessThan(200);
      left = now;
      writes += 1;
      expect(writes).toBeLessThan(200);
    }
    expect((await registry.list()).map(({ replica }) => replica)).toEqual(['one']);
  });

  test('lists thousands of live gateways, each once', async () => {
    const end = String(Date.now() + 600_000);
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => run('testSet', `live-${i}`, `${end}|1|{}`)));
    const seen = await registry.list();
    expect(new Set(seen.map(({ replica }) => replica)).size).toBe(1_000);
    expect(seen.length).toBe(1_000);
  });

  test('passes on what is no JSON as unknown, and removes what it cannot read', async () => {
    const end = String(Date.now() + 600_000);
    await run('testSet', 'broken', `${end}|1|{"half`);
    await run('testSet', 'other', 'something else');
    expect((await registry.list()).map(({ replica, entry }) => [replica, entry])).toEqual([
      ['broken', undefined],
    ]);
    expect(await run('testLength')).toBe(1);
  });
});
