import { randomBytes } from 'node:crypto';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  onTestFinished,
  test,
} from 'vitest';
import { RedisViewStore } from '../../src/coordination/redis/view-store.ts';
import { openRedis } from '../../src/redis/connection.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { Outcome } from '../support/load.ts';
import { post, startOpenLoad } from '../support/load.ts';
import type { Answer, TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { request } from '../support/view-store-requests.ts';
import { AdministeredGateway } from './admin-acts-support.ts';

const WHY = { why: 'complains of echo', by: 'ops' };
// Long enough that a busy machine seldom costs a gateway its lease: changes are refused then.
const LEASE_MS = 2_000;
const EVERY_MS = 10;

const atEnd = ({ startedAt, durationMs }: Outcome): number => startedAt + durationMs;

describe('two gateways on one Redis', () => {
  let token: TokenFile;
  let connectors: SimulatedConnector[];
  let keyPrefix: string;
  let one: TestGateway;
  let two: TestGateway;

  beforeAll(() => {
    token = writeTokenFile();
  });
  afterAll(() => token.remove());
  beforeEach(async () => {
    keyPrefix = `forget-${randomBytes(4).toString('hex')}`;
    connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
    const config = `
pools:
  - name: ici
    mode: sticky
    # No two gateways make the same proposal, so only the store can make them place an agent alike.
    balancer: random
    health: { path: /health }
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
affinity: { keyPrefix: ${keyPrefix}, redis: { url: '${inject('redisUrl')}' } }
coordination: { lease: ${LEASE_MS}ms }
`;
    [one, two] = (await Promise.all([0, 1].map(() => startTestGateway(config, { env: token.env })))) as [
      TestGateway,
      TestGateway,
    ];
    await eventually(() => {
      for (const gateway of [one, two]) expect(gateway.status().pools[0]?.replicas).toHaveLength(2);
    });
  });
  afterEach(async () => {
    await Promise.all([one, two].map((gateway) => gateway.close()));
    await Promise.all(connectors.map((connector) => connector.close()));
  });

  const change = (path: string, body: object = {}): Promise<Answer> =>
    ask(one.adminUrl, 'POST', `/pools/ici${path}`, { ...WHY, ...body });
  const forget = (agent = 'MILLER'): Promise<Answer> => change('/agents/forget', { agent });
  const other = (name: string): string => (name === 'a' ? 'b' : 'a');
  const startBoth = async (): Promise<string> => {
    const { connector = '' } = await post(one.url, 'MILLER');
    expect((await post(two.url, 'MILLER')).connector).toBe(connector);
    return connector;
  };

  test('serve an agent under load at one instance at a time, and lose none of its requests', async () => {
    let at = await startBoth();
    const load = startOpenLoad([one.url, two.url], ['MILLER'], EVERY_MS);
    const rounds: { from: string; to: string; begunAt: number; answeredAt: number }[] = [];
    for (let round = 0; round < 2; round += 1) {
      const to = other(at);
      const begunAt = performance.now();
      await change(`/instances/${to}/enable`);
      await change(`/instances/${at}/drain`);
      const { status, body } = await forget();
      expect([status, body]).toEqual([200, { agent: 'user:MILLER', instance: at, forgotten: true }]);
      const answeredAt = performance.now();
      await eventually(() =>
        expect(load.outcomes.filter(({ startedAt }) => startedAt > answeredAt).length).toBeGreaterThan(10),
      );
      rounds.push({ from: at, to, begunAt, answeredAt });
      at = to;
    }
    // The drain ends as soon as the last agent is forgotten.
    await eventually(() =>
      expect(two.status().pools[0]?.instances.find(({ id }) => id === other(at))?.admin).toBe('disabled'),
    );
    const outcomes = await load.stop();

    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
    for (const [round, { from, to, begunAt, answeredAt }] of rounds.entries()) {
      const until = rounds[round + 1]?.begunAt ?? Number.POSITIVE_INFINITY;
      const during = outcomes.filter(({ startedAt }) => startedAt > begunAt && startedAt < until);
      const atNew = during.filter(({ connector }) => connector === to);
      const firstAtNew = Math.min(answeredAt, ...atNew.map(atEnd));
      const late = during.filter(({ connector, startedAt }) => connector === from && startedAt > firstAtNew);
      expect(late).toEqual([]);
    }
    for (const { url } of [one, two]) expect((await post(url, 'MILLER')).connector).toBe(at);
  });

  test('wait for a gateway that may still serve the agent, and hold the agent’s requests until then', async () => {
    const at = await startBoth();
    const redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    onTestFinished(() => redis.close());
    await eventually(() => redis.ping());
    // It gets a lease on the present view, and acknowledges no later one: a gateway that is paused, of any release.
    const paused = new RedisViewStore(redis, 'ici', {
      keyPrefix,
      leaseMs: LEASE_MS,
      joinMs: LEASE_MS / 3,
      confirmedBy: 0,
    });
    let known = {};
    let grantedAt = 0;
    await eventually(async () => {
      const sentAt = performance.now();
      const { granted, epoch, viewId, storeGeneration } = await paused.sync(request('paused', known));
      known = { epoch, viewId, restored: storeGeneration, held: granted };
      expect(granted).toBe(true);
      grantedAt = sentAt;
    });

    await change(`/instances/${at}/drain`);
    const load = startOpenLoad([one.url, two.url], ['MILLER'], EVERY_MS * 3);
    expect((await forget()).status).toBe(200);
    expect(performance.now() - grantedAt).toBeGreaterThan(LEASE_MS);
    const answeredAt = performance.now();
    await eventually(() =>
      expect(load.outcomes.filter(({ startedAt }) => startedAt > answeredAt).length).toBeGreaterThan(2),
    );
    const outcomes = await load.stop();
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set([200]));
    expect(outcomes.at(-1)?.connector).toBe(other(at));
  });
});

test('an agent is forgotten by a session too, with the reason in event log, log and metrics', async () => {
  const on = await AdministeredGateway.prepare();
  onTestFinished(() => on.close());
  await on.start('balancer: random');
  const cookie = { cookie: 'WS_SESSION_ID=secret-session' };
  const { connector: from = '' } = await post(on.gateway.url, 'MILLER', cookie);
  await on.change(`/instances/${from}/drain`, WHY);

  const { status, body } = await on.change('/agents/forget', { ...WHY, session: 'secret-session' });

  expect([status, body.instance]).toEqual([200, from]);
  expect((await on.change('/agents/forget', { ...WHY, agent: 'MILLER' })).body.error).toBe(
    'user:MILLER is not bound; an agent without a binding gets one at the next request',
  );
  // By the session alone first, as where only logons name the user.
  const { connector: to } = await post(on.gateway.url, '', { ...cookie, soapuser: '' });
  expect(to).not.toBe(from);
  expect((await post(on.gateway.url, 'MILLER')).connector).toBe(to);

  const { events } = (await on.read('/events')).body;
  expect(events).toContainEqual(
    expect.objectContaining({
      kind: 'forgotten',
      instance: from,
      from,
      to: '',
      by: expect.stringContaining('ops'),
      why: expect.stringMatching(/^session:.*: complains of echo$/),
    }),
  );
  expect(on.gateway.log).toContainEqual(
    expect.objectContaining({ msg: 'act of an operator', act: 'forget', why: WHY.why }),
  );
  expect((await ask(on.gateway.adminUrl, 'GET', '/metrics')).body).toContain(
    'gateway_admin_acts_total{pool="ici",act="forget",outcome="ok"} 1',
  );
  expect(JSON.stringify([body, events, on.gateway.log])).not.toContain('secret-session');
});
