import { afterAll, beforeAll, describe, inject, test } from 'vitest';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { ledgerClientContract } from '../contract/ledger-client.ts';
import { behavesLikeTheLedger } from '../contract/ledger-model.ts';
import { sharedLedgerContract } from '../contract/ledger-shared.ts';
import { eventually } from '../support/eventually.ts';
import { ledgerOn } from '../support/redis-ledgers.ts';

let redis: RedisConnection;

beforeAll(async () => {
  // Patient, for these tests are about what is answered.
  redis = openRedis({ url: inject('redisUrl'), commandTimeoutMs: 5_000 });
  await eventually(() => redis.ping());
});
afterAll(() => redis.close());

ledgerClientContract('the Redis ledger', async (times) => ledgerOn(redis, times));
sharedLedgerContract('the Redis ledger', async (times) => ledgerOn(redis, times));

describe('the Redis ledger', () => {
  test('answers any history as the reference does', async () => {
    await behavesLikeTheLedger((times) => ledgerOn(redis, times), 150);
  });
});
