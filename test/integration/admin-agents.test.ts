import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentLine, AgentStatus } from '../../src/core/agent-status.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { AdministeredGateway, WHY } from './admin-acts-support.ts';

let on: AdministeredGateway;

beforeEach(async () => {
  on = await AdministeredGateway.prepare();
});

afterEach(() => on.close());

async function agent(name: string): Promise<AgentStatus> {
  const { status, body } = await on.read(`/agents/${name}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

async function listed(query: string): Promise<string[]> {
  const { status, body } = await on.read(`/agents?${query}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body.agents.map(({ name }: AgentLine) => name).sort();
}

describe('one agent of a sticky pool', () => {
  const cookie = 'WS_SESSION_ID=secret%3asession';

  test('is found under each of its names, with since when and why', async () => {
    await on.start("groups: { patterns: [{ users: 'MILL.*', group: sales }] }");
    const startedAt = Date.now();
    const { connector } = await post(on.gateway.url, 'Miller', { cookie });
    const session = storedForm({ kind: 'session', value: 'secret%3asession' }).value;

    const found = await agent('MILLER');

    expect(found).toMatchObject({
      pool: 'ici',
      mode: 'sticky',
      name: 'MILLER',
      kind: 'user',
      instance: connector,
      current: true,
      generation: 1,
      identity: 'asserted',
      group: 'sales',
      cause: { kind: 'claimed', balancer: 'rendezvous', by: null, why: null },
      aliases: [{ kind: 'session', name: session }],
      moving: null,
    });
    expect(found.cause.gateway).toMatch(/-[0-9a-f]{6}$/);
    expect(found.cause.epoch).toBeGreaterThan(0);
    expect(found.sentence).toMatch(
      new RegExp(
        `^MILLER is on ${connector} since \\d\\d:\\d\\d UTC, because the balancer rendezvous chose it`,
      ),
    );
    for (const time of [found.boundSince, found.lastActive])
      expect(Math.abs(Date.parse(time ?? '') - startedAt)).toBeLessThan(
        found.lastActiveWithinSeconds * 1_000,
      );
    for (const name of [
      '%20miller',
      session,
      encodeURIComponent('secret%3asession'),
      `${session}?kind=session`,
    ])
      expect((await agent(name)).name).toBe('MILLER');
    expect(JSON.stringify(found)).not.toContain('secret');
    const { status, body } = await on.read('/agents/miller?kind=session');
    expect([status, body.error]).toEqual([
      404,
      'miller is not bound in pool ici; an agent without a binding gets one at the next request',
    ]);
  });

  test('that an operator moved says who and why', async () => {
    await on.start('');
    const { connector: from } = await post(on.gateway.url, 'MILLER');
    const to = from === 'a' ? 'b' : 'a';
    await on.change('/agents/move', { why: 'complains of echo', by: 'KLEIN', agent: 'MILLER', instance: to });

    expect(await agent('MILLER')).toMatchObject({
      instance: to,
      generation: 2,
      cause: { kind: 'moved', by: 'admin (says KLEIN)', why: 'complains of echo', balancer: null },
      sentence: expect.stringContaining(
        'because admin (says KLEIN) moved the agent: “complains of echo” (at gateway ',
      ),
    });
  });

  test('whose instance is lost says so before and after the next request', async () => {
    await on.start('');
    const { connector: from = '' } = await post(on.gateway.url, 'MILLER');
    await on.change(`/instances/${from}/disable`);

    expect(await agent('MILLER')).toMatchObject({
      instance: from,
      current: false,
      sentence: expect.stringContaining(`But ${from} is disabled, so the next request moves the agent.`),
    });
    const { connector: to } = await post(on.gateway.url, 'MILLER');
    const found = await agent('MILLER');
    expect(found).toMatchObject({
      instance: to,
      current: true,
      cause: { kind: 'rebound', why: `${from} was disabled` },
    });
    expect(found.sentence).toContain(`because ${from} was disabled (at gateway `);
  });
});

describe('the list of agents', () => {
  test('can be filtered, and continues', async () => {
    await on.start('');
    const placed = await on.place(['MILLER', 'MILTON', 'SMITH', 'ÄRGER']);
    const at = (instance: string): string[] =>
      [...placed].flatMap(([name, connector]) => (connector === instance ? [name] : [])).sort();

    expect(await listed('')).toEqual([...placed.keys()].sort());
    expect(await listed('prefix=mil')).toEqual(['MILLER', 'MILTON']);
    expect(await listed(`prefix=${encodeURIComponent('är')}`)).toEqual(['ÄRGER']);
    for (const instance of ['a', 'b', 'c'])
      expect(await listed(`instance=${instance}`)).toEqual(at(instance));
    expect(await listed('idleSince=0s')).toHaveLength(4);
    expect(await listed('idleSince=30m')).toEqual([]);
    expect(await listed('idleSince=2026-03-01T22:00:00Z')).toEqual([]);
    const { body } = await on.read('/agents?limit=3');
    expect(body.agents).toHaveLength(3);
    expect(body.agents[0]).toMatchObject({ kind: 'user', identity: 'asserted', generation: 1 });
    expect(await listed(`cursor=${encodeURIComponent(body.next)}`)).toHaveLength(1);
  });
});

describe('one agent of a failover pool', () => {
  test('is at the active instance, since it is active, and for the reason of that', async () => {
    await on.start('', 'failover');
    const { connector: first } = await post(on.gateway.url, 'MILLER');
    const { boundSince } = await agent('MILLER');
    expect(await agent('MILLER')).toMatchObject({
      mode: 'failover',
      name: 'MILLER',
      instance: first,
      current: true,
      generation: null,
      identity: null,
      aliases: [],
      cause: { kind: 'active' },
      sentence: expect.stringContaining(
        'is the active instance of the failover pool ici, which serves all agents',
      ),
    });

    await on.change('/activate', { ...WHY, by: 'KLEIN', instance: 'b' });
    await eventually(() => expect(on.active).toBe('b'));

    const found = await agent('ANYBODY');
    expect(found).toMatchObject({
      instance: 'b',
      cause: { kind: 'active', by: 'admin (says KLEIN)', why: 'patch the host' },
      sentence: expect.stringContaining('; admin (says KLEIN) activated it: “patch the host”.'),
    });
    expect(Date.parse(found.boundSince ?? '')).toBeGreaterThan(Date.parse(boundSince ?? ''));
  });
});
