import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { writeMessage } from '../../src/simulator/wire.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const IDLE_MS = 3_600_000;
const AGENT = 'MILLER';
const LOG_ON = 'subscribe';
const LOG_OFF = 'logOff';

describe('an agent who logs off, with two gateways on one Redis', () => {
  let token: TokenFile;
  let connectors: SimulatedConnector[];
  let one: TestGateway;
  let two: TestGateway;
  let redis: RedisConnection;
  let store: RedisStore;
  let config: string;

  beforeEach(async () => {
    token = writeTokenFile();
    connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
    const keyPrefix = `logoff-${randomBytes(4).toString('hex')}`;
    config = `
identity: { logon: [${LOG_ON}], logoff: [${LOG_OFF}], logoffGrace: 2s }
pools:
  - name: ici
    mode: sticky
    health: { path: /health, interval: 200ms, fastInterval: 100ms, emptyMatches: '"sessions":0' }
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
affinity: { keyPrefix: ${keyPrefix}, idleLifetime: 1h, redis: { url: '${inject('redisUrl')}' } }
coordination: { lease: 2s }
`;
    [one, two] = (await Promise.all([0, 1].map(() => startTestGateway(config, { env: token.env })))) as [
      TestGateway,
      TestGateway,
    ];
    redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    store = new RedisStore(redis, 'ici', { keyPrefix, idleLifetimeMs: IDLE_MS });
  });
  afterEach(async () => {
    await redis.close();
    await Promise.all([one, two].map((gateway) => gateway.close()));
    await Promise.all(connectors.map((connector) => connector.close()));
    token.remove();
  });

  const send = (gateway: TestGateway, operation: string) => post(gateway.url, AGENT, {}, operation);
  const found = () => store.find([{ kind: 'user', value: AGENT }]);
  const isLeaving = () =>
    eventually(async () => expect((await found())?.expiresInMs).toBeLessThan(IDLE_MS / 2));
  const isThere = () =>
    eventually(async () => expect((await found())?.expiresInMs).toBeGreaterThan(IDLE_MS / 2));
  const drain = async (instance: string): Promise<void> => {
    const path = `/pools/ici/instances/${instance}/drain`;
    const { body } = await ask(one.adminUrl, 'POST', path, { why: 'patch', by: 'ops' });
    expect(body).toMatchObject({ inEffect: true });
  };
  const endSession = async (instance: string, agent: string): Promise<void> => {
    const connector = connectors.find(({ name }) => name === instance);
    const body = writeMessage('1.1', 'setCurrentWorkmode', [['workmode', '1']]);
    const headers = { soapuser: agent, 'content-type': 'text/xml' };
    await fetch(`${connector?.url}/ici`, { method: 'POST', headers, body });
  };
  const adminOf = (instance: string) =>
    two.status().pools[0]?.instances.find(({ id }) => id === instance)?.admin;

  test('has a binding that ends, until a request comes through the other gateway', async () => {
    await send(one, LOG_ON);
    await send(one, LOG_OFF);
    await isLeaving();

    await send(two, 'makeCall');

    await isThere();
  });

  test('is shown to operators as one who has logged off, until the next request', async () => {
    const patient = await startTestGateway(config.replace('logoffGrace: 2s', 'logoffGrace: 10m'), {
      env: token.env,
    });
    try {
      const get = async (path: string) => (await ask(two.adminUrl, 'GET', path)).body;
      await send(patient, LOG_ON);
      await send(patient, LOG_OFF);
      await isLeaving();

      expect(await get('/bindings')).toMatchObject({ bindings: [{ name: AGENT, loggedOff: true }] });
      expect(await get('/pools/ici/agents')).toMatchObject({ agents: [{ name: AGENT, loggedOff: true }] });
      const left = await get(`/pools/ici/agents/${AGENT}`);
      const sentence = expect.stringContaining('has logged off, so the binding ends at');
      expect(left).toMatchObject({ loggedOff: true, sentence });

      await send(two, 'makeCall');
      await isThere();
      expect(await get('/bindings')).toMatchObject({ bindings: [{ name: AGENT, loggedOff: false }] });
      const back = await get(`/pools/ici/agents/${AGENT}`);
      expect(back).toMatchObject({ loggedOff: false, sentence: expect.not.stringContaining('logged off') });
    } finally {
      await patient.close();
    }
  });

  test('is warned about if the next request of the log-off is in no list, at any gateway', async () => {
    const told = (gateway: TestGateway) =>
      gateway.log.filter(({ msg }) => msg.startsWith('a request after a log-off keeps the binding'));
    const logOffWith = async (gateway: TestGateway, next: string): Promise<void> => {
      await send(one, LOG_ON);
      await send(one, LOG_OFF);
      await isLeaving();
      await send(gateway, next);
      await isThere();
    };

    await logOffWith(one, 'unsubscribe');
    await eventually(() => expect(told(one)).toMatchObject([{ pool: 'ici', operation: 'unsubscribe' }]));
    await logOffWith(two, 'deleteItem');
    await eventually(() => expect(told(two)).toMatchObject([{ pool: 'ici', operation: 'deleteItem' }]));

    // Neither a log-on nor a second log-off is one.
    await logOffWith(one, LOG_ON);
    await send(one, LOG_OFF);
    await send(one, LOG_OFF);
    await isLeaving();
    expect([...told(one), ...told(two)]).toHaveLength(2);
  });

  test('keeps the binding while a gateway is not configured for log-offs', async () => {
    const three = await startTestGateway(config.replace(`, logoff: [${LOG_OFF}], logoffGrace: 2s`, ''), {
      env: token.env,
    });
    try {
      await send(one, LOG_ON);
      const before = (await found())?.binding.generation as number;
      await send(one, LOG_OFF);

      await eventually(async () =>
        expect(await found()).toMatchObject({
          binding: { generation: expect.toSatisfy((generation: number) => generation > before) },
          expiresInMs: expect.toSatisfy((ms: number) => ms > IDLE_MS / 2),
        }),
      );
    } finally {
      await three.close();
    }
  });

  test('keeps the binding if the instance answers with a Fault', async () => {
    await send(one, LOG_ON);
    for (const connector of connectors) await connector.behave({ mode: 'fault' });

    expect(await send(one, LOG_OFF)).toMatchObject({ status: 500 });

    // The log-off of another agent is noted after it.
    for (const connector of connectors) await connector.behave({ mode: 'normal' });
    await post(one.url, 'SMITH', {}, LOG_ON);
    await post(one.url, 'SMITH', {}, LOG_OFF);
    await eventually(async () =>
      expect((await store.find([{ kind: 'user', value: 'SMITH' }]))?.expiresInMs).toBeLessThan(IDLE_MS / 2),
    );
    expect((await found())?.expiresInMs).toBeGreaterThan(IDLE_MS / 2);
  });

  test('leaves an instance that drains by logging on again, and the drain ends although a binding is left', async () => {
    const { connector: first = '' } = await send(one, LOG_ON);
    // Other agents at the instance: one works on, and one closes the browser.
    const others = Array.from({ length: 8 }, (_, i) => `AGENT${i}`);
    const places = await Promise.all(others.map((agent) => post(two.url, agent, {}, LOG_ON)));
    const [worker, gone] = places.filter(({ connector }) => connector === first).map(({ user }) => user) as [
      string,
      string,
    ];
    await drain(first);
    expect(await send(one, LOG_ON)).toMatchObject({ connector: first });
    await send(one, LOG_OFF);
    await isLeaving();

    const { connector: second } = await send(two, LOG_ON);

    expect(second).not.toBe(first);
    expect(await send(one, 'makeCall')).toMatchObject({ connector: second, status: 200 });
    expect(await post(one.url, worker, {}, LOG_ON)).toMatchObject({ connector: first });
    expect(adminOf(first)).toBe('draining');
    // As if the connector noticed that the browser was closed, and the worker logged off there by other means.
    await Promise.all([AGENT, ...others].map((agent) => endSession(first, agent)));
    await eventually(() => expect(adminOf(first)).toBe('disabled'), { within: 20_000 });
    expect(await store.find([{ kind: 'user', value: gone }])).toMatchObject({ binding: { instance: first } });
  });
});
