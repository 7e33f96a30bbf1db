import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import type { OpenApiDocument } from '../../src/admin/openapi.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { AnswerContract } from '../support/answer-contract.ts';
import type { Ended } from '../support/cli.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import type { GatedInstance } from '../support/gated-instance.ts';
import { startGatedInstance } from '../support/gated-instance.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import type { Outcome, RunningLoad } from '../support/load.ts';
import { startLoad, users } from '../support/load.ts';
import { ask } from '../support/operator.ts';
import { subscribeEnvelope } from '../support/soap.ts';
import type { LogLine } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

// On a busy machine a process takes several times as long to start.
const PATIENT = { within: 90_000 };
// A pause between requests; otherwise the test would measure its own clients.
const PAUSE_MS = 120;
const AGENTS = users(8, 'AGENT');

let connectors: SimulatedConnector[];
let gated: GatedInstance;
let keyPrefix: string;
const running: GatewayProcess[] = [];

async function open(): Promise<void> {
  keyPrefix = `reload-${randomBytes(4).toString('hex')}`;
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  gated = await startGatedInstance();
  gated.answerProbes();
}

async function closeInstances(): Promise<void> {
  await Promise.all([gated, ...connectors].map((instance) => instance.close()));
}

interface Terms {
  readonly total?: string;
  readonly lease?: string;
}

/** By default with a short lease, because the first view of a pool waits for one. */
const configOf = (
  ids: readonly string[],
  { total = '60s', lease = '1s' }: Terms = {},
): Record<string, unknown> => ({
  workers: 2,
  pools: [
    {
      name: 'ici',
      mode: 'sticky',
      balancer: 'round-robin',
      health: { path: '/health', interval: '300ms', fastInterval: '100ms' },
      instances: connectors
        .filter(({ name }) => ids.includes(name))
        .map(({ name, url }) => ({ id: name, url })),
    },
  ],
  coordination: { lease },
  // On a busy machine a controller may take longer than a lease to start.
  timeouts: { park: '20s', total },
  affinity: { keyPrefix, redis: { url: inject('redisUrl') } },
});

async function start(config: Record<string, unknown>): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess(config);
  running.push(gateway);
  return gateway;
}

const times = ({ log }: GatewayProcess, text: string): number => log.filter(({ msg }) => msg === text).length;

async function reload(gateway: GatewayProcess, config: Record<string, unknown>): Promise<void> {
  const before = times(gateway, 'the processes are replaced');
  gateway.configure(config);
  gateway.signal('SIGHUP');
  await eventually(() => expect(times(gateway, 'the processes are replaced')).toBe(before + 1), PATIENT);
}

const instancesOf = async (gateway: GatewayProcess): Promise<string[]> =>
  (await gateway.status()).pools[0]?.instances.map(({ id }) => id) ?? [];

/** The instances that served each agent, one letter for each change. */
function placesOf(outcomes: readonly Outcome[]): string[] {
  return AGENTS.map((agent) =>
    outcomes
      .filter(({ user }) => user === agent)
      .map(({ connector }) => connector ?? '?')
      .filter((connector, i, all) => connector !== all[i - 1])
      .join(''),
  );
}

/** Resolves when each agent has an answer. */
async function placesUnder(load: RunningLoad): Promise<string[]> {
  await eventually(() => {
    expect(load.outcomes.length).toBeGreaterThan(3 * AGENTS.length);
    expect(placesOf(load.outcomes)).not.toContain('');
  }, PATIENT);
  return placesOf(load.outcomes);
}

const failures = (outcomes: readonly Outcome[]): Outcome[] => outcomes.filter(({ status }) => status !== 200);

describe('a reload', () => {
  beforeEach(open);

  afterEach(async () => {
    await Promise.all(running.splice(0).map((gateway) => gateway.close()));
    await closeInstances();
  });

  test('that removes an instance serves its agents all the time, and each moves once', async () => {
    const gateway = await start(configOf(['a', 'b']));
    const load = startLoad([gateway.url], AGENTS, PAUSE_MS);
    const bound = await placesUnder(load);
    expect(bound.toSorted().join('')).toMatch(/^a+b+$/);

    const changes = ['pools[ici].instances[b]: removed', 'timeouts.total: 1m → 50s'];
    const agentsAtB = bound.filter((place) => place === 'b').length;
    gateway.configure(configOf(['a'], { total: '50s' }));
    await eventually(async () => {
      const answer = await fetch(`${gateway.adminUrl}/reload/preview`);
      expect([answer.status, await answer.json()]).toEqual([
        200,
        {
          text: 'a reload brings it into effect',
          problems: [],
          changes,
          refused: [],
          agents: agentsAtB,
          moves: [{ pool: 'ici', instance: 'b', agents: agentsAtB, movesAll: false, why: 'it is removed' }],
        },
      ]);
    }, PATIENT);
    const described = (await (await fetch(`${gateway.adminUrl}/openapi.json`)).json()) as OpenApiDocument;
    const answer = await fetch(`${gateway.adminUrl}/reload/preview`);
    const given = { status: 200, type: 'application/json', text: await answer.text() };
    expect(new AnswerContract(described).problems('GET /reload/preview', given)).toEqual([]);
    const preview = (): Promise<Ended> =>
      runCommand(['reload', '--dry-run', '--admin', gateway.adminUrl], {}, { hasColors: false });
    expect(await preview()).toMatchObject({
      code: 0,
      out: [
        ...changes,
        'a reload brings it into effect',
        `pool ici: ${agentsAtB} bound agents of b would move, because it is removed`,
        `${agentsAtB} bound agents would move\n`,
      ].join('\n'),
    });
    gateway.configure(configOf(['a'], { total: 'soon' }));
    expect(await preview()).toMatchObject({ code: 3, out: expect.stringContaining('timeouts.total') });
    expect(await instancesOf(gateway)).toEqual(['a', 'b']);

    await reload(gateway, configOf(['a'], { total: '50s' }));
    await eventually(async () => expect(await instancesOf(gateway)).toEqual(['a']), PATIENT);
    const seen = load.outcomes.length;
    await eventually(() => expect(load.outcomes.length).toBeGreaterThan(seen + 3 * AGENTS.length), PATIENT);
    const outcomes = await load.stop();
    expect(failures(outcomes)).toEqual([]);
    expect(placesOf(outcomes)).toEqual(bound.map((place) => (place === 'b' ? 'ba' : 'a')));
    expect(gateway.log.find(({ msg }) => msg === 'new configuration')?.['changes']).toEqual(changes);
    await eventually(async () => {
      const { events } = (await ask(gateway.adminUrl, 'GET', '/pools/ici/events?kind=options')).body;
      expect(events).toMatchObject([{ kind: 'options', to: changes.join('; '), why: 'SIGHUP' }]);
    });
  });

  test('that removes an instance keeps serving its agents there while another gateway still has it', {
    tags: 'long',
  }, async () => {
    const gateway = await start(configOf(['a', 'b']));
    // It runs in the test's process and must not count as dead when that process is delayed for a second.
    const other = await startTestGateway(stringify(configOf(['a', 'b'], { lease: '2500ms' })));
    try {
      const load = startLoad([gateway.url], AGENTS, PAUSE_MS);
      const bound = await placesUnder(load);
      expect(bound.toSorted().join('')).toMatch(/^a+b+$/);

      await reload(gateway, configOf(['a']));
      const seen = load.outcomes.length;
      await eventually(() => expect(load.outcomes.length).toBeGreaterThan(seen + 6 * AGENTS.length), PATIENT);
      expect(placesOf(load.outcomes)).toEqual(bound);
      expect(await instancesOf(gateway)).toContain('b');

      await other.close();
      await eventually(async () => expect(await instancesOf(gateway)).toEqual(['a']), PATIENT);
      const outcomes = await load.stop();
      expect(failures(outcomes)).toEqual([]);
      for (const place of placesOf(outcomes)) expect(['a', 'b', 'ba']).toContain(place);
    } finally {
      await other.close();
    }
  });
});

const POOLS = ['first', 'second'] as const;

/** Pools with these names and paths, and one more whose requests wait until the test releases them. */
const poolsOf = (names: readonly string[], workers: number): Record<string, unknown> => ({
  ...configOf([]),
  workers,
  timeouts: { park: '20s', responseHeader: '5m', total: '5m' },
  pools: [...names.map((name) => ({ name, url: connectors[0]?.url })), { name: 'slow', url: gated.url }].map(
    ({ name, url }) => ({
      name,
      mode: 'sticky',
      match: { paths: [`/${name}`] },
      health: { path: '/health', interval: '300ms', fastInterval: '100ms' },
      instances: [{ id: 'only', url }],
    }),
  ),
});

const statusOf = async ({ url }: GatewayProcess, pool: string): Promise<number> => {
  const headers = { soapuser: 'AGENT', 'content-type': 'text/xml' };
  const response = await fetch(`${url}/${pool}`, {
    method: 'POST',
    headers,
    body: subscribeEnvelope({ user: 'AGENT' }),
  });
  await response.text();
  return response.status;
};

// In this order, at one gateway: each begins with what the one before has left. A start costs more than a reload.
const CHANGES = [
  ['that adds a pool and lowers the number of workers', ['first'], 2, ['first', 'second'], 1],
  ['that removes a pool and raises the number of workers', ['first', 'second'], 1, ['first'], 2],
  ['that renames a pool', ['first'], 2, ['second'], 2],
] as const;

describe('a reload with pending requests at the replaced workers,', { tags: 'long' }, () => {
  let gateway: GatewayProcess;

  beforeAll(async () => {
    await open();
    const [[, names, workers]] = CHANGES;
    gateway = await startGatewayProcess(poolsOf(names, workers));
  });

  afterAll(async () => {
    await gateway.close();
    await closeInstances();
  });

  test.each(CHANGES)(
    '%s succeeds with one new controller, and all requests are answered',
    async (_, were, before, are, after) => {
      expect(childrenOf(gateway.pid).workers.size).toBe(before);
      await eventually(async () => expect(await statusOf(gateway, were[0])).toBe(200), PATIENT);
      const logged = gateway.log.length;
      const since = (): LogLine[] => gateway.log.slice(logged);
      gated.holdRequests();
      const slow = Promise.allSettled(Array.from({ length: 6 }, () => statusOf(gateway, 'slow')));
      await eventually(() => expect(gated.waiting.requests).toBe(6), PATIENT);
      const old = [...childrenOf(gateway.pid).workers.keys()];

      gateway.configure(poolsOf(are, after));
      gateway.signal('SIGHUP');
      // From the new controller, which collects from draining workers as well as from new ones.
      const known = async () => (await gateway.status()).pools.map(({ name }) => name).toSorted();
      await eventually(async () => expect(await known()).toEqual([...are, 'slow'].toSorted()), PATIENT);
      await eventually(async () => expect(await statusOf(gateway, are.at(-1) as string)).toBe(200), PATIENT);
      const { workers } = childrenOf(gateway.pid);
      expect(old.some((id) => workers.has(id))).toBe(true);
      gated.answerRequests();
      expect(await slow).toEqual(Array.from({ length: 6 }, () => ({ status: 'fulfilled', value: 200 })));
      const replaced = () => since().filter(({ msg }) => msg === 'the processes are replaced').length;
      await eventually(() => expect(replaced()).toBe(1), PATIENT);

      for (const name of POOLS) {
        expect(await statusOf(gateway, name), name).toBe(
          (are as readonly string[]).includes(name) ? 200 : 404,
        );
      }
      expect(childrenOf(gateway.pid).workers.size).toBe(after);
      expect(since().filter(({ level }) => level >= 50)).toEqual([]);
      expect(since().filter(({ msg }) => /ended unexpectedly/.test(msg))).toEqual([]);
    },
  );
});
