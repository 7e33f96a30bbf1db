import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { RedisLedger } from '../../src/coordination/redis-ledger.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { poolKey } from '../../src/redis/keys.ts';
import { uniquePrefix } from '../contract/affinity-store.ts';
import type { LedgerTimes, OpenLedger } from '../contract/ledger-client.ts';
import { request, viewOf } from '../contract/ledger-client.ts';
import type { ComparableLedger } from '../contract/ledger-model.ts';
import { eventually } from './eventually.ts';

const POOL = 'crm';

/** An empty ledger on a Redis that others use too. */
export function ledgerOn(
  redis: RedisConnection,
  times: LedgerTimes,
  { confirmedBy = 0, pool = POOL } = {},
): OpenLedger & ComparableLedger {
  const keyPrefix = uniquePrefix();
  const key = (name: string): string => poolKey(keyPrefix, pool, name);
  redis.claims.define(PEEKS);
  return {
    connect: () => new RedisLedger(redis, pool, { keyPrefix, ...times, confirmedBy }),
    beginLife: async () => void (await redis.claims.run('testMark', [key('ledger')], [randomUUID()])),
    lose: async () => {
      const keys = ['ledger', 'replicas', 'opinions', 'fence', 'events'].map(key);
      await redis.claims.run('testDelete', keys, []);
    },
    fence: async () => String((await redis.claims.run('testGet', [key('fence')], [])) ?? ''),
    close: async () => {},
  };
}

/** Opens the pool's ledger, and brings a view into effect; returns the fence that claims bear then. */
export async function fenceOn(redis: RedisConnection, keyPrefix: string, pool = POOL): Promise<string> {
  const ledger = new RedisLedger(redis, pool, { keyPrefix, leaseMs: 20, joinMs: 0, confirmedBy: 0 });
  await eventually(async () => expect((await ledger.sync(request('r1'))).open).toBe(true));
  const view = viewOf(1, 'x');
  await ledger.propose({ replica: 'r1', base: '', view, events: [] });
  const { fence } = await ledger.sync(request('r1', { epoch: 1, viewId: view.id }));
  await ledger.close();
  return fence;
}

const PEEKS = {
  testMark: `return redis.call('HSET', KEYS[1], 'mark', ARGV[1])`,
  testDelete: `return redis.call('DEL', unpack(KEYS))`,
  testGet: `return redis.call('GET', KEYS[1])`,
};
