import { randomUUID } from 'node:crypto';
import { RedisLedger } from '../../src/coordination/redis-ledger.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { poolKey } from '../../src/redis/keys.ts';
import { uniquePrefix } from '../contract/affinity-store.ts';
import type { LedgerTimes, OpenLedger } from '../contract/ledger-client.ts';
import type { ComparableLedger } from '../contract/ledger-model.ts';

const POOL = 'crm';

/** An empty ledger on a Redis that others use too. */
export function ledgerOn(
  redis: RedisConnection,
  times: LedgerTimes,
  confirmedBy = 0,
): OpenLedger & ComparableLedger {
  const keyPrefix = uniquePrefix();
  const key = (name: string): string => poolKey(keyPrefix, POOL, name);
  redis.claims.define(PEEKS);
  return {
    connect: () => new RedisLedger(redis, POOL, { keyPrefix, ...times, confirmedBy }),
    beginLife: async () => void (await redis.claims.run('testMark', [key('ledger')], [randomUUID()])),
    lose: async () => {
      const keys = ['ledger', 'replicas', 'opinions', 'fence', 'events'].map(key);
      await redis.claims.run('testDelete', keys, []);
    },
    fence: async () => {
      const fence = await redis.claims.run('testGet', [key('fence')], []);
      return typeof fence === 'string' && fence !== '-' ? fence : '';
    },
    close: async () => {},
  };
}

const PEEKS = {
  testMark: `return redis.call('HSET', KEYS[1], 'mark', ARGV[1])`,
  testDelete: `return redis.call('DEL', unpack(KEYS))`,
  testGet: `return redis.call('GET', KEYS[1])`,
};
