import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { PoolCoordinator } from '../../src/coordination/pool-coordinator.ts';
import { RedisViewStore } from '../../src/coordination/redis/view-store.ts';
import { partsOf } from '../../src/core/view/agreed-config.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { rulesOf } from '../support/replicas.ts';
import { SILENT_EVENTS } from '../support/silent-events.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const WHY = { why: 'the new address is right', by: 'ops' };

let token: TokenFile;
let connectors: SimulatedConnector[];
let elsewhere: SimulatedConnector;
let keyPrefix: string;
const gateways = new Set<TestGateway>();

beforeAll(async () => {
  token = writeTokenFile();
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  elsewhere = await startConnector({ name: 'elsewhere' });
});
afterAll(async () => {
  token.remove();
  await Promise.all([...connectors, elsewhere].map((connector) => connector.close()));
});
beforeEach(() => {
  keyPrefix = `drift-${randomBytes(4).toString('hex')}`;
});
afterEach(async () => {
  await Promise.all([...gateways].map(stop));
});

interface Given {
  readonly mode?: 'sticky' | 'failover';
  /** In this order. */
  readonly instances?: readonly { readonly id: string; readonly url?: string; readonly weight?: number }[];
  readonly extra?: string;
}

const urlOf = (id: string): string => connectors[id === 'a' ? 0 : 1]?.url ?? '';

async function start({ mode = 'sticky', instances = [{ id: 'a' }, { id: 'b' }], extra = '' }: Given = {}) {
  const listed = instances.map(
    ({ id, url = urlOf(id), weight = 1 }) => `{ id: ${id}, url: '${url}', weight: ${weight} }`,
  );
  const gateway = await startTestGateway(
    `
pools:
  - name: ici
    mode: ${mode}
    ${mode === 'sticky' ? 'balancer: round-robin' : ''}
    # Instances are healthy, however slowly a busy machine answers.
    health: { path: /health, interval: 200ms, fastInterval: 50ms, timeout: 10s, fall: 2, rise: 1 }
    instances: [${listed.join(', ')}]
${extra}
affinity: { keyPrefix: ${keyPrefix}, redis: { url: '${inject('redisUrl')}' } }
coordination: { lease: 900ms }
`,
    { env: token.env },
  );
  gateways.add(gateway);
  return gateway;
}

async function stop(gateway: TestGateway): Promise<void> {
  gateways.delete(gateway);
  await gateway.close();
}

const poolOf = (gateway: TestGateway) => {
  const [pool] = gateway.status().pools;
  if (pool === undefined) throw new Error('no pool');
  return pool;
};
/** At last: on a busy machine a gateway loses its lease for a moment, and says that first. */
const expectReadyz = ({ adminUrl }: TestGateway, expected: readonly [status: number, body: unknown]) =>
  eventually(async () => {
    const { status, body } = await ask(adminUrl, 'GET', '/readyz');
    expect([status, body]).toEqual(expected);
  });
const partsThatDiffer = (gateway: TestGateway) =>
  poolOf(gateway).configuration.differences.map(({ part, effect }) => `${part} ${effect}`);
const eventsOf = async ({ adminUrl }: TestGateway) =>
  (await ask(adminUrl, 'GET', '/pools/ici/events')).body.events as { kind: string; by: string; to: string }[];

describe('gateways with opposite priorities', () => {
  let redis: RedisConnection;
  beforeAll(() => {
    redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
  });
  afterAll(() => redis.close());

  test('do not revert each other’s failback without end', async () => {
    const leaseMs = 500;
    const one = (id: string, order: readonly string[]): PoolCoordinator => {
      const rules = rulesOf(order, { mode: 'failover' });
      const parts = partsOf({ rules, weights: new Map(), failback: { kind: 'immediate' } });
      return new PoolCoordinator({
        replica: {
          id,
          pool: 'ici',
          rules,
          weights: new Map(),
          parts: () => parts,
          leaseMs,
          onStoreLoss: 'refuse',
          awayMs: 300,
          cutOffMs: 5_000,
          newId: randomUUID,
        },
        thresholds: { rise: 1, fall: 1 },
        viewStore: new RedisViewStore(redis, 'ici', { keyPrefix, leaseMs, joinMs: 0, confirmedBy: 0 }),
        renewMs: leaseMs / 3,
        doubtMs: 1_000,
        answerMs: 5_000,
        suspectEveryMs: 250,
        writeBack: async () => undefined,
        boundAgents: () => undefined,
        isIdle: () => false,
        events: SILENT_EVENTS,
      });
    };
    const both = [one('g1', ['a', 'b']), one('g2', ['b', 'a'])] as const;
    try {
      for (const coordinator of both) {
        await coordinator.start();
        for (const id of ['a', 'b']) coordinator.observed(id, { passed: true, incarnation: '1' }, 0);
        coordinator.settle();
      }
      await eventually(() =>
        expect(both.map(({ isEffective, agreed }) => [isEffective, agreed.active !== ''])).toEqual([
          [true, true],
          [true, true],
        ]),
      );
      for (let round = 0; round < 20; round += 1) for (const coordinator of both) await coordinator.renew();
      const epochs = both.map(({ agreed }) => agreed.epoch);
      expect(Math.max(...epochs)).toBeLessThan(8);
    } finally {
      for (const coordinator of both) await coordinator.close();
    }
  });
});

describe('a gateway that would send agents elsewhere', () => {
  const OTHER: [string, () => Given, string, () => string][] = [
    [
      'another URL of an instance',
      () => ({ instances: [{ id: 'a', url: elsewhere.url }, { id: 'b' }] }),
      'url:a',
      () => `"${elsewhere.url}" here, and "${urlOf('a')}" is agreed`,
    ],
    ['another mode', () => ({ mode: 'failover' }), 'mode', () => '"failover" here, and "sticky" is agreed'],
    [
      'another header with the user name',
      () => ({ extra: 'identity: { userHeader: x-user }' }),
      'identity.userHeader',
      () => '"x-user" here, and "soapuser" is agreed',
    ],
  ];
  test.each(OTHER)('by %s does not serve the pool', async (_, given, part, text) => {
    const one = await start();
    const two = await start(given());
    await expectReadyz(two, [503, `Drifted\npool ici: ${part} is ${text()}\n`]);
    await expectReadyz(one, [200, 'Running\n']);
    const asked = await Promise.all(
      users(10, 'AGENT').flatMap((user) => [post(one.url, user), post(two.url, user)]),
    );
    expect(new Set(asked.filter((_one, i) => i % 2 === 0).map(({ status }) => status))).toEqual(
      new Set([200]),
    );
    expect(new Set(asked.filter((_one, i) => i % 2 === 1).map(({ code }) => code))).toEqual(
      new Set(['GW_CONFIG_DIFFERS']),
    );
    // Both show the same: the gateway that differs, and the part.
    for (const gateway of [one, two]) {
      expect(poolOf(gateway).configuration.differences).toEqual([
        expect.objectContaining({ replica: two.status().replica, part, effect: 'refused' }),
      ]);
    }
    expect(poolOf(two).configuration.servesHere).toBe(false);
    expect((await ask(two.adminUrl, 'GET', '/metrics')).body).toContain(
      'gateway_config_differences{pool="ici",effect="refused"} 1',
    );
    expect(two.log.map(({ msg }) => msg)).toContainEqual(expect.stringContaining('configuration drift'));
    // It neither delays a view, nor influences it by probes of connectors that are not the agreed ones.
    expect((await ask(one.adminUrl, 'POST', '/pools/ici/instances/b/disable', WHY)).status).toBe(200);
  });

  test('serves when it starts after the others have stopped', async () => {
    const one = await start();
    const instances = [{ id: 'a', url: elsewhere.url }, { id: 'b' }];
    const two = await start({ instances });
    await stop(one);
    await stop(two);
    const again = await start({ instances });
    await expectReadyz(again, [200, 'Running\n']);
    const placed = await Promise.all(users(6, 'AGENT').map((user) => post(again.url, user)));
    expect(new Set(placed.map(({ connector }) => connector))).toEqual(new Set(['elsewhere', 'b']));
  });

  test('serves, and the others do not, once an operator makes its configuration the agreed one', async () => {
    const one = await start();
    const two = await start({ instances: [{ id: 'a', url: elsewhere.url }, { id: 'b' }] });
    const refused = await ask(one.adminUrl, 'POST', '/pools/ici/adopt-config', WHY);
    expect([refused.status, refused.body.error]).toEqual([409, expect.stringContaining('already')]);

    const { status, body } = await ask(two.adminUrl, 'POST', '/pools/ici/adopt-config', WHY);

    expect([status, body.inEffect, body.configuration.servesHere]).toEqual([200, true, true]);
    // No wait: the answer confirms that every gateway acts on it.
    expect((await post(one.url, 'MILLER')).code).toBe('GW_CONFIG_DIFFERS');
    expect((await post(two.url, 'MILLER')).status).toBe(200);
    await expectReadyz(one, [503, expect.stringContaining('Drifted\npool ici: url:a is')]);
    expect(await eventsOf(two)).toContainEqual(
      expect.objectContaining({
        kind: 'configured',
        why: WHY.why,
        by: 'admin (says ops)',
        to: expect.stringContaining(elsewhere.url),
      }),
    );
  });
});

describe('a rolling change', () => {
  test('of priorities changes the view once all have it, and moves no agent before', async () => {
    let all = await Promise.all([1, 2, 3].map(() => start({ mode: 'failover' })));
    await eventually(() => expect(all.map((gateway) => poolOf(gateway).replicas.length)).toEqual([3, 3, 3]));
    const [first] = all as [TestGateway];
    const { epoch } = poolOf(first);
    const instances = [{ id: 'b' }, { id: 'a' }];
    for (let i = 0; i < 2; i += 1) {
      const [oldest, ...rest] = all as [TestGateway];
      await stop(oldest);
      all = [...rest, await start({ mode: 'failover', instances })];
      for (const gateway of all) await expectReadyz(gateway, [200, 'Running\n']);
      expect(poolOf(all[0] as TestGateway).epoch).toBe(epoch);
    }
    await eventually(() =>
      expect(partsThatDiffer(all[0] as TestGateway).sort()).toEqual([
        'priority:a overridden',
        'priority:a overridden',
        'priority:b overridden',
        'priority:b overridden',
      ]),
    );
    const [oldest, ...rest] = all as [TestGateway];
    await stop(oldest);
    all = [...rest, await start({ mode: 'failover', instances })];

    await eventually(() => {
      for (const gateway of all) {
        const { configuration, epoch: now, active, instances: shown, view } = poolOf(gateway);
        expect([configuration.differences, now, active?.instance, view.effective]).toEqual([
          [],
          epoch + 1,
          'a',
          true,
        ]);
        expect(shown.map(({ id, priority }) => `${id} ${priority}`).sort()).toEqual(['a 2', 'b 1']);
      }
    });
    const events = (await eventsOf(all[0] as TestGateway)).filter(({ kind }) => kind === 'configured');
    expect(events[0]?.to).toBe('{"priority:a":2,"priority:b":1}');
  });

  test('of a weight takes effect when all have it', async () => {
    const placedBy = async (gateway: TestGateway, prefix: string) =>
      new Set(
        (await Promise.all(users(8, prefix).map((user) => post(gateway.url, user)))).map(
          (options) => options.connector,
        ),
      );
    const instances = [{ id: 'a' }, { id: 'b', weight: 0 }];
    const [one, two] = [await start(), await start({ instances })];
    for (const gateway of [one, two])
      expect(await placedBy(gateway, gateway.status().replica)).toEqual(new Set(['a', 'b']));
    await stop(one);
    const three = await start({ instances });
    await eventually(() => expect(partsThatDiffer(three)).toEqual([]));
    for (const gateway of [two, three])
      expect(await placedBy(gateway, `${gateway.status().replica}x`)).toEqual(new Set(['a']));
  });

  test('of elements that name more agents keeps every gateway serving, and each names by its own', async () => {
    const named = async ({ url }: TestGateway, element: string) => {
      const body = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><op><${element}>MILLER</${element}></op></s:Body></s:Envelope>`;
      const sent = { method: 'POST', headers: { 'content-type': 'text/xml' }, body };
      return (await fetch(url, sent)).headers.get('x-connector');
    };
    const one = await start({ extra: 'identity: { userElements: [user] }' });
    const two = await start({ extra: 'identity: { userElements: [user, login] }' });
    await eventually(() => {
      const [elements] = [poolOf(one).configuration.agreed?.['identity.userElements']];
      expect(elements).toEqual([{ name: 'user' }, { name: 'login' }]);
    });
    for (const gateway of [one, two]) await expectReadyz(gateway, [200, 'Running\n']);
    expect(partsThatDiffer(two)).toEqual(['identity.userElements tolerated']);
    const at = await named(one, 'user');
    expect(at).toMatch(/^[ab]$/);
    for (let turn = 0; turn < 3; turn += 1) expect(await named(two, 'login')).toBe(at);
    const metrics = String((await ask(one.adminUrl, 'GET', '/metrics')).body);
    expect(metrics).toContain('gateway_config_differences{pool="ici",effect="tolerated"} 1');
    const three = await start({ extra: 'identity: { userElements: [login, user] }' });
    await expectReadyz(three, [503, expect.stringContaining('Drifted')]);
  });

  test('that removes an instance makes a gateway unready, unless the instance is disabled first', async () => {
    const [one, two] = [await start(), await start({ instances: [{ id: 'a' }] })];
    await expectReadyz(two, [503, 'Drifted\npool ici: instance b is agreed and missing here\n']);
    expect((await ask(two.adminUrl, 'GET', '/metrics')).body).toContain(
      'gateway_config_differences{pool="ici",effect="unready"} 1',
    );
    // It serves the agents of the other instances.
    const placed = await Promise.all(users(4, 'AGENT').map((user) => post(two.url, user)));
    expect(placed.map(({ connector }) => connector)).toEqual(['a', 'a', 'a', 'a']);

    await ask(one.adminUrl, 'POST', '/pools/ici/instances/b/disable', WHY);

    await expectReadyz(two, [200, 'Running\n']);
    await stop(one);
    await eventually(() => expect(poolOf(two).instances.map(({ id }) => id)).toEqual(['a']));
  });

  test('that adds an instance gives it agents when all have it', async () => {
    const [one, two] = [await start({ instances: [{ id: 'a' }] }), await start()];
    await expectReadyz(two, [200, 'Running\n']);
    const placed = await Promise.all(users(6, 'EARLY').map((user) => post(two.url, user)));
    expect(new Set(placed.map(({ connector }) => connector))).toEqual(new Set(['a']));
    await stop(one);
    await eventually(() => expect(poolOf(two).instances.map(({ health }) => health)).toEqual(['up', 'up']));
    const later = await Promise.all(users(6, 'LATER').map((user) => post(two.url, user)));
    expect(new Set(later.map(({ connector }) => connector))).toEqual(new Set(['a', 'b']));
  });
});
