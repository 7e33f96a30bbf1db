import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, inject, test } from 'vitest';
import type { Explanation } from '../../src/core/explanation.ts';
import type { PoolStatus } from '../../src/core/gateway-status.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import type { Outcome } from '../support/load.ts';
import { post, startLoad, users } from '../support/load.ts';
import { halt } from '../support/processes.ts';

let connectors: SimulatedConnector[] = [];
let gateway: GatewayProcess | undefined;
let stopped: number | undefined;

afterEach(async () => {
  if (stopped !== undefined) process.kill(stopped, 'SIGCONT');
  stopped = undefined;
  await gateway?.close();
  await Promise.all(connectors.map((connector) => connector.close()));
  gateway = undefined;
  connectors = [];
});

async function start(
  affinity: Record<string, unknown>,
  pool: Record<string, unknown> = {},
  { workers = 2, whileStarting = false } = {},
) {
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const config = {
    workers,
    pools: [
      {
        name: 'ici',
        health: { path: '/health', interval: '300ms', fastInterval: '100ms' },
        instances: connectors.map(({ name, url }) => ({ id: name, url })),
        ...pool,
      },
    ],
    coordination: { lease: '1s' },
    // The watchdog must not kill a process that the test stops.
    lifecycle: { watchdogTimeout: '0s' },
    // On a busy machine a process takes long to start; no limit may fail requests meanwhile.
    timeouts: { park: '20s' },
    affinity,
  };
  gateway = await startGatewayProcess(config, { whileStarting });
  return gateway;
}

const shared = () => ({
  keyPrefix: `workers-${randomBytes(4).toString('hex')}`,
  redis: { url: inject('redisUrl') },
});

/** The instance of each agent; fails if two instances answered one agent. */
function placesOf(outcomes: readonly Outcome[]): Map<string, string | undefined> {
  const places = new Map<string, string | undefined>();
  for (const { user, connector, status } of outcomes) {
    expect(status).toBe(200);
    expect(places.get(user) ?? connector, user).toBe(connector);
    places.set(user, connector);
  }
  return places;
}

async function poolOf({ adminUrl }: GatewayProcess): Promise<PoolStatus> {
  const { pools } = (await (await fetch(`${adminUrl}/status`)).json()) as { pools: PoolStatus[] };
  return pools[0] as PoolStatus;
}

/** Where a worker says that a request of the agent would go. */
async function explainedPlace({ adminUrl }: GatewayProcess, user: string): Promise<string | null> {
  const answer = await fetch(`${adminUrl}/pools/ici/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request: `POST / HTTP/1.1\nHost: gw\nsoapuser: ${user}\n\n` }),
  });
  return ((await answer.json()) as Explanation).instance;
}

/** The number of ended requests, as counted by all processes of the gateway. */
async function requestsCounted({ adminUrl }: GatewayProcess): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const lines = text.matchAll(/^gateway_requests_total\{[^}]*\} (\d+)$/gm);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe.each([
  ['a store that other gateways share', shared, {}],
  ['the store of this host alone', () => ({}), { tags: 'long' }],
])('two workers, with %s,', (_store, affinity, options) => {
  test(
    'bind an agent to one instance, and keep the binding when a worker or the controller is killed',
    options,
    async () => {
      const running = await start(affinity(), { mode: 'sticky', balancer: 'random' });
      const agents = users(30, 'AGENT');
      // At once, so that both workers see each agent for the first time at the same moment.
      const first = await Promise.all([...agents, ...agents].map((user) => post(running.url, user)));
      const places = placesOf(first);
      expect(new Set(places.values()).size).toBe(2);

      for (const user of agents.slice(0, 5)) {
        // None while a busy machine costs the worker its lease.
        const place = await eventually(async () => {
          const explained = await explainedPlace(running, user);
          expect(explained).not.toBeNull();
          return explained;
        });
        expect(place).toBe(places.get(user));
      }

      const { workers: atFirst } = childrenOf(running.pid);
      expect(atFirst.size).toBe(2);
      for (const pid of atFirst.values()) {
        // The controller then has its counters. A worker that does not answer in time is asked again.
        await eventually(async () =>
          expect(await requestsCounted(running)).toBeGreaterThanOrEqual(first.length),
        );
        process.kill(pid, 'SIGKILL');
        await eventually(() => {
          const { workers } = childrenOf(running.pid);
          expect([...workers.values()]).not.toContain(pid);
          expect(workers.size).toBe(2);
        });
        const again = await Promise.all(agents.map((user) => post(running.url, user)));
        expect(placesOf([...first, ...again])).toEqual(places);
      }

      // The controller: its successor continues with its state, and no client sees an error meanwhile.
      const load = startLoad([running.url], agents, 60);
      const { epoch } = await poolOf(running);
      const counted = await requestsCounted(running);
      const before = load.outcomes.length;
      const { controller } = childrenOf(running.pid);
      process.kill(controller as number, 'SIGKILL');
      await eventually(() => {
        const now = childrenOf(running.pid).controller;
        expect(now === undefined || now === controller).toBe(false);
      });
      await eventually(async () => expect((await poolOf(running)).standing).toBe('leased'));
      const { length } = load.outcomes;
      await eventually(() => expect(load.outcomes.length).toBeGreaterThan(length + 50));
      const outcomes = await load.stop();
      expect(placesOf([...first, ...outcomes])).toEqual(places);
      expect((await poolOf(running)).epoch).toBe(epoch);
      // The counters of ended workers remain. One request of each agent may have ended between the two reads.
      const since = outcomes.length - before - agents.length;
      await eventually(async () =>
        expect(await requestsCounted(running)).toBeGreaterThanOrEqual(counted + since),
      );
    },
  );
});

describe('a paused worker', () => {
  test('delays a new active instance until it can no longer act on the old one, and never uses the old one then', async () => {
    const running = await start(shared(), { mode: 'failover' });
    const [a, b] = connectors as [SimulatedConnector, SimulatedConnector];
    expect((await post(running.url, 'AGENT')).connector).toBe('a');
    const [pid] = childrenOf(running.pid).workers.values();
    stopped = pid as number;
    process.kill(stopped, 'SIGSTOP');
    await a.behave({ mode: 'unavailable', appliesTo: 'health' });
    await eventually(
      async () => {
        const { active, view } = await poolOf(running);
        expect([active?.instance, view.effective]).toEqual(['b', true]);
      },
      { within: 20_000 },
    );
    const { total } = a.deliveries.report(false);
    process.kill(stopped, 'SIGCONT');
    stopped = undefined;
    const outcomes = await Promise.all(users(40, 'AGENT').map((user) => post(running.url, user)));
    expect(new Set(placesOf(outcomes).values())).toEqual(new Set([b.name]));
    expect(a.deliveries.report(false).total).toBe(total);
  });
});

describe('a busy failover pool that goes back to the preferred instance when it is idle', () => {
  test('does not while the workers that know its load are being replaced', { tags: 'long' }, async () => {
    const pool = { mode: 'failover', failback: 'when-idle', idleAfter: '60s' };
    const running = await start(shared(), pool, { workers: 1 });
    const [a] = connectors as [SimulatedConnector, SimulatedConnector];
    const active = async () => (await poolOf(running)).active?.instance;
    expect((await post(running.url, 'AGENT')).connector).toBe('a');
    await a.behave({ mode: 'unavailable', appliesTo: 'health' });
    await eventually(async () => expect(await active()).toBe('b'));
    await a.behave({ mode: 'normal' });
    const isBack = async () => {
      const { standing: routingState, instances } = await poolOf(running);
      expect([routingState, ...instances.map(({ health }) => health)]).toEqual(['leased', 'up', 'up']);
    };
    await eventually(isBack, { within: 20_000 });

    for (const which of ['controller', 'worker'] as const) {
      const pidOf = () => {
        const { controller, workers } = childrenOf(running.pid);
        return which === 'controller' ? controller : [...workers.values()][0];
      };
      const before = pidOf() as number;
      process.kill(before, 'SIGKILL');
      await eventually(() => expect([undefined, before]).not.toContain(pidOf()), { within: 20_000 });
      // From a worker that has reported its load since, to a controller that has reported its health since.
      expect((await post(running.url, 'AGENT')).connector).toBe('b');
      await eventually(isBack, { within: 20_000 });
      expect(await active()).toBe('b');
    }
  });
});

describe('two workers that start while Redis is away', { tags: 'long' }, () => {
  test('both start, because neither knows an agent, however late one is, and bind each agent to the same instance', async () => {
    const away = { keyPrefix: 'away', redis: { url: 'redis://127.0.0.1:1' } };
    const running = await start(away, { mode: 'sticky' }, { whileStarting: true });
    const late = () => childrenOf(running.pid).workers.get('worker-2');
    await eventually(() => expect(late()).toBeDefined(), { every: 5 });
    stopped = late() as number;
    await halt(stopped);
    // From now on the other one may bind on its own.
    await eventually(() => expect(running.log.some(({ msg }) => msg === 'affinity store away')).toBe(true));
    process.kill(stopped, 'SIGCONT');
    stopped = undefined;
    await eventually(async () => expect((await running.status()).state).toBe('Running'), { within: 20_000 });
    const agents = users(20, 'AGENT');
    const outcomes = await Promise.all([...agents, ...agents].map((user) => post(running.url, user)));
    expect(new Set(placesOf(outcomes).values())).toEqual(new Set(['a', 'b']));
    expect(running.log.filter(({ level }) => level >= 50)).toEqual([]);
  });
});
