import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { FaultProxy } from '../chaos/fault-proxy.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { freePort } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const INSTANCES = ['a', 'b', 'c'];

/** Gateways that reach the instances over links that can be cut. */
class Stage {
  readonly directory = mkdtempSync(join(tmpdir(), 'ici-gateway-test-'));
  readonly keyFile = join(this.directory, 'peers.key');
  connectors: SimulatedConnector[] = [];
  gateways: TestGateway[] = [];
  readonly #token = writeTokenFile();
  readonly #links = new Map<string, FaultProxy>();

  constructor() {
    writeFileSync(this.keyFile, randomBytes(32).toString('hex'), { mode: 0o600 });
  }

  /** @param keys the file with the key of each gateway; '' for a gateway that has no section `peers` */
  async start(keys: readonly string[], health: object = { timeout: '5s', fall: 2 }): Promise<void> {
    this.connectors = await Promise.all(INSTANCES.map((name) => startConnector({ name })));
    const keyPrefix = `relay-${randomBytes(4).toString('hex')}`;
    this.gateways = await Promise.all(
      keys.map((keyFile, i) => this.#startGateway(i, keyFile, keyPrefix, health)),
    );
  }

  async #startGateway(
    gateway: number,
    keyFile: string,
    keyPrefix: string,
    health: object,
  ): Promise<TestGateway> {
    const instances = this.connectors.map(async ({ name: id, host, port, url: commonUrl }) => {
      const link = await startFaultProxy(() => ({ host, port }));
      this.#links.set(`${gateway}${id}`, link);
      return { id, url: `http://${link.host}:${link.port}`, commonUrl };
    });
    const peers = { address: `127.0.0.1:${await freePort()}`, keyFile };
    return startTestGateway(
      `
pools:
  - name: ici
    mode: sticky
    balancer: least-bound
    health: ${JSON.stringify({ path: '/health', interval: '200ms', fastInterval: '50ms', ...health })}
    instances: ${JSON.stringify(await Promise.all(instances))}
coordination: { lease: 2s }
timeouts: { park: 500ms }
affinity: { keyPrefix: ${keyPrefix}, redis: { url: '${inject('redisUrl')}' } }
${keyFile === '' ? '' : `peers: ${JSON.stringify(peers)}`}
`,
      { env: this.#token.env },
    );
  }

  /** From now on, the gateway can connect to the instance, and nothing comes back. */
  silence(gateway: number, instance: string): void {
    this.#links.get(`${gateway}${instance}`)?.silence();
  }

  /** From now on, connections of the gateway to the instance are refused. */
  async cut(gateway: number, instance: string): Promise<void> {
    await this.#links.get(`${gateway}${instance}`)?.close();
  }

  /** Sends one request of each agent through one gateway; returns the answering connector, or the error code. */
  async answers(gateway: number, agents: readonly string[]): Promise<Map<string, string | undefined>> {
    const { url } = this.gateways[gateway] as TestGateway;
    const outcomes = await Promise.all(agents.map((user) => post(url, user)));
    return new Map(outcomes.map(({ user, connector, code }) => [user, code ?? connector]));
  }

  /** What a command shows at a terminal. */
  async typed(gateway: number, ...command: string[]): Promise<string> {
    const { adminUrl } = this.gateways[gateway] as TestGateway;
    const env = { ...this.#token.env, ICI_GATEWAY_ADMIN__URL: adminUrl };
    return (await runCommand(['admin', ...command], env, { hasColors: false })).out;
  }

  async maintain(gateway: number): Promise<void> {
    const { adminUrl } = this.gateways[gateway] as TestGateway;
    expect((await ask(adminUrl, 'POST', '/maintenance', { on: true, why: 'a test' })).status).toBe(200);
  }

  async counted(gateway: number, direction: string, outcome: string): Promise<number> {
    const text = await (await fetch(`${(this.gateways[gateway] as TestGateway).adminUrl}/metrics`)).text();
    const series = `gateway_relays_total{pool="ici",instance="a",direction="${direction}",outcome="${outcome}"}`;
    const line = text.split('\n').find((one) => one.startsWith(`${series} `));
    return Number(line?.slice(series.length) ?? Number.NaN);
  }

  async close(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.close()));
    await Promise.all(this.connectors.map((connector) => connector.close()));
    await Promise.all([...this.#links.values()].map((link) => link.close().catch(() => {})));
    rmSync(this.directory, { recursive: true });
    this.#token.remove();
  }
}

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

/** Starts the gateways, and binds agents. Returns their places; some are at each instance. */
async function bound(keys: readonly string[], health?: object): Promise<Map<string, string | undefined>> {
  await stage.start(keys, health);
  const places = await stage.answers(0, users(20, 'AGENT'));
  expect([...new Set(places.values())].sort()).toEqual(INSTANCES);
  return places;
}

describe('a gateway that cannot connect to an instance', () => {
  test('serves the agents there through a peer, from the first refused connection on, and moves none', async () => {
    const places = await bound([stage.keyFile, stage.keyFile, stage.keyFile]);
    await stage.cut(0, 'a');
    const until = performance.now() + 1_500;
    for (let turns = 0; turns < 3 || performance.now() < until; turns += 1)
      expect(await stage.answers(0, [...places.keys()])).toEqual(places);
    for (const peer of [1, 2]) expect(await stage.answers(peer, [...places.keys()])).toEqual(places);
    expect(await stage.counted(0, 'out', 'answered')).toBeGreaterThan(0);
  });

  test('tells operators so, how many it relayed, and which gateways take them at which address', async () => {
    const places = await bound([stage.keyFile, stage.keyFile, '']);
    const relaysAt = (gateway: number) => {
      const [pool] = (stage.gateways[gateway] as TestGateway).status().pools;
      return pool?.instances.map(({ id, relays }) => [id, relays]);
    };
    const none = { active: false, sent: 0, taken: 0 };
    expect(relaysAt(0)).toEqual(INSTANCES.map((id) => [id, none]));
    expect(relaysAt(2)).toEqual(INSTANCES.map((id) => [id, null]));
    await stage.cut(0, 'a');
    // The controller reads the counters once a second.
    await eventually(async () => {
      await stage.answers(0, [...places.keys()]);
      expect(relaysAt(0)).toEqual([
        ['a', { active: true, sent: expect.toSatisfy((sent: number) => sent > 0), taken: 0 }],
        ['b', none],
        ['c', none],
      ]);
      expect(relaysAt(1)?.[0]).toEqual(['a', { active: false, sent: 0, taken: expect.any(Number) }]);
    });
    await eventually(() =>
      expect(relaysAt(1)?.[0]?.[1]).toMatchObject({ taken: expect.toSatisfy((taken: number) => taken > 0) }),
    );

    const status = await stage.typed(0, 'status');
    expect(status).toMatch(
      /^a +up, unreachable here, through peers |^a +up, (cut off here, )?through peers /m,
    );
    expect(status).toMatch(
      /^relayed requests are taken by \S+ at 127\.0\.0\.1:\d+, \S+ at 127\.0\.0\.1:\d+$/m,
    );
    expect(status).toMatch(/^a: \d+ requests? to peers and 0 from peers in 15 minutes$/m);
    const gateways = await stage.typed(0, 'gateways');
    expect(gateways).toMatch(/ TAKES RELAYED AT\n/);
    expect(gateways.match(/ 127\.0\.0\.1:\d+\n/g)).toHaveLength(2);
  });

  test('does so where each gateway is cut off from another instance', async () => {
    const places = await bound([stage.keyFile, stage.keyFile, stage.keyFile]);
    for (const [gateway, instance] of INSTANCES.entries()) await stage.cut(gateway, instance);
    const until = performance.now() + 1_000;
    for (let turns = 0; turns < 3 || performance.now() < until; turns += 1)
      for (const gateway of [0, 1, 2])
        expect(await stage.answers(gateway, [...places.keys()])).toEqual(places);
  });

  test('spreads their requests over its peers, and leaves out one in maintenance while another one can relay', async () => {
    const places = await bound([stage.keyFile, stage.keyFile, stage.keyFile]);
    const atA = [...places].flatMap(([agent, place]) => (place === 'a' ? [agent] : []));
    const served = new Map(atA.map((agent) => [agent, 'a']));
    const relayed = (): Promise<number[]> =>
      Promise.all([1, 2].map((peer) => stage.counted(peer, 'in', 'answered')));
    await stage.cut(0, 'a');
    await eventually(async () => {
      expect(await stage.answers(0, atA)).toEqual(served);
      expect(Math.min(...(await relayed()))).toBeGreaterThan(4);
    });

    await stage.maintain(1);
    // As soon as the others have its report.
    await eventually(async () => {
      const [before] = await relayed();
      for (let turns = 0; turns < 4; turns += 1) expect(await stage.answers(0, atA)).toEqual(served);
      expect((await relayed())[0]).toBe(before);
    });
    await stage.maintain(2);
    for (let turns = 0; turns < 4; turns += 1) expect(await stage.answers(0, atA)).toEqual(served);
  });

  test('gives up what it wrote into a broken path once the instance has answered through a peer', async () => {
    // It never counts as cut off.
    const places = await bound([stage.keyFile, stage.keyFile], { timeout: '400ms', fall: 100 });
    const atA = [...places].flatMap(([agent, place]) => (place === 'a' ? [agent] : []));
    expect(await stage.answers(0, atA)).toEqual(new Map(atA.map((agent) => [agent, 'a'])));
    stage.silence(0, 'a');
    const written = stage.answers(0, atA);
    // Others go on to send.
    const later: Promise<Map<string, string | undefined>>[] = [];
    const timer = setInterval(() => later.push(stage.answers(0, atA.slice(0, 1))), 100);
    try {
      expect([...new Set((await written).values())]).toEqual(['GW_OUTCOME_UNKNOWN']);
    } finally {
      clearInterval(timer);
    }
    await Promise.all(later);
    expect(await stage.answers(0, atA)).toEqual(new Map(atA.map((agent) => [agent, 'a'])));
  });

  test('hands no request to a peer with another key', async () => {
    const other = join(stage.directory, 'other.key');
    writeFileSync(other, randomBytes(32).toString('hex'), { mode: 0o600 });
    const places = await bound([stage.keyFile, other]);
    const atA = [...places].flatMap(([agent, place]) => (place === 'a' ? [agent] : []));
    await stage.cut(0, 'a');
    await eventually(async () =>
      expect([...new Set((await stage.answers(0, atA)).values())]).toEqual(['GW_UPSTREAM_UNREACHABLE']),
    );
    expect(await stage.counted(0, 'out', 'answered')).toBe(0);
  });

  test.each([
    ['the other gateway takes none', [true, false]],
    ['it takes none itself', [false, true]],
  ] as const)(
    'hands none on if %s, and says that the instance is cut off',
    { tags: 'long' },
    async (_, takes) => {
      const places = await bound(takes.map((isOn) => (isOn ? stage.keyFile : '')));
      const atA = [...places].flatMap(([agent, place]) => (place === 'a' ? [agent] : []));
      await stage.cut(0, 'a');
      await eventually(async () =>
        expect([...new Set((await stage.answers(0, atA)).values())]).toEqual(['GW_INSTANCE_CUT_OFF']),
      );
    },
  );
});
