import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ClientOptions } from '../../../src/redis/clients.ts';
import { redisOptions } from '../../../src/wiring/redis-options.ts';
import { load, MINIMAL } from '../config/support.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-options-'));
  writeFileSync(join(directory, 'secret'), ' hunter2\n');
});
afterEach(() => rmSync(directory, { recursive: true }));

function optionsOf(redis: string): ClientOptions {
  const { config } = load(`${MINIMAL}affinity: { redis: { ${redis} } }`);
  if (config.affinity.redis === undefined) throw new Error('no Redis was configured');
  return redisOptions(config.affinity.redis);
}

const TIMEOUTS = { commandTimeoutMs: 100, connectTimeoutMs: 300 };

test('a url is passed on, and the user and password in it are read from it', () => {
  expect(optionsOf('url: "redis://u:p%20q@r:1/2"')).toEqual({
    url: 'redis://u:p%20q@r:1/2',
    username: 'u',
    password: 'p q',
    ...TIMEOUTS,
  });
});

test('Sentinels have a user and a password of their own', () => {
  const secret = `${directory}/secret`;
  expect(
    optionsOf(
      `sentinels: ['s:26379', '[::1]:2'], masterName: m, username: u, sentinelUsername: w, sentinelPasswordFile: ${secret}, tls: {}`,
    ),
  ).toEqual({
    sentinels: [
      { host: 's', port: 26379 },
      { host: '::1', port: 2 },
    ],
    masterName: 'm',
    username: 'u',
    sentinelUsername: 'w',
    sentinelPassword: 'hunter2',
    tls: { rejectUnauthorized: true },
    ...TIMEOUTS,
  });
});

test('the nodes of a cluster are split into host and port', () => {
  expect(optionsOf(`cluster: ['n:7000', 'm:7001'], passwordFile: ${directory}/secret`)).toEqual({
    cluster: [
      { host: 'n', port: 7000 },
      { host: 'm', port: 7001 },
    ],
    password: 'hunter2',
    ...TIMEOUTS,
  });
});
