import { randomUUID } from 'node:crypto';
import { RedisViewStore } from '../../src/coordination/redis/view-store.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { poolKey } from '../../src/redis/keys.ts';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import type { ComparableViewStore } from '../contract/view-store-model.ts';
import type { OpenViewStore, ViewStoreTimes } from '../contract/view-store-support.ts';
import { letOpen, viewOf } from '../contract/view-store-support.ts';
import { request } from './view-store-requests.ts';

const POOL = 'crm';

/** An empty view store on a shared Redis. */
export function viewStoreOn(
  redis: RedisConnection,
  times: ViewStoreTimes,
  { confirmedBy = 0, pool = POOL, keyPrefix = uniquePrefix() } = {},
): OpenViewStore & ComparableViewStore {
  const key = (name: string): string => poolKey(keyPrefix, pool, name);
  redis.claims.define(PEEKS);
  return {
    connect: (own: ViewStoreTimes = times) =>
      new RedisViewStore(redis, pool, { keyPrefix, ...own, confirmedBy }),
    // For the view store, advancing its clock is the same as moving all its recorded times back.
    passTime: async (ms) =>
      void (await redis.claims.run('testAge', ['ledger', 'replicas', 'fence', 'leases', 'configs'].map(key), [
        String(ms),
      ])),
    beginGeneration: async () => void (await redis.claims.run('testMark', [key('ledger')], [randomUUID()])),
    lose: async () => {
      const keys = ['ledger', 'replicas', 'opinions', 'fence', 'events', 'leases', 'configs', 'acts'].map(
        key,
      );
      await redis.claims.run('testDelete', keys, []);
    },
    fencingToken: async () => String((await redis.claims.run('testGet', [key('fence')], [])) ?? ''),
    now: async () => Number(await redis.claims.run('testNow', [key('ledger')], [])),
    close: async () => {},
  };
}

/** Opens the pool's view store and brings a view into effect; returns the fencing token for claims. */
export async function fencingTokenOn(
  redis: RedisConnection,
  keyPrefix: string,
  pool = POOL,
): Promise<string> {
  const times = { leaseMs: 60_000, joinMs: 0 };
  const viewStore = viewStoreOn(redis, times, { keyPrefix, pool });
  const client = viewStore.connect();
  const generation = await letOpen(viewStore, times, [[client, 'r1']]);
  const view = viewOf(1, 'x');
  await client.propose({ replica: 'r1', base: '', view, events: [] });
  const { fencingToken } = await client.sync(
    request('r1', { epoch: 1, viewId: view.id, restored: generation }),
  );
  await client.leave('r1');
  await client.close();
  return fencingToken;
}

const PEEKS = {
  testMark: `return redis.call('HSET', KEYS[1], 'mark', ARGV[1])`,
  testDelete: `return redis.call('DEL', unpack(KEYS))`,
  testGet: `return redis.call('GET', KEYS[1])`,
  testNow: `
local time = redis.call('TIME')
return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))`,
  testAge: `
local by = tonumber(ARGV[1])
local function earlier(at) return string.format('%.0f', at - by) end
for _, field in ipairs({ 'since', 'last' }) do
  local at = redis.call('HGET', KEYS[1], field)
  if at then redis.call('HSET', KEYS[1], field, earlier(at)) end
end
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local e, joined, rest = string.match(all[i + 1], '^(%d+)|(%d+)(|.*)$')
  redis.call('HSET', KEYS[2], all[i], earlier(e) .. '|' .. earlier(joined) .. rest)
end
local leases = redis.call('HGETALL', KEYS[4])
for i = 1, #leases, 2 do
  local seq, holds_until, e, since = string.match(leases[i + 1], '^(%d+)|(%d+)|(%d+)|(%d+)$')
  if holds_until ~= '0' then holds_until = earlier(holds_until) end
  redis.call('HSET', KEYS[4], leases[i], seq .. '|' .. holds_until .. '|' .. earlier(e) .. '|' .. earlier(since))
end
local ttl = redis.call('PTTL', KEYS[3])
if ttl > 0 then redis.call('PEXPIRE', KEYS[3], ttl - by) end
local configs = redis.call('HGETALL', KEYS[5])
for i = 1, #configs, 2 do
  local joined, rest = string.match(configs[i + 1], '^(%d+)(|.*)$')
  redis.call('HSET', KEYS[5], configs[i], earlier(joined) .. rest)
end`,
};
