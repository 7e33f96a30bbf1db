import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { filesOf, findingsIn, readIncident } from '../support/incident.ts';
import { post } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, TOKEN, writeTokenFile } from '../support/operator.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

// An archive costs more than what is awaited.
const SELDOM = { every: 150 };
const SECRETS = ['bait-redis-password', 'bait-probe-header', 'bait-cookie', 'bait-body', TOKEN];
const NAMES = ['BAITPATTERN', 'BAITAGENT', 'BAITMOVED', 'bait-operator'];

let token: TokenFile;
let connectors: SimulatedConnector[];
let redis: RedisServer;
let gateways: TestGateway[];
let folder: string;

beforeAll(async () => {
  token = writeTokenFile();
  folder = mkdtempSync(join(tmpdir(), 'ici-incident-'));
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  redis = await startRedis({
    args: ['--requirepass', 'bait-redis-password'],
    isReady: async () => undefined,
  });
  const instances = connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ');
  const health = `{ path: /health, interval: 100ms, fastInterval: 50ms, fall: 2, headers: [{ name: x-key, value: bait-probe-header }] }`;
  const config = `
pools: [{ name: ici, mode: sticky, groups: { patterns: [{ users: BAITPATTERN, group: team }] }, health: ${health}, instances: [${instances}] }]
affinity: { redis: { url: 'redis://:bait-redis-password@127.0.0.1:${redis.port}' } }
coordination: { lease: 1500ms }
`;
  gateways = await Promise.all(
    ['g1', 'g2'].map((name) =>
      startTestGateway(config, { env: { ...token.env, ICI_GATEWAY_COORDINATION__REPLICA: name } }),
    ),
  );
});
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  for (const connector of connectors) await connector.close();
  await redis.stop();
  rmSync(folder, { recursive: true });
  token.remove();
});

const incident = (gateway: TestGateway, query = ''): Promise<Map<string, string>> =>
  readIncident(gateway.adminUrl, query);

async function found(gateway: TestGateway, text: RegExp): Promise<string[]> {
  return eventually(async () => {
    const findings = findingsIn(await incident(gateway));
    expect(findings[0]).toMatch(text);
    return findings;
  }, SELDOM);
}

describe('an incident archive', () => {
  test('holds no secret, and no name unless it is asked for', async () => {
    const [one, two] = gateways as [TestGateway, TestGateway];
    await fetch(one.url, {
      method: 'POST',
      headers: { soapuser: 'BAITAGENT', cookie: 'WS_SESSION_ID=bait-cookie', 'content-type': 'text/xml' },
      body: '<setWorkcenter><workcenter>4711;bait-body;2001</workcenter></setWorkcenter>',
    });
    const { connector } = await post(two.url, 'BAITMOVED');
    const to = connector === 'a' ? 'b' : 'a';
    const why = 'baitagent complains';
    const move = { agent: 'BAITMOVED', instance: to, why, by: 'bait-operator' };
    expect(await ask(two.adminUrl, 'POST', '/pools/ici/agents/move', move)).toMatchObject({ status: 200 });

    const hashed = await incident(one);
    expect([...hashed.keys()]).toEqual([
      ...['README.txt', 'requests.json', 'errors.json', 'status.json', 'gateways.json', 'log.json'],
      ...['metrics.txt', 'config.json', 'options.json', 'versions.json'],
      ...['view', 'events', 'epochs', 'identity', 'history'].map((name) => `pools/ici/${name}.json`),
    ]);
    const text = [...hashed].join('\n');
    for (const bait of SECRETS) expect(text).not.toContain(bait);
    for (const bait of NAMES) expect(text.toUpperCase()).not.toContain(bait.toUpperCase());
    const requests = JSON.parse(hashed.get('requests.json') ?? '');
    expect(requests).toMatchObject([
      { user: expect.stringMatching(/^name-/), client: expect.stringMatching(/^name-/) },
    ]);
    const { events } = JSON.parse(hashed.get('pools/ici/events.json') ?? '');
    const moved = events.find(({ kind }: { kind: string }) => kind === 'moved');
    expect(moved.why).toMatch(/^user:name-[\w-]{12}: name-[\w-]{12} complains$/);
    expect(JSON.parse(hashed.get('versions.json') ?? '').store).toMatch(/^(redis|valkey) \d/);

    const readable = [...(await incident(one, '?names=readable'))].join('\n');
    for (const bait of SECRETS) expect(readable).not.toContain(bait);
    expect(readable).toContain('user:BAITMOVED: baitagent complains');
    expect(readable).toContain('BAITPATTERN');
  });

  test('is for operators', async () => {
    const [{ adminUrl }] = gateways as [TestGateway];
    expect((await ask(adminUrl, 'GET', '/incident', undefined, '')).status).toBe(401);
    for (const query of ['?last=soon', '?last=25h', '?names=all'])
      expect((await ask(adminUrl, 'GET', `/incident${query}`)).status).toBe(400);
  });

  test('is written by the command for its owner alone, whole, and over no other file', async () => {
    const [{ adminUrl, url }] = gateways as [TestGateway];
    const file = join(folder, 'incident.tar.gz');
    const command = ['admin', 'incident', '--last', '1h', '-o', file, '--admin', adminUrl];
    const first = await runCommand(command, token.env, { hasColors: false });
    expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/^THE FAULT: .*\n.*15 files\n$/) });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await filesOf(readFileSync(file))).size).toBe(15);

    writeFileSync(file, 'mine');
    expect(await runCommand(command, token.env)).toMatchObject({
      code: 1,
      err: expect.stringMatching('--force'),
    });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect(await runCommand([...command, '--force'], token.env)).toMatchObject({ code: 0 });
    expect(await runCommand([...command.slice(0, -1), url, '--force'], token.env)).toMatchObject({ code: 1 });
    expect((await filesOf(readFileSync(file))).size).toBe(15);
    expect(readdirSync(folder)).toEqual(['incident.tar.gz']);
  });
});

describe('its first page names the fault', () => {
  test('an instance that does not run, and then has started again', async () => {
    const [one, two] = gateways as [TestGateway, TestGateway];
    const [a] = connectors as [SimulatedConnector];
    const { port } = new URL(a.url);
    await a.close();
    await found(
      one,
      /^instance a of pool ici is down: probes find “.*ECONNREFUSED.*”, so its process does not run.*; 2 of 2 gateways report it – since /,
    );
    connectors[0] = await startConnector({ name: 'a', port: Number(port) });
    // It may have been down for less than is shown.
    await found(two, /^instance a of pool ici was down: .* – (?:from .* to|at) /);
  });

  test('a gateway that is gone', async () => {
    const [one, two] = gateways as [TestGateway, TestGateway];
    const gone = two.status().replica;
    gateways.pop();
    await two.close();
    await found(one, new RegExp(`^gateway ${gone} is gone: .* – since `));
  });

  test('a Redis that is away, and has lost its data when it is back', async () => {
    const [one] = gateways as [TestGateway];
    await redis.kill();
    const [, ...others] = await found(
      one,
      /^the affinity store is away for gateway g1-\w+, pool ici: .* – since /,
    );
    expect(others).toContainEqual(expect.stringContaining('is gone'));
    const page = (await incident(one)).get('README.txt');
    expect(page).toContain('* events of pool ici: redis: ');
    await redis.start();
    await eventually(async () => {
      const findings = findingsIn(await incident(one));
      expect(findings).toContainEqual(
        expect.stringMatching(/^the affinity store is away .* – (?:from .* to|at) /),
      );
      expect(findings).toContainEqual(expect.stringContaining('may have lost data'));
    }, SELDOM);
  });
});
