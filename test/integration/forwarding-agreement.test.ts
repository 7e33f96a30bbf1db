import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { rendezvous } from '../../src/core/balancers.ts';
import { nameKey } from '../../src/core/identity.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { FaultProxy } from '../chaos/fault-proxy.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { eventually } from '../support/eventually.ts';
import { anInstance } from '../support/instances.ts';
import { post, users } from '../support/load.ts';
import { startRedis } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let connectors: SimulatedConnector[] = [];
let gateways: TestGateway[] = [];
/** Between the first gateway and connector a. */
let link: FaultProxy | undefined;
let closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all(connectors.map((connector) => connector.close()));
  await link?.close();
  for (const close of closers) await close();
  connectors = [];
  gateways = [];
  link = undefined;
  closers = [];
});

/**
 * @param lease long by default: a gateway that got no processor time for a lease is no gateway to the others, so that
 * one that is cut off may decide alone
 */
async function start(
  count: number,
  mode: string,
  redisUrl: string,
  { onStoreLoss = 'continue', lease = '2s', park = '15s' } = {},
): Promise<void> {
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const [a, b] = connectors as [SimulatedConnector, SimulatedConnector];
  link = await startFaultProxy(() => ({ host: a.host, port: a.port }));
  const keyPrefix = `agreement-${randomBytes(4).toString('hex')}`;
  // The others find every instance healthy, however slowly a busy machine answers.
  const config = (urlOfA: string, timeout: string): string => `
pools:
  - name: ici
    mode: ${mode}
    balancer: least-bound
    health: { path: /health, interval: 200ms, fastInterval: 50ms, timeout: ${timeout}, fall: 2 }
    instances: [{ id: a, url: '${urlOfA}', commonUrl: '${a.url}' }, { id: b, url: '${b.url}' }]
coordination: { lease: ${lease} }
affinity: { onStoreLoss: ${onStoreLoss}, keyPrefix: ${keyPrefix}, redis: { url: '${redisUrl}' } }
timeouts: { park: ${park} }
`;
  const throughLink = `http://${link.host}:${link.port}`;
  gateways = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startTestGateway(i === 0 ? config(throughLink, '800ms') : config(a.url, '10s')),
    ),
  );
}

const urlOf = (index: number): string => (gateways[index] as TestGateway).url;

/** Sends one request of each through one gateway; returns the connector that answered, or the gateway's error code. */
async function answers(gateway: number, agents: readonly string[]): Promise<Map<string, string | undefined>> {
  const outcomes = await Promise.all(agents.map((user) => post(urlOf(gateway), user)));
  return new Map(outcomes.map(({ user, connector, code }) => [user, code ?? connector]));
}

async function metric(gateway: number, name: string): Promise<number> {
  const text = await (await fetch(`${(gateways[gateway] as TestGateway).adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

describe('a gateway that is the only one that cannot reach an instance', () => {
  test('moves none of its agents, answers them with an error, and serves them when it can again', async () => {
    await start(3, 'sticky', inject('redisUrl'));
    const agents = users(20, 'AGENT');
    const places = await answers(1, agents);
    const atA = agents.filter((agent) => places.get(agent) === 'a');
    const atB = agents.filter((agent) => places.get(agent) === 'b');
    expect([atA.length, atB.length].every((length) => length > 0)).toBe(true);
    expect(await answers(0, agents)).toEqual(places);

    link?.cut();
    const [known] = atA as [string];
    await eventually(async () => {
      expect((await answers(0, [known])).get(known)).toBe('GW_INSTANCE_CUT_OFF');
    });
    // The first requests were held until the state was certain; these are not held.
    const gateway = gateways[0] as TestGateway;
    await eventually(async () => {
      const before = gateway.requests().length;
      expect([...new Set((await answers(0, atA)).values())]).toEqual(['GW_INSTANCE_CUT_OFF']);
      const lines = await eventually(() => {
        const ended = gateway.requests().slice(before);
        expect(ended).toHaveLength(atA.length);
        return ended;
      });
      // Unless a busy machine cost the gateway its lease.
      expect(lines.map(({ error, parkedMs }) => [error, parkedMs])).toEqual(
        atA.map(() => ['GW_INSTANCE_CUT_OFF', undefined]),
      );
    });
    expect(await answers(0, atB)).toEqual(new Map(atB.map((agent) => [agent, 'b'])));
    expect([...new Set((await answers(0, users(10, 'NEW'))).values())]).toEqual(['b']);
    for (const peer of [1, 2]) expect(await answers(peer, agents)).toEqual(places);

    link?.heal();
    await eventually(async () => expect(await answers(0, agents)).toEqual(places));
    for (const gateway of [0, 1, 2]) expect(await metric(gateway, 'gateway_rebinds_total')).toBe(0);
  });

  test('leaves the active instance of a failover pool active', async () => {
    await start(3, 'failover', inject('redisUrl'));
    const agents = users(5, 'AGENT');
    const allAt = (answer: string) => new Map(agents.map((agent) => [agent, answer]));
    expect(await answers(0, agents)).toEqual(allAt('a'));
    link?.cut();
    await eventually(async () => expect(await answers(0, agents)).toEqual(allAt('GW_INSTANCE_CUT_OFF')));
    for (const peer of [1, 2]) expect(await answers(peer, agents)).toEqual(allAt('a'));
    link?.heal();
    await eventually(async () => expect(await answers(0, agents)).toEqual(allAt('a')));
  });
});

describe('gateways without their store', () => {
  async function startWithRedisOfItsOwn(options: { onStoreLoss: string; park?: string }) {
    const redis = await startRedis();
    closers.push(() => redis.stop());
    await start(2, 'sticky', redis.url, { ...options, lease: '600ms' });
    const known = users(10, 'KNOWN');
    const places = await answers(0, known);
    expect(await answers(1, known)).toEqual(places);
    return { redis, known, places };
  }

  test('serve known agents and place new ones alike, with onStoreLoss continue', async () => {
    const { redis, known, places } = await startWithRedisOfItsOwn({ onStoreLoss: 'continue' });
    await redis.kill();
    const newcomers = users(10, 'NEW');
    const placed = await Promise.all([answers(0, newcomers), answers(1, newcomers)]);
    const candidates = ['a', 'b'].map((id) => anInstance({ id }));
    const hashed = new Map(
      newcomers.map((agent) => [agent, rendezvous(candidates, nameKey('user', agent))?.id]),
    );
    expect(placed).toEqual([hashed, hashed]);
    for (const gateway of [0, 1]) expect(await answers(gateway, known)).toEqual(places);

    await redis.start();
    // All placements made alone are written back, and every agent is at that instance.
    await eventually(async () => expect(await metric(0, 'gateway_affinity_available')).toBe(1));
    for (const gateway of [0, 1]) {
      expect(await answers(gateway, known)).toEqual(places);
      expect(await answers(gateway, newcomers)).toEqual(hashed);
    }
  });

  test('serve no agent, known or new, after the end of their lease, with onStoreLoss refuse', async () => {
    const { redis, known, places } = await startWithRedisOfItsOwn({ onStoreLoss: 'refuse', park: '2s' });
    await redis.kill();
    expect((await answers(0, ['NEW'])).get('NEW')).toBe('GW_AFFINITY_UNAVAILABLE');
    const told = await answers(0, known);
    expect([...new Set(told.values())]).toEqual(['GW_AFFINITY_UNAVAILABLE']);
    await redis.start();
    await eventually(async () => expect(await answers(0, known)).toEqual(places));
  });
});
