import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { AgentPage } from '../../src/core/agent-status.ts';
import type { GatewayStatus } from '../../src/core/gateway-status.ts';
import type { WhatIf } from '../../src/core/what-if.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { ask } from '../support/operator.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const AGENTS = Array.from({ length: 24 }, (_, i) => `AGENT${i}`);
const IDS = ['a', 'b', 'c'];

let connectors: Map<string, SimulatedConnector>;
let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
  for (const connector of connectors.values()) await connector.close();
});

async function start(pool: string, more = ''): Promise<void> {
  connectors = new Map();
  for (const id of IDS) connectors.set(id, await startConnector({ name: id }));
  const instances = IDS.map((id) => `{ id: ${id}, url: '${connectors.get(id)?.url}' }`).join(', ');
  gateway = await startTestGateway(
    `pools: [{ name: ici, ${pool}, health: { path: /health, interval: 100ms, fastInterval: 50ms, fall: 2 }, instances: [${instances}] }]\n${more}`,
  );
}

async function whatIf(question: object): Promise<WhatIf> {
  const { status, body } = await ask(gateway.adminUrl, 'POST', '/pools/ici/what-if', question, '');
  expect([status, body]).toEqual([200, expect.anything()]);
  return body as WhatIf;
}

/** Where each agent is bound. */
async function places(): Promise<Record<string, string>> {
  const { body } = await ask(gateway.adminUrl, 'GET', '/pools/ici/agents?limit=1000', undefined, '');
  return Object.fromEntries((body as AgentPage).agents.map(({ name, instance }) => [name, instance]));
}

const sendAll = (): Promise<unknown> => Promise.all(AGENTS.map((agent) => post(gateway.url, agent)));

/** The instance dies, the gateway finds that, and every agent sends a request. */
async function die(id: string): Promise<void> {
  await connectors.get(id)?.close();
  await eventually(async () => {
    const { body } = await ask(gateway.adminUrl, 'GET', '/status', undefined, '');
    const [pool] = (body as GatewayStatus).pools;
    expect(pool?.instances.find((one) => one.id === id)?.health).toBe('down');
  });
  await sendAll();
}

describe('what is told before an instance dies is what then happens', () => {
  test('each agent goes where rendezvous hashing places them', async () => {
    await start('mode: sticky, balancer: rendezvous');
    await sendAll();
    const before = await places();

    const told = await whatIf({ change: 'instance-dies', instance: 'a', names: 1_000 });
    await die('a');

    const expected = { ...before, ...Object.fromEntries(told.names.map(({ name, to }) => [name, to])) };
    expect(await places()).toEqual(expected);
    const lost = Object.values(before).filter((id) => id === 'a').length;
    expect(lost).toBeGreaterThan(0);
    expect(told).toMatchObject({ agents: lost, stranded: 0, bound: AGENTS.length, isExact: true });
    expect(told.text).toContain(`${lost} agents must log on again`);
  });

  test('as many agents go to each instance as the balancer spreads', async () => {
    await start('mode: sticky, balancer: round-robin');
    for (const agent of AGENTS) await post(gateway.url, agent);

    const told = await whatIf({ change: 'instance-dies', instance: 'b' });
    await die('b');

    const now = Object.values(await places());
    expect(told.isExact).toBe(false);
    for (const { id, after } of told.instances) {
      const bound = now.filter((at) => at === id).length;
      expect([id, bound, Math.abs(bound - after.boundAgents) <= 1]).toEqual([id, after.boundAgents, true]);
    }
  });

  test('the active instance of a failover pool is followed by the one that is told', async () => {
    await start('mode: failover');
    await sendAll();

    const told = await whatIf({ change: 'instance-dies', instance: 'a' });
    // Parts that are not given, such as the mode, stay as they are.
    const removed = await whatIf({ change: 'config', parts: { instances: ['b', 'c'], quorun: 'all' } });
    await die('a');

    expect(removed).toMatchObject({ agents: null, active: { before: 'a', after: 'b' } });
    expect(removed.notes).toEqual([expect.stringContaining('does not know change nothing here: quorun')]);
    const { body } = await ask(gateway.adminUrl, 'GET', '/status', undefined, '');
    expect(told).toMatchObject({ agents: null, active: { before: 'a', after: 'b' } });
    expect((body as GatewayStatus).pools[0]?.active?.instance).toBe('b');
  });
});

describe('other changes', () => {
  test('a weight moves no agent, a drain keeps its agents, and a disabled instance loses them', async () => {
    await start('mode: sticky, balancer: rendezvous');
    await sendAll();
    const before = await places();
    const atA = Object.values(before).filter((id) => id === 'a').length;

    const weight = await whatIf({ change: 'weight', instance: 'a', weight: 2 });
    expect(weight).toMatchObject({ agents: 0, text: 'no bound agent moves' });
    expect(weight.instances[0]).toMatchObject({ id: 'a', after: { newAgents: 0.5, boundAgents: atA } });
    const drain = await whatIf({ change: 'drain', instance: 'a' });
    expect(drain.instances[0]).toMatchObject({ after: { newAgents: 0, boundAgents: atA, serves: true } });
    expect(drain.agents).toBe(0);
    const disable = await whatIf({ change: 'disable', instance: 'a' });
    expect(disable).toMatchObject({ agents: atA, text: `${atA} agents must log on again` });
    const store = await whatIf({ change: 'store-goes' });
    expect(store.text).toContain('stay where they are');
    // Nothing was changed by any of these questions.
    expect(await places()).toEqual(before);
  });

  test('a configuration that removes an instance moves its agents, and one that adds one moves none', async () => {
    await start('mode: sticky, balancer: rendezvous');
    await sendAll();
    const atC = Object.values(await places()).filter((id) => id === 'c').length;
    const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-what-if-'));
    const file = join(directory, 'gateway.yaml');
    const ask = async (ids: readonly string[]): Promise<WhatIf> => {
      const instances = ids.map(
        (id) => `{ id: ${id}, url: '${connectors.get(id)?.url ?? 'http://127.0.0.1:9'}' }`,
      );
      writeFileSync(
        file,
        `pools: [{ name: ici, mode: sticky, balancer: rendezvous, health: { path: /health }, instances: [${instances}] }]`,
      );
      const { code, out, err } = await runCommand([
        'admin',
        'what-if',
        'ici',
        '--config',
        file,
        '--admin',
        gateway.adminUrl,
      ]);
      expect([code, err]).toEqual([0, '']);
      return JSON.parse(out) as WhatIf;
    };
    try {
      expect(await ask(['a', 'b'])).toMatchObject({ agents: atC, stranded: 0 });
      const more = await ask(['a', 'b', 'c', 'd']);
      expect(more).toMatchObject({ agents: 0, notes: ['d is new and counts as up'] });
      expect(more.instances[3]).toMatchObject({ id: 'd', after: { boundAgents: 0, newAgents: 0.25 } });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.each([
    ['no list', 'abc'],
    ['other values than ids', ['a', 1]],
    ['more than can be weighed', Array.from({ length: 201 }, (_, i) => `i${i}`)],
  ])('a configuration whose instances are %s is refused', async (_what, instances) => {
    await start('mode: sticky');
    const question = { change: 'config', parts: { instances } };
    const { status, body } = await ask(gateway.adminUrl, 'POST', '/pools/ici/what-if', question, '');
    expect([status, body]).toEqual([
      400,
      { error: expect.stringContaining('parts.instances must be a list') },
    ]);
  });

  test('the command shows the same to people', async () => {
    await start('mode: sticky, balancer: rendezvous');
    await sendAll();
    const command = ['admin', 'what-if', 'ici', '--admin', gateway.adminUrl];
    const shown = await runCommand([...command, '--instance-dies', 'a'], {}, { hasColors: false });
    expect(shown.out).toMatch(/^\d+ agents? must log on again: /);
    expect(shown.out).toContain('33 % → 0 %');
    const none = await runCommand(command);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('name one change')]);
  });
});
