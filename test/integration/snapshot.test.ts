import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const AGENTS = users(40, 'SNAP');
const WHY = { why: 'a test', by: 'ops' };

let token: TokenFile;
let redis: RedisServer;
let connectors: SimulatedConnector[];
let homes: string[];
let running: TestGateway[];

beforeEach(async () => {
  token = writeTokenFile();
  redis = await startRedis();
  connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
  homes = [0, 1].map(() => {
    const home = mkdtempSync(join(tmpdir(), 'ici-gateway-snapshot-'));
    mkdirSync(join(home, 'ici-gateway'));
    return home;
  });
  running = [];
});

afterEach(async () => {
  await stopAll();
  await Promise.all(connectors.map((connector) => connector.close()));
  await redis.stop();
  token.remove();
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

async function startGateways(...which: number[]): Promise<TestGateway[]> {
  const shared = {
    health: { path: '/health', incarnation: '"incarnation":"([^"]+)"' },
    instances: connectors.map(({ name, url }) => ({ id: name, url })),
  };
  const pools = [
    // Not a hash, so that a correct place proves that the binding was remembered and not computed again.
    { ...shared, name: 'ici', mode: 'sticky', balancer: 'random' },
    { ...shared, name: 'one', mode: 'failover', match: { paths: ['/one'] } },
  ];
  const affinity = { redis: { url: redis.url, commandTimeout: '1s' } };
  const config = `pools: ${JSON.stringify(pools)}
affinity: ${JSON.stringify(affinity)}
coordination: { lease: 1s }
`;
  const started = await Promise.all(
    which.map((i) => startTestGateway(config, { stateDir: homes[i] as string, env: token.env })),
  );
  running.push(...started);
  return started;
}

async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map((gateway) => gateway.close()));
}

async function emptyRedis(): Promise<void> {
  await redis.kill();
  await redis.start();
}

const file = (home: number, name: string): string =>
  join(homes[home] as string, 'ici-gateway/snapshot', name);

/** The lines of the snapshot, without their checksums. */
function linesOf(home: number): (string | number)[][] {
  const text = readFileSync(file(home, 'ici.bindings'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line.slice(9)) as (string | number)[]);
}

async function untilWritten(home: number, agents: readonly string[] = AGENTS): Promise<void> {
  await eventually(() => {
    const known = new Set(linesOf(home).flat());
    expect(agents.filter((agent) => !known.has(`u${agent}`))).toEqual([]);
  });
}

async function placesAt(
  gateway: TestGateway,
  agents: readonly string[] = AGENTS,
): Promise<Map<string, string>> {
  const places = new Map<string, string>();
  for (const agent of agents) {
    const { connector, status } = await post(gateway.url, agent);
    expect(status).toBe(200);
    places.set(agent, connector as string);
  }
  return places;
}

const restoredIn = ({ log }: TestGateway) => log.filter(({ msg }) => msg.startsWith('restored'));
const bindingsRestored = (gateway: TestGateway): unknown =>
  restoredIn(gateway).find(({ pool, restored }) => pool === 'ici' && restored !== undefined)?.['restored'];
const warnings = ({ log }: TestGateway, text: string) => log.filter(({ msg }) => msg.includes(text));

/** All bindings as the store has them. */
async function bindingsAt({ adminUrl }: TestGateway): Promise<Map<string, Record<string, unknown>>> {
  const { body } = await ask(adminUrl, 'GET', '/bindings?pool=ici&limit=1000');
  const bindings: { name: string; expiresInSeconds: unknown }[] = body.bindings;
  return new Map(bindings.map(({ name, expiresInSeconds: _, ...binding }) => [name, binding]));
}

describe('everything restarted and Redis emptied', () => {
  test('no agent is moved, the active instance stays, and a drain is kept', async () => {
    const [one, two] = (await startGateways(0, 1)) as [TestGateway, TestGateway];
    await eventually(() => expect(one.status().pools[0]?.replicas).toHaveLength(2));
    const before = await placesAt(one);
    const activated = await ask(one.adminUrl, 'POST', '/pools/one/activate', { ...WHY, instance: 'b' });
    expect(activated.status).toBe(200);
    const drained = await ask(two.adminUrl, 'POST', '/pools/ici/instances/c/drain', WHY);
    expect(drained.status).toBe(200);
    await Promise.all([untilWritten(0), untilWritten(1)]);
    await eventually(() => {
      for (const i of [0, 1]) {
        expect(readFileSync(file(i, 'one.json'), 'utf8')).toContain('"active":"b"');
        expect(readFileSync(file(i, 'ici.json'), 'utf8')).toContain('draining');
      }
    });
    await stopAll();
    await emptyRedis();
    const after = (await startGateways(0, 1)) as [TestGateway, TestGateway];
    for (const gateway of after) {
      expect(await placesAt(gateway)).toEqual(before);
      const [sticky, failover] = gateway.status().pools;
      expect(failover?.active?.instance).toBe('b');
      expect(sticky?.instances.find(({ id }) => id === 'c')?.admin).toBe('draining');
      expect(restoredIn(gateway).map(({ pool, msg }) => `${pool}: ${msg}`)).toContainEqual(
        expect.stringMatching(/^ici: restored 40 bindings from the snapshot of 20.*; 0 have ended since$/),
      );
    }
    // Other users of the host may not read them.
    for (const name of ['ici.bindings', 'ici.json', 'one.json', '.'])
      expect(statSync(file(0, name)).mode & 0o077).toBe(0);
  });

  test('the snapshot of a gateway that was off while agents were moved changes nothing of that', {
    tags: 'long',
  }, async () => {
    const [one, two] = (await startGateways(0, 1)) as [TestGateway, TestGateway];
    const before = await placesAt(one);
    await Promise.all([untilWritten(0), untilWritten(1)]);
    await one.close();
    const moved = AGENTS.slice(0, 6);
    const after = new Map(before);
    for (const agent of moved) {
      const instance = before.get(agent) === 'a' ? 'b' : 'a';
      const { status } = await ask(two.adminUrl, 'POST', '/pools/ici/agents/move', {
        ...WHY,
        agent,
        instance,
      });
      expect(status).toBe(200);
      after.set(agent, instance);
    }
    await eventually(() => {
      const last = new Map(linesOf(1).flatMap((line) => (line[0] === 'b' ? [[line[6], line[4]]] : [])));
      for (const agent of moved) expect(last.get(`u${agent}`)).toBe(after.get(agent));
    });
    await stopAll();
    await emptyRedis();
    // In either order, because the later knowledge counts and not the later offer.
    for (const gateway of await startGateways(0, 1)) expect(await placesAt(gateway)).toEqual(after);
    await stopAll();
    await emptyRedis();
    for (const gateway of await startGateways(1, 0)) expect(await placesAt(gateway)).toEqual(after);
  });

  test('agents whose instance was restarted meanwhile are placed again, all others stay', {
    tags: 'long',
  }, async () => {
    const [one] = (await startGateways(0)) as [TestGateway];
    const before = await placesAt(one);
    await untilWritten(0);
    await stopAll();
    await emptyRedis();
    const [{ name: restarted }] = connectors as [SimulatedConnector];
    await connectors[0]?.close();
    const port = Number(new URL(connectors[0]?.url as string).port);
    connectors[0] = await startConnector({ name: restarted, port });
    const [gateway] = (await startGateways(0)) as [TestGateway];
    await placesAt(gateway);
    const decisions = new Map(gateway.requests().map(({ user, decision }) => [user, decision]));
    for (const [agent, place] of before) {
      if (place === restarted) expect([agent, decisions.get(agent)]).toEqual([agent, 'rebound']);
      else expect([agent, decisions.get(agent)]).toEqual([agent, 'bound']);
    }
  });

  test('an agent who was forgotten, and has not come back, is a new agent', { tags: 'long' }, async () => {
    const [one] = (await startGateways(0)) as [TestGateway];
    await placesAt(one);
    await untilWritten(0);
    const forgotten = AGENTS[0] as string;
    const { status } = await ask(one.adminUrl, 'POST', '/pools/ici/agents/forget', {
      ...WHY,
      agent: forgotten,
    });
    expect(status).toBe(200);
    await eventually(() =>
      expect(linesOf(0).some(([kind, key]) => kind === 'm' && key === `u${forgotten}`)).toBe(true),
    );
    await stopAll();
    await emptyRedis();
    const [gateway] = (await startGateways(0)) as [TestGateway];
    expect(bindingsRestored(gateway)).toBe(39);
    const names = [...(await bindingsAt(gateway)).keys()];
    expect(names).toHaveLength(39);
    expect(names.filter((name) => name.endsWith(forgotten))).toEqual([]);
  });

  test('agents who were placed while Redis was away stay there too', { tags: 'long' }, async () => {
    const [one] = (await startGateways(0)) as [TestGateway];
    await placesAt(one, ['KNOWN']);
    await untilWritten(0, ['KNOWN']);
    await redis.kill();
    await eventually(() => expect(one.status().pools[0]?.affinity.available).toBe(false));
    const before = await placesAt(one);
    await untilWritten(0);
    await stopAll();
    await redis.start();
    const [gateway] = (await startGateways(0)) as [TestGateway];
    expect(await placesAt(gateway)).toEqual(before);
    expect(bindingsRestored(gateway)).toBe(41);
  });
});

describe('Redis is not emptied', () => {
  test('a start changes nothing', async () => {
    const [one] = (await startGateways(0)) as [TestGateway];
    await placesAt(one);
    await untilWritten(0);
    const agents = await bindingsAt(one);
    const view = one.status().pools[0]?.view.id;
    await stopAll();
    const [gateway] = (await startGateways(0)) as [TestGateway];
    expect(await bindingsAt(gateway)).toEqual(agents);
    expect(gateway.status().pools[0]?.view.id).toBe(view);
    expect(restoredIn(gateway)).toEqual([]);
  });
});

describe('a file that cannot be used', () => {
  const damages: readonly [string, (path: string) => void][] = [
    [
      'damaged in the middle',
      (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"uSNAP7"', '"uSNAP8"')),
    ],
    ['no snapshot', (path) => writeFileSync(path, 'hello\nworld\n')],
    ['empty', (path) => writeFileSync(path, '')],
  ];
  test.each(damages)('%s: said once, and the gateway starts', { tags: 'long' }, async (_, damage) => {
    const [one] = (await startGateways(0)) as [TestGateway];
    await placesAt(one);
    await untilWritten(0);
    await stopAll();
    damage(file(0, 'ici.bindings'));
    writeFileSync(file(0, 'ici.json'), readFileSync(file(0, 'ici.json'), 'utf8').slice(0, -9));
    await emptyRedis();
    const [gateway] = (await startGateways(0)) as [TestGateway];
    await placesAt(gateway);
    expect(warnings(gateway, 'is not used').map((line) => String(line['file']).replace(/.*\//, ''))).toEqual(
      expect.arrayContaining(['ici.bindings', 'ici.json']),
    );
    expect(warnings(gateway, 'is not used')).toHaveLength(2);
    // It is replaced by a good one.
    await untilWritten(0);
  });

  test('cut at its end, as when the host lost power: what is whole counts', { tags: 'long' }, async () => {
    const [one] = (await startGateways(0)) as [TestGateway];
    const before = await placesAt(one);
    await untilWritten(0);
    await stopAll();
    const path = file(0, 'ici.bindings');
    appendFileSync(path, '0a0b0c0d ["m","uSNAP');
    await emptyRedis();
    const [gateway] = (await startGateways(0)) as [TestGateway];
    expect(await placesAt(gateway)).toEqual(before);
  });
});

describe('where no snapshot can be kept', () => {
  test('no state directory: said at info, and none is made', async () => {
    rmSync(join(homes[0] as string, 'ici-gateway'), { recursive: true });
    const [one] = (await startGateways(0)) as [TestGateway];
    expect(warnings(one, 'no snapshot is kept, because')).toHaveLength(1);
    expect(existsSync(join(homes[0] as string, 'ici-gateway'))).toBe(false);
  });

  test('another gateway uses the directory: the second one says so, and the first goes on', async () => {
    const [one] = (await startGateways(0)) as [TestGateway];
    const [two] = (await startGateways(0)) as [TestGateway];
    expect(warnings(two, 'no snapshot is kept')[0]?.['detail']).toMatch(
      /is in use by process \d+: set affinity/,
    );
    await placesAt(two);
    await untilWritten(0);
    await one.close();
  });

  test('files of a pool that is no longer configured are removed', async () => {
    const directory = join(homes[0] as string, 'ici-gateway/snapshot');
    mkdirSync(directory);
    cpSync('package.json', join(directory, 'old.bindings'));
    cpSync('package.json', join(directory, 'notes.txt'));
    await startGateways(0);
    expect(existsSync(join(directory, 'old.bindings'))).toBe(false);
    expect(existsSync(join(directory, 'notes.txt'))).toBe(true);
  });
});
