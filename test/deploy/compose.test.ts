import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import type { Haproxy } from '../support/haproxy.ts';
import { startHaproxy } from '../support/haproxy.ts';
import type { Outcome } from '../support/load.ts';
import { post } from '../support/load.ts';
import { freePort } from '../support/redis-server.ts';

/** The services of docker-compose.yml without containers: gateways, connectors and balancer with its configurations. */

const read = (file: string): string =>
  readFileSync(new URL(`../../deploy/compose/${file}`, import.meta.url), 'utf8');

/** The pause of an agent between two requests: some hundred requests a second in total. */
const PAUSE_MS = 50;
const USERS = Array.from({ length: 20 }, (_, i) => `COMPOSE${i}`);

let connectors: SimulatedConnector[];
let gateways: GatewayProcess[];
let balancer: Haproxy;
let url: string;

beforeAll(async () => {
  connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
  // The names that Docker would resolve, replaced by local addresses.
  const configuration = read('gateway.yaml').replaceAll(
    /http:\/\/connector-([abc]):9000/g,
    (text, name) => connectors.find((connector) => connector.name === name)?.url ?? text,
  );
  const { listen: _listen, admin: _admin, ...config } = parse(configuration);
  const affinity = { redis: { url: inject('redisUrl') }, keyPrefix: 'test-compose' };
  // Shorter, so that the start waits less.
  const coordination = { lease: '1s' };
  gateways = await Promise.all([1, 2].map(() => startGatewayProcess({ ...config, affinity, coordination })));
  const [front, statistics] = [await freePort(), await freePort()];
  const balanced = read('haproxy.cfg')
    .replace('bind :8080', `bind 127.0.0.1:${front}`)
    .replace('bind :8404', `bind 127.0.0.1:${statistics}`)
    .replace('resolvers docker init-addr none', '')
    .replaceAll(/ gateway-([12]):8080/g, (_, number) => ` ${new URL(gateways[number - 1]?.url ?? '').host}`);
  balancer = await startHaproxy(balanced, [front, statistics]);
  url = `http://127.0.0.1:${front}`;
});

afterAll(async () => {
  await balancer.close();
  // No client is left that a soft stop would protect.
  await Promise.all(gateways.map((gateway) => gateway.kill()));
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all(connectors.map((connector) => connector.close()));
});

test('a stop of a gateway under load fails no request and moves no agent', async () => {
  const outcomes: Outcome[] = [];
  let isOver = false;
  // Each request uses a new connection, like SAP CRM.
  const agents = USERS.map(async (user) => {
    while (!isOver) {
      outcomes.push(await post(url, user));
      await setTimeout(PAUSE_MS);
    }
  });
  try {
    const [leaving, staying] = gateways as [GatewayProcess, GatewayProcess];
    const served = async ({ metrics }: GatewayProcess): Promise<number> =>
      Number(/^gateway_requests_total\{.*decision="bound".*\} (\d+)$/m.exec(await metrics())?.[1] ?? 0);
    await eventually(async () => {
      for (const gateway of gateways) expect(await served(gateway)).toBeGreaterThan(30);
    });
    leaving.signal('SIGQUIT');
    await eventually(() => expect(leaving.metrics()).rejects.toThrow(), { within: 20_000 });
    const before = await served(staying);
    await eventually(async () => expect(await served(staying)).toBeGreaterThan(before + 100));
  } finally {
    isOver = true;
    await Promise.all(agents);
  }
  expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
  const placesOf = (user: string) =>
    new Set(outcomes.filter((outcome) => outcome.user === user).map(({ connector }) => connector));
  expect(USERS.filter((user) => placesOf(user).size !== 1)).toEqual([]);
  expect(new Set(outcomes.map(({ connector }) => connector)).size).toBe(3);
});
