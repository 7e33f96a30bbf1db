import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import type { AgentLine } from '../../src/core/agent-status.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { freePort, startRedis } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const WHY = { why: 'patch the host', by: 'ops' };
const LIFETIME_MS = 20_000;
/** How often a gateway notes the requests of an agent with that idle lifetime. */
const WITHIN_MS = 1_000;

let token: TokenFile;
let connectors: SimulatedConnector[];
let keyPrefix: string;
const gateways: TestGateway[] = [];
const servers: RedisServer[] = [];

beforeAll(() => {
  token = writeTokenFile();
});
afterAll(() => token.remove());

beforeEach(async () => {
  keyPrefix = `acts-${randomBytes(4).toString('hex')}`;
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
});
afterEach(async () => {
  await stopAll();
  await Promise.all(connectors.map((connector) => connector.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function stopAll(): Promise<void> {
  await Promise.all(gateways.splice(0).map((gateway) => gateway.close()));
}

/** Two gateways that share a store. The second one may have other URLs for the instances. */
async function startBoth(
  mode: 'sticky' | 'failover',
  {
    redisUrl = inject('redisUrl'),
    urlsOfSecond = connectors.map(({ url }) => url),
    failback = 'never',
    idleLifetime = '12h',
  } = {},
): Promise<[TestGateway, TestGateway]> {
  const config = (urls: readonly string[]): string => `
pools:
  - name: ici
    mode: ${mode}
    ${mode === 'failover' ? `failback: ${failback}` : 'balancer: round-robin'}
    health: { path: /health, interval: 200ms, fastInterval: 50ms, fall: 2, rise: 1 }
    instances: [${urls.map((url, i) => `{ id: ${connectors[i]?.name}, url: '${url}', commonUrl: '${connectors[i]?.url}' }`).join(', ')}]
affinity: { idleLifetime: ${idleLifetime}, keyPrefix: ${keyPrefix}, redis: { url: '${redisUrl}' } }
coordination: { lease: 900ms }
`;
  const both = await Promise.all(
    [connectors.map(({ url }) => url), urlsOfSecond].map((urls) =>
      startTestGateway(config(urls), { env: token.env }),
    ),
  );
  gateways.push(...both);
  await eventually(() => expect(both.map(replicasOf)).toEqual([2, 2]));
  return both as [TestGateway, TestGateway];
}

const poolOf = (gateway: TestGateway) => {
  const [pool] = gateway.status().pools;
  if (pool === undefined) throw new Error('no pool');
  return pool;
};
const replicasOf = (gateway: TestGateway): number => poolOf(gateway).replicas.length;
const adminOf = (gateway: TestGateway, id: string) => {
  const found = poolOf(gateway).instances.find((instance) => instance.id === id);
  return found && { admin: found.admin, by: found.act?.by };
};

test('every gateway tells when an agent last sent a request, through whichever gateway', async () => {
  const [one, two] = await startBoth('sticky', { idleLifetime: `${LIFETIME_MS}ms` });
  const lastActive = async ({ adminUrl }: TestGateway): Promise<Record<string, number>> => {
    const { body } = await ask(adminUrl, 'GET', '/pools/ici/agents');
    expect(body.lastActiveWithinSeconds * 1_000).toBe(WITHIN_MS);
    return Object.fromEntries(
      body.agents.map((agent: AgentLine) => [agent.name, Date.parse(agent.lastActive)]),
    );
  };
  const untilLater = (since: number): Promise<void> =>
    eventually(() => expect(Date.now() - since).toBeGreaterThan(2.5 * WITHIN_MS));
  const times: Record<string, readonly [from: number, to: number]> = {};
  const send = async (gateway: TestGateway, user: string): Promise<void> => {
    const from = Date.now();
    expect((await post(gateway.url, user)).status).toBe(200);
    times[user] = [from - WITHIN_MS, Date.now() + WITHIN_MS];
  };
  const expectTold = async (): Promise<void> => {
    for (const gateway of [one, two]) {
      const told = await lastActive(gateway);
      for (const [user, [from, to]] of Object.entries(times)) {
        // On a busy machine the binding may have ended.
        if (told[user] === undefined && Date.now() - from > LIFETIME_MS) continue;
        expect(told[user], user).toBeGreaterThanOrEqual(from);
        expect(told[user], user).toBeLessThanOrEqual(to);
      }
    }
  };

  await send(one, 'EARLY');
  await send(one, 'BOTH');
  await untilLater(Date.now());
  await send(two, 'LATE');
  await expectTold();
  await untilLater(Date.now());
  await send(two, 'BOTH');
  // Requests of agents who are known are noted in the background.
  await eventually(expectTold);
});

describe('a change through one gateway', () => {
  test('applies at the other at once, and still after a restart of both', async () => {
    const [one, two] = await startBoth('sticky');
    const old = await Promise.all(users(4, 'OLD').map((user) => post(one.url, user)));
    expect(old.map(({ connector }) => connector)).toContain('b');
    const { status, body } = await ask(one.adminUrl, 'POST', '/pools/ici/instances/b/drain', {
      ...WHY,
      deadline: '1h',
    });
    expect([status, body.inEffect]).toEqual([200, true]);
    // No wait: the answer confirms that every gateway acts on it.
    expect(adminOf(two, 'b')).toEqual({ admin: 'draining', by: 'admin (says ops)' });
    const placed = await Promise.all(users(20, 'NEW').map((user) => post(two.url, user)));
    expect(new Set(placed.map(({ connector }) => connector))).toEqual(new Set(['a']));

    await stopAll();
    for (const gateway of await startBoth('sticky')) {
      expect(adminOf(gateway, 'b')).toEqual({ admin: 'draining', by: 'admin (says ops)' });
      const { events } = (await ask(gateway.adminUrl, 'GET', '/pools/ici/events')).body;
      expect(events).toContainEqual(
        expect.objectContaining({
          kind: 'admin',
          instance: 'b',
          from: 'enabled',
          to: 'draining',
          by: 'admin (says ops)',
        }),
      );
    }
  });

  test('simultaneous changes through both are all carried out', async () => {
    const [one, two] = await startBoth('sticky');
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        ask((i % 2 === 0 ? one : two).adminUrl, 'POST', '/pools/ici/instances/a/enable', {
          ...WHY,
          why: `act ${i}`,
        }),
      ),
    );
    expect(answers.map(({ status }) => status).filter((status) => status !== 200 && status !== 202)).toEqual(
      [],
    );
    const { events } = (await ask(two.adminUrl, 'GET', '/pools/ici/events')).body;
    const whys = events
      .filter(({ kind }: { kind: string }) => kind === 'admin')
      .map(({ why }: { why: string }) => why);
    expect(whys.sort()).toEqual(Array.from({ length: 8 }, (_, i) => `act ${i}`));
  });

  test('a moved agent is served by its new instance at both, and never by two instances', async () => {
    const [one, two] = await startBoth('sticky');
    const { connector: from } = await post(one.url, 'MILLER');
    expect((await post(two.url, 'MILLER')).connector).toBe(from);
    const to = from === 'a' ? 'b' : 'a';

    let isMoving = true;
    const seen: { startedAt: number; endedAt: number; connector: string | undefined }[] = [];
    const work = async (url: string): Promise<void> => {
      while (isMoving) {
        const { startedAt, durationMs, connector, status } = await post(url, 'MILLER');
        expect(status).toBe(200);
        seen.push({ startedAt, endedAt: startedAt + durationMs, connector });
      }
    };
    const working = Promise.all([work(one.url), work(two.url)]);
    const { status, body } = await ask(one.adminUrl, 'POST', '/pools/ici/agents/move', {
      ...WHY,
      agent: 'MILLER',
      instance: to,
    });
    isMoving = false;
    await working;
    expect([status, body.instance]).toEqual([200, to]);
    const firstAtNew = Math.min(
      ...seen.filter(({ connector }) => connector === to).map(({ endedAt }) => endedAt),
    );
    expect(seen.filter(({ startedAt, connector }) => connector === from && startedAt > firstAtNew)).toEqual(
      [],
    );
    for (const gateway of [one, two]) expect((await post(gateway.url, 'MILLER')).connector).toBe(to);
  });

  test('a failover pool has one active instance at both, and an operator’s failback policy survives their restart', async () => {
    const [one, two] = await startBoth('failover');
    await ask(one.adminUrl, 'POST', '/pools/ici/activate', { ...WHY, instance: 'b' });
    expect([one, two].map((gateway) => poolOf(gateway).active?.instance)).toEqual(['b', 'b']);
    const { status } = await ask(two.adminUrl, 'PUT', '/pools/ici/failback-policy', {
      ...WHY,
      policy: 'at 03:30',
      zone: 'UTC',
    });
    expect(status).toBe(200);

    await stopAll();
    for (const gateway of await startBoth('failover')) {
      expect(poolOf(gateway).active?.instance).toBe('b');
      expect(poolOf(gateway).failback).toEqual({ policy: 'at 03:30', zone: 'UTC', by: 'operator' });
    }
  });
});

describe('the state that a gateway reports', () => {
  test('is Isolated, with the names, if only this gateway cannot reach an instance', async () => {
    const unreachable = `http://127.0.0.1:${await freePort()}`;
    const [one, two] = await startBoth('sticky', { urlsOfSecond: [unreachable, connectors[1]?.url ?? ''] });
    await eventually(async () => {
      const ready = await ask(two.adminUrl, 'GET', '/readyz');
      expect([ready.status, ready.body]).toEqual([503, 'Isolated\ncut off from ici/a\n']);
    });
    // A busy machine can cost a gateway its lease for a moment, and with it what it says here.
    await eventually(async () => {
      expect((await ask(one.adminUrl, 'GET', '/readyz')).body).toBe('Running\n');
      expect(two.status().state).toBe('Isolated');
      const page = await fetch(`${two.url}/sap/wdisp/admin/publicicp/show_init_statepub.icp`);
      expect([page.status, await page.text()]).toEqual([503, 'Isolated']);
      expect(poolOf(two).instances.map(({ id, cutOffHere, health }) => [id, cutOffHere, health])).toEqual([
        ['a', true, 'up'],
        ['b', false, 'up'],
      ]);
      const down = poolOf(one).replicas.map((replica) => replica.down);
      expect(down.sort()).toEqual([[], ['a']]);
      expect(two.status().shared).toBe(true);
      expect((await ask(two.adminUrl, 'GET', '/metrics')).body).toContain(
        'gateway_instance_cut_off{pool="ici",instance="a"} 1',
      );
    });
  });

  test('names the participating gateways and the rest of the lease', async () => {
    const [one] = await startBoth('failover');
    // A busy machine can cost a gateway its lease for a moment.
    await eventually(async () => {
      const pool = poolOf(one);
      expect(pool).toMatchObject({
        standing: 'leased',
        view: { effective: true, pendingSince: null },
        active: { instance: 'a' },
        failback: { policy: 'never', zone: null, by: 'configuration' },
      });
      expect(pool.leaseRemainingMs).toBeGreaterThan(0);
      expect(pool.leaseRemainingMs).toBeLessThanOrEqual(900);
      const scraped = (await ask(one.adminUrl, 'GET', '/metrics')).body;
      for (const line of [
        'gateway_view_effective{pool="ici"} 1',
        'gateway_replicas{pool="ici"} 2',
        'gateway_active_instance{pool="ici",instance="a"} 1',
        'gateway_active_instance{pool="ici",instance="b"} 0',
        'gateway_instance_quarantined{pool="ici",instance="a"} 0',
      ])
        expect(scraped).toContain(line);
      expect(scraped).toMatch(/gateway_lease_seconds\{pool="ici"\} 0\.\d/);
      expect(scraped).toMatch(
        /gateway_ledger_operations_total\{pool="ici",operation="sync",outcome="ok"\} [1-9]/,
      );
    });
  });

  test('while the store is away changes are refused with that reason', async () => {
    const redis = await startRedis();
    servers.push(redis);
    const [one] = await startBoth('sticky', { redisUrl: redis.url });
    await redis.kill();
    await eventually(() => expect(poolOf(one).affinity.available).toBe(false));
    for (const [method, path, body] of [
      ['POST', '/pools/ici/instances/a/drain', WHY],
      ['POST', '/pools/ici/agents/move', { ...WHY, agent: 'MILLER', instance: 'a' }],
      ['GET', '/pools/ici/events', undefined],
      ['GET', '/pools/ici/drain/a', undefined],
    ] as const) {
      const answer = await ask(one.adminUrl, method, path, body);
      expect([path, answer.status, answer.body.error]).toEqual([
        path,
        503,
        expect.stringContaining('the store is away'),
      ]);
    }
    expect(adminOf(one, 'a')?.admin).toBe('enabled');
    expect((await ask(one.adminUrl, 'GET', '/metrics')).body).toContain(
      'gateway_affinity_available{pool="ici"} 0',
    );
  });
});
