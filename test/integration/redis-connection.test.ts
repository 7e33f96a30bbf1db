import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import { RedisGatewayRegistry } from '../../src/coordination/redis/gateway-registry.ts';
import { RedisViewStore } from '../../src/coordination/redis/view-store.ts';
import { StoreUnavailable, wasLate } from '../../src/core/ports.ts';
import type { RedisAddress, RedisLogin, RedisNode } from '../../src/redis/clients.ts';
import type { RedisConnection, RedisLink } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { at, session, user } from '../contract/affinity-store-support.ts';
import { eventOf, policyOf } from '../contract/view-store-support.ts';
import { readDocument } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { setFencingToken } from '../support/fencing-token.ts';
import { entryOf } from '../support/gateway-entry.ts';
import { redisCommand } from '../support/redis-command.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { freePort, startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { fencingTokenOn, viewStoreOn } from '../support/redis-view-stores.ts';
import { request } from '../support/view-store-requests.ts';
import { CERTIFICATE, KEY } from '../unit/config/tls-fixture.ts';

// For tests that check answers, not times.
const PATIENT_MS = 5_000;
const TIMES = { leaseMs: 60_000, joinMs: 0 };
/** A script that keeps Redis busy. */
const slowly = (
  ms: number,
): string => `local function now() local t = redis.call('TIME') return t[1] * 1e6 + t[2] end
local ending = now() + ${ms * 1_000}
while now() < ending do end
return ARGV[1]`;
// The rights that deploy/docs/cluster.md recommends for the gateway's user, for keys that begin with gw.
const RIGHTS = (/~ici-gateway:.*/.exec(readDocument('deploy/docs/cluster.md'))?.[0] ?? '')
  .replaceAll('ici-gateway:', 'gw:')
  .split(' ');
const LINKS: readonly RedisLink[] = ['claims', 'ledger', 'listings', 'hearing'];

let server: RedisServer;
let redis: RedisConnection;
let states: string[];

function open(options: RedisAddress & Partial<RedisLogin>): void {
  states = [];
  redis = openRedis({
    ...REDIS_TIMEOUTS,
    ...options,
    onState: (link, state) => states.push(`${link} ${state}`),
  });
}

/** Subscribes to a view store like a gateway; resolves once news arrives. */
async function hear(heard: string[] = []): Promise<void> {
  const viewStore = viewStoreOn(redis, TIMES).connect();
  viewStore.listen({ onNews: () => heard.push('news'), onSuspect: () => undefined });
  await eventually(() => expect(heard).toContain('news'));
}

afterEach(async () => {
  await redis.close();
  await server.stop();
});

describe('the connections to a Redis', () => {
  beforeEach(async () => {
    server = await startRedis();
    open({ url: server.url });
    await eventually(() => redis.ping());
    await hear();
  });

  test('are distinguished when they open and close', async () => {
    expect([...states].sort()).toEqual(LINKS.map((link) => `${link} up`).sort());
    states.length = 0;

    await redisCommand(server.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');

    await eventually(() => expect(states).toEqual(['hearing down', 'hearing up']));
    await server.kill();
    await eventually(() =>
      expect(states.slice(2).sort()).toEqual(LINKS.map((link) => `${link} down`).sort()),
    );
  });

  test.each(['claims', 'ledger'] as const)(
    'all leave a demoted master, although only the one for %s tried to write',
    async (writer) => {
      states.length = 0;
      await redisCommand(server.port, 'REPLICAOF', '127.0.0.1', '1');
      const client = writer === 'ledger' ? redis.viewStore : redis.claims;
      client.define({ testWrite: `return redis.call('SET', KEYS[1], '1')` });

      await expect(client.run('testWrite', ['k'], [])).rejects.toThrow(
        /READONLY.*affinity\.redis\.sentinels/,
      );

      await eventually(() => {
        for (const link of LINKS)
          expect(states).toEqual(expect.arrayContaining([`${link} down`, `${link} up`]));
      });
    },
  );

  test('do not wait for each other: a view store answers while claims are slow', async () => {
    await redis.close();
    open({ url: server.url, commandTimeoutMs: PATIENT_MS });
    await eventually(() => redis.ping());
    redis.claims.define({ testBusy: `for i = 1, 500 do redis.call('SET', KEYS[1], i) end return 1` });
    const viewStore = viewStoreOn(redis, TIMES).connect();
    await viewStore.sync(request('r1'));
    // Enough load that Redis, not this process, is the slow part.
    const order: string[] = [];
    const claims = Array.from({ length: 1_000 }, () => redis.claims.run('testBusy', ['k'], []));
    const all = Promise.allSettled(claims).then(() => order.push('claims'));

    await viewStore.sync(request('r1')).then(() => order.push('ledger'));

    await all;
    expect(order).toEqual(['ledger', 'claims']);
  });
});

describe('a slow Redis', () => {
  test('gets more time for listing bindings than for claims', async () => {
    server = await startRedis();
    open({ url: server.url });
    await eventually(() => redis.ping());
    const fencingToken = await setFencingToken(server.port, 'gw');
    const store = new RedisStore(redis, 'crm', { keyPrefix: 'gw', idleLifetimeMs: 60_000 });
    await eventually(() => store.claim([user('A')], at('a'), fencingToken));
    server.pause();
    const listing = store.list({});
    await expect(store.claim([user('A')], at('a'), fencingToken)).rejects.toThrow(/no answer within 100 ms/);

    server.resume();

    expect((await listing).bindings).toHaveLength(1);
  });
});

describe('a turn of the event loop that takes long', () => {
  test('does not count as silence of a Redis that could not read the command yet', async () => {
    server = await startRedis();
    open({ url: server.url });
    await eventually(() => redis.ping());
    redis.claims.define({ testSlow: slowly(30) });
    await redis.claims.run('testSlow', ['k'], ['0']);

    const reply = redis.claims.run('testSlow', ['k'], ['1']);
    // Longer than the limit, and not so long that the time-out would be excused.
    const until = performance.now() + REDIS_TIMEOUTS.commandTimeoutMs + 10;
    while (performance.now() < until);

    expect(await reply).toBe('1');
  });

  test('excuses a time-out of a command that it kept from being written', async () => {
    server = await startRedis();
    open({ url: server.url });
    await eventually(() => redis.ping());
    redis.claims.define({ testSlow: slowly(300) });
    await redis.claims.run('testSlow', ['k'], ['0']).catch(() => undefined);
    await eventually(() => redis.ping());
    const failure = async (blockedMs: number): Promise<unknown> => {
      const reply = redis.claims.run('testSlow', ['k'], ['1']);
      const until = performance.now() + blockedMs;
      while (performance.now() < until);
      const error = await reply.catch((caught: unknown) => caught);
      await eventually(() => redis.ping());
      return error;
    };

    expect(wasLate(await failure(100))).toBe(true);
    await eventually(async () => expect(wasLate(await failure(0))).toBe(false));
  });
});

describe('an ACL user without access to all channels', () => {
  test.each([
    ['any', []],
    ['that of news', ['&gw:{ici}:bindings']],
    ['that of bindings', ['&gw:{ici}:news']],
  ])('is reported before anything is written: %s', async (_, channels) => {
    const rights = ['~gw:*', '+@all', 'resetchannels', ...channels];
    server = await startRedis({ args: ['--user', 'gateway', 'on', 'nopass', ...rights] });
    const details: string[] = [];
    redis = openRedis({
      ...REDIS_TIMEOUTS,
      url: server.url,
      username: 'gateway',
      password: 'any',
      commandTimeoutMs: PATIENT_MS,
      onState: (link, state, detail) => link === 'hearing' && details.push(`${state}: ${detail}`),
    });
    await eventually(() => redis.ping());
    const viewStore = viewStoreOn(redis, TIMES, { keyPrefix: 'gw', pool: 'ici' }).connect();
    const store = new RedisStore(redis, 'ici', { keyPrefix: 'gw', idleLifetimeMs: 60_000 });
    let gaps = 0;
    let news = 0;
    store.listen({
      onBound: () => undefined,
      onMoved: () => undefined,
      onLoggedOff: () => undefined,
      onGap: () => (gaps += 1),
    });
    viewStore.listen({ onNews: () => (news += 1), onSuspect: () => undefined });

    await expect(viewStore.sync(request('r1'))).rejects.toThrow(/channel.*give it &<affinity\.keyPrefix>:\*/);

    await viewStore.leave('r1');
    expect(await redisCommand(server.port, 'KEYS', '*')).toBe('*0');
    await eventually(() => expect(details.at(-1)).toMatch(/^down: .*channel.*give it &/));
    await redisCommand(server.port, 'ACL', 'SETUSER', 'gateway', '&gw:*');
    expect((await viewStore.sync(request('r1'))).replicas).toBe(1);
    await eventually(() => expect([gaps, news]).toEqual([1, 1]));
    // On the same connection all the time, and reported once.
    expect(details).toEqual(['up: connected', expect.stringMatching(/^down: /), 'up: allowed']);
  });
});

describe('a Redis with TLS and an ACL user', () => {
  const username = 'gateway';
  const password = 'p ss:@/';
  const tls = { ca: CERTIFICATE, servername: 'one.example.com' };
  let directory: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ici-gateway-tls-'));
    const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    writeFileSync(certFile, CERTIFICATE);
    writeFileSync(keyFile, KEY);
    const hash = createHash('sha256').update(password).digest('hex');
    server = await startRedis({
      args: (port) => [
        ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'],
        ...['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile],
        ...['--user', 'default', 'off', '--user', username, 'on', `#${hash}`, ...RIGHTS],
      ],
      isReady: shakesHands,
    });
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('serves both stores for a user with only the required rights', async () => {
    const url = server.url.replace('redis:', 'rediss:');
    open({ url, username, password, tls, commandTimeoutMs: PATIENT_MS });
    await eventually(() => redis.ping());
    const fencingToken = await fencingTokenOn(redis, 'gw', 'ici');
    const store = new RedisStore(redis, 'ici', { keyPrefix: 'gw', idleLifetimeMs: 60_000 });
    const heard: string[] = [];
    store.listen({
      onBound: () => heard.push('bound'),
      onMoved: () => heard.push('moved'),
      onLoggedOff: () => heard.push('logged off'),
      onGap: () => heard.push('gap'),
    });

    const { binding } = await store.claim([user('A'), session('1')], at('a'), fencingToken);
    expect((await store.rebind(binding, at('b'), fencingToken)).made).toBe(true);
    await store.renew([user('A')]);
    expect(await store.counts()).toEqual(new Map([['b', 1]]));
    expect((await store.list({})).bindings).toHaveLength(1);
    await eventually(async () => {
      const held = await store.claim([user('A')], at('a'), fencingToken);
      await store.release(held.binding, fencingToken);
      expect(heard).toContain('moved');
    });

    const [one, two] = ['ici', 'ici'].map(
      (pool) => new RedisViewStore(redis, pool, { keyPrefix: 'gw', ...TIMES, confirmedBy: 0 }),
    ) as [RedisViewStore, RedisViewStore];
    one.listen({ onNews: () => undefined, onSuspect: (instance) => heard.push(instance) });
    await eventually(() => {
      two.suspect('b');
      expect(heard).toContain('b');
    });
    const { storeGeneration: generation } = await one.sync(request('r1'));
    const restored = generation;
    // Without the right to query the role, a takeover would go unnoticed.
    expect(generation).toMatch(/\.[0-9a-f]{40}$/);
    expect((await one.sync(request('r1', { restored }))).open).toBe(true);
    expect(await one.commitPolicy({ base: 0, policy: policyOf(1), events: [eventOf('act')] })).toBe(true);
    expect(await two.acts(1)).toHaveLength(1);
    await one.leave('r1');

    const registry = new RedisGatewayRegistry(redis, { keyPrefix: 'gw' });
    await registry.write(entryOf('r1'));
    expect(await registry.list()).toMatchObject([{ replica: 'r1' }]);
    await registry.remove('r1');
    expect(await registry.list()).toEqual([]);
  });

  test.each([
    ['node of a cluster', (node: RedisNode) => ({ cluster: [node] }), 'does not answer', 'cluster'],
    [
      'Sentinel',
      (node: RedisNode) => ({ sentinels: [node], masterName: 'm' }),
      'All sentinels are unreachable',
      'sentinels',
    ],
  ])('names what to check when no %s answers', async (_, addressOf, reason, option) => {
    open(addressOf({ host: '127.0.0.1', port: await freePort() }));
    await eventually(() => expect(redis.ping()).rejects.toThrow(reason));
    await expect(redis.ping()).rejects.toThrow(`affinity.redis.${option}`);
  });

  test.each([
    ['a wrong password', { username, password: 'x', tls }, /WRONGPASS|NOAUTH|isn't writeable/],
    [
      'a certificate of an unknown authority',
      { username, password, tls: {} },
      /self-signed certificate.*not connected/,
    ],
  ])('is unavailable with %s', async (_, login, message) => {
    const details: string[] = [];
    redis = openRedis({
      ...REDIS_TIMEOUTS,
      url: server.url.replace('redis:', 'rediss:'),
      ...login,
      onState: (_link, state, detail) => details.push(`${state} ${detail}`),
    });
    await eventually(() =>
      expect(details).toContainEqual(expect.stringMatching(/^down .*(WRONGPASS|self-signed)/)),
    );
    await expect(redis.ping()).rejects.toThrow(StoreUnavailable);
    // The detail above may be that of the other connection.
    await eventually(() => expect(redis.ping()).rejects.toThrow(message));
  });
});

/** Resolves once a TLS server has answered. */
function shakesHands(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
