import { expect, test } from 'vitest';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { isDemoted, unavailable } from '../../../src/redis/unavailable.ts';

const READONLY = "READONLY You can't write against a read only replica.";

test.each([
  ['as Redis says it', READONLY],
  ['from a script of Redis 7', `${READONLY} script: 3f2a, on @user_script:12.`],
  ['from a script of Redis 6', `ERR Error running script (call to f_3f2a): @user_script:12: -${READONLY}`],
])('a demoted master is recognized %s', (_, message) => {
  expect(isDemoted(message)).toBe(true);
});

test('other refusals are no demotion', () => {
  expect(isDemoted('NOREPLICAS Not enough good replicas to write.')).toBe(false);
});

test.each([
  [READONLY, 'affinity.redis.sentinels'],
  ['MOVED 4363 127.0.0.1:7001', 'affinity.redis.cluster'],
  ['Too many Cluster redirections. Last error: ReplyError: MOVED 4363 127.0.0.1:7001', 'CLUSTER NODES'],
  ['CLUSTERDOWN Hash slot not served', 'CLUSTER INFO'],
  ['NOAUTH Authentication required.', 'passwordFile'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'username and passwordFile'],
  ['All sentinels are unreachable. Last error: Connection is closed.', 'affinity.redis.sentinels'],
  ['All sentinels are unreachable. Last error: NOAUTH HELLO must be called', 'sentinelPasswordFile'],
  ["NOPERM this user has no permissions to run the 'evalsha' command", 'ACL LOG'],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'maxmemory-policy'],
  ['NOREPLICAS Not enough good replicas to write.', 'min-replicas-to-write'],
  ['MISCONF Redis is configured to save RDB snapshots, but …', 'its log'],
  ['ERR This instance has cluster support disabled', 'affinity.redis.url'],
])('%s names its remedy', (message, remedy) => {
  const error = unavailable(new Error(message));
  expect(error).toBeInstanceOf(StoreUnavailable);
  expect(error.message).toContain(message);
  expect(error.message.slice(message.length)).toContain(remedy);
});

test('an error without a remedy is passed on unchanged', () => {
  expect(unavailable(new Error('read ECONNRESET')).message).toBe('redis: read ECONNRESET');
});
