import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let connectors: SimulatedConnector[];
let gateway: TestGateway;

beforeEach(async () => {
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  gateway = await startTestGateway(`
pools:
  - name: ici
    mode: sticky
    balancer: round-robin
    health: { path: /health, interval: 200ms, fastInterval: 50ms }
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
`);
});

afterEach(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
});

async function get(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${gateway.adminUrl}${path}`);
  return { status: response.status, text: await response.text() };
}

interface Listing {
  bindings: { name: string; instance: string; generation: number; expiresInSeconds: number }[];
  next: string | null;
}

async function listing(query: string): Promise<Listing> {
  const { status, text } = await get(`/bindings${query}`);
  expect(status, text).toBe(200);
  return JSON.parse(text);
}

describe('the admin API', () => {
  test('is live, and ready independently of the instances', async () => {
    expect(await get('/livez')).toEqual({ status: 200, text: 'ok\n' });
    expect(await get('/readyz')).toEqual({ status: 200, text: 'Running\n' });
    await Promise.all(connectors.map((connector) => connector.close()));
    await eventually(() =>
      expect(gateway.status().pools[0]?.instances.map(({ health }) => health)).toEqual(['down', 'down']),
    );
    expect((await get('/readyz')).status).toBe(200);
  });

  test('lists its paths in the answer to any other path, even one that cannot be decoded', async () => {
    for (const path of ['/elsewhere', '/%zz', `/pools/${'x'.repeat(2_000)}/events`]) {
      const { status, text } = await get(path);
      expect([path, status, text]).toEqual([path, 404, expect.stringMatching(/^not found: /)]);
    }
  });

  test('lists the instance of every agent, page by page and by instance', async () => {
    const agents = users(25, 'AGENT');
    const outcomes = await Promise.all(agents.map((user) => post(gateway.url, user)));
    const placed = new Map(outcomes.map(({ user, connector }) => [user, connector]));

    const seen: Listing['bindings'] = [];
    let next: string | null = '';
    do {
      const page: Listing = await listing(
        `?pool=ici&limit=10${next === '' ? '' : `&cursor=${encodeURIComponent(next ?? '')}`}`,
      );
      seen.push(...page.bindings);
      next = page.next;
    } while (next !== null);
    expect(new Map(seen.map(({ name, instance }) => [name, instance]))).toEqual(placed);

    const atA = await listing('?instance=a&limit=100');
    expect(atA.bindings.map(({ name }) => name).sort()).toEqual(
      agents.filter((user) => placed.get(user) === 'a').sort(),
    );
    expect(
      atA.bindings.every(({ generation, expiresInSeconds }) => generation >= 0 && expiresInSeconds > 3_600),
    ).toBe(true);
  });

  test('counts bound agents by instance in the status and in the metrics', async () => {
    await Promise.all(users(10, 'AGENT').map((user) => post(gateway.url, user)));
    await eventually(() =>
      expect(gateway.status().pools[0]?.instances.map(({ boundAgents }) => boundAgents)).toEqual([5, 5]),
    );
    expect((await get('/metrics')).text).toContain('gateway_bindings{pool="ici",instance="a"} 5');
  });

  test('tells what the last probe found, who reports what, the shares of the instances and the traffic', async () => {
    await Promise.all(users(10, 'AGENT').map((user) => post(gateway.url, user)));
    await connectors[1]?.close();
    const [pool] = await eventually(() => {
      const { pools, alarms } = gateway.status();
      expect(pools[0]?.instances.map(({ health }) => health)).toEqual(['up', 'down']);
      expect(pools[0]?.traffic).toEqual({ requests: 10, faults: 0 });
      expect(pools[0]?.instances.map(({ share }) => share)).toEqual([0.5, 0.5]);
      expect(alarms.map(({ id }) => id)).toEqual(['IciPoolWithoutSpare/ici', 'IciInstanceDown/ici/b']);
      return pools;
    });
    const [a, b] = pool?.instances ?? [];
    expect(a).toMatchObject({ lastProbe: { ok: true, text: null }, weightShare: 1 });
    expect(b).toMatchObject({
      lastProbe: { ok: false, text: expect.stringMatching(/ECONNREFUSED/) },
      weightShare: 0,
    });
    const { replica } = gateway.status();
    expect([a?.reports, b?.reports]).toEqual([[{ replica, verdict: 'up' }], [{ replica, verdict: 'down' }]]);
    for (const since of [a?.healthSince, b?.healthSince, b?.lastProbe?.at])
      expect(Date.now() - Date.parse(since ?? '')).toBeLessThan(60_000);
    expect(pool).toMatchObject({ balancer: 'round-robin' });
    expect(gateway.status()).toMatchObject({ host: hostname(), admin: { advertise: null } });
  });

  test('names its pools, and the error in a request', async () => {
    expect((await get('/nothing')).text).toMatch(/\/bindings/);
    expect((await get('/bindings?pool=other')).status).toBe(404);
    expect((await get('/bindings?limit=none')).status).toBe(400);
  });
});
