import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { Answer, TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { TestGateway, TestGatewayOptions } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const WHY = { why: 'patch the host' };

let token: TokenFile;
let connectors: SimulatedConnector[];
let gateway: TestGateway;
const directories: string[] = [];

beforeAll(() => {
  token = writeTokenFile();
});
afterAll(() => token.remove());

beforeEach(async () => {
  connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
});
afterEach(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

async function start(
  options: string,
  mode: 'sticky' | 'failover' = 'sticky',
  rest: TestGatewayOptions = {},
): Promise<void> {
  gateway = await startTestGateway(
    `
pools:
  - name: ici
    mode: ${mode}
    health: { path: /health, interval: 200ms, fastInterval: 50ms, fall: 2, rise: 1 }
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
    ${options}
`,
    { ...rest, env: { ...token.env, ...rest.env } },
  );
}

const change = (path: string, body: unknown = WHY): Promise<Answer> =>
  ask(gateway.adminUrl, 'POST', `/pools/ici${path}`, body);
const read = (path: string): Promise<Answer> => ask(gateway.adminUrl, 'GET', `/pools/ici${path}`);

const instance = (id: string) => {
  const found = gateway.status().pools[0]?.instances.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no instance ${id}`);
  return found;
};
const active = (): string | undefined => gateway.status().pools[0]?.active?.instance;

/** Logs the agents on, and returns the instance of each. */
async function place(agents: readonly string[]): Promise<Map<string, string | undefined>> {
  const outcomes = await Promise.all(agents.map((user) => post(gateway.url, user)));
  return new Map(outcomes.map(({ user, connector }) => [user, connector]));
}

describe('authorization of changes', () => {
  test('refuses every change without the token', async () => {
    await start('');
    const path = '/pools/ici/instances/a/disable';
    const bare = await ask(gateway.adminUrl, 'POST', path, WHY, '');
    expect(bare.status).toBe(401);
    expect(bare.headers.get('www-authenticate')).toBe('Bearer realm="ici-gateway admin"');
    const wrong = await ask(gateway.adminUrl, 'POST', path, { nonsense: 1 }, 'token-of-another-user-1');
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(JSON.stringify([bare.body, wrong.body])).not.toContain('token-of');
    expect(instance('a').admin).toBe('enabled');
  });

  test('refuses every change if no token is configured', async () => {
    gateway = await startTestGateway(
      `pools: [{ name: ici, instances: [{ id: a, url: '${connectors[0]?.url}' }] }]`,
    );
    const { status, body } = await change('/instances/a/disable');
    expect([status, body]).toEqual([403, { error: 'this admin plane is read-only: set admin.tokenFile' }]);
    expect((await read('/events')).status).toBe(200);
  });
});

describe('an invalid request', () => {
  const CASES: readonly (readonly [path: string, body: unknown, message: string])[] = [
    ['/instances/a/drain', {}, 'why is missing; it must be the reason, of 1 to 500 characters'],
    ['/instances/a/drain', { why: ' ' }, 'why must be the reason'],
    ['/instances/a/drain', { why: 'x'.repeat(501) }, 'why must be the reason'],
    ['/instances/a/drain', { ...WHY, by: '' }, 'by must be the name of the operator, of 1 to 100 characters'],
    ['/instances/a/drain', { ...WHY, deadlin: '3m' }, 'deadlin is not known here; remove it'],
    [
      '/instances/a/drain',
      { ...WHY, deadline: 'soon' },
      'deadline must be a duration such as 30m, or a time',
    ],
    ['/instances/a/drain', { ...WHY, deadline: '2020-01-01T00:00:00Z' }, 'deadline has passed'],
    // Such a value in the store once broke /status in every gateway.
    ['/instances/a/drain', { ...WHY, deadline: '99999999d' }, 'deadline must be within 31 days'],
    ['/instances/a/enable', { ...WHY, deadline: '3m' }, 'deadline is not known here'],
    ['/activate', WHY, 'instance is missing; it must be the id of an instance of the pool'],
    ['/agents/move', { ...WHY, instance: 'b' }, 'agent or session must be given, and not both'],
    ['/agents/move', { ...WHY, instance: 'b', agent: 'X', session: 's' }, 'agent or session'],
    ['/agents/move', { ...WHY, instance: 'b', agent: '\u0007' }, 'agent must be a user name'],
    ['/instances/a/drain', 'patch', 'the body must be object; send a JSON object'],
  ];

  // No request changes anything, so one gateway is enough for all.
  test('is refused with the field and its valid values', async () => {
    await start('');
    for (const [path, body, message] of CASES) {
      const answer = await change(path, body);
      const asked = `${path} with ${JSON.stringify(body)}`;
      expect(answer.status, `${asked}: ${JSON.stringify(answer.body)}`).toBe(400);
      expect(answer.body.error, asked).toContain(message);
    }
    expect((await read('/events?limit=1000')).body.events).not.toContainEqual(
      expect.objectContaining({ by: 'admin' }),
    );
  });

  test('distinguishes missing pools and instances from changes that cannot be made', async () => {
    await start('');
    const unknown = await ask(gateway.adminUrl, 'POST', '/pools/icy/instances/a/drain', WHY);
    expect([unknown.status, unknown.body.error]).toEqual([404, 'no pool is named icy; there is ici']);
    const missing = await change('/instances/z/drain');
    expect([missing.status, missing.body.error]).toEqual([404, 'pool ici has no instance z; it has a, b, c']);
    expect((await read('/drain/z')).status).toBe(404);
    const notHere = await change('/activate', { ...WHY, instance: 'b' });
    expect([notHere.status, notHere.body.error]).toEqual([
      409,
      expect.stringContaining('pool ici is sticky: it has no active instance'),
    ]);
    expect((await change('/failback')).status).toBe(409);
    expect((await change('/instances/a/release')).body.error).toBe('a is not in quarantine');
  });
});

describe('draining', () => {
  test('keeps the current agents, and lists them with their last activity', async () => {
    await start('');
    const before = await place(users(30, 'OLD'));
    const there = [...before].filter(([, at]) => at === 'a').map(([user]) => user);
    const startedAt = Date.now();

    const { status, body } = await change('/instances/a/drain', { ...WHY, by: 'ops', deadline: '1h' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ inEffect: true, instance: { id: 'a', admin: 'draining' } });
    expect(body.instance.act).toMatchObject({ by: 'ops', why: 'patch the host' });

    const after = await place(users(30, 'NEW'));
    expect([...after.values()]).not.toContain('a');
    expect(await place([...before.keys()])).toEqual(before);

    const drain = await eventually(async () => {
      const { body: listed } = await read('/drain/a');
      expect(listed.remaining).toBe(there.length);
      return listed;
    });
    expect(drain).toMatchObject({ instance: 'a', admin: 'draining', next: null });
    expect(Date.parse(drain.deadline) - startedAt).toBeGreaterThan(3_590_000);
    expect(drain.agents.map(({ name }: { name: string }) => name).sort()).toEqual(there.sort());
    for (const { lastActive, expiresInSeconds } of drain.agents) {
      const off = Math.abs(Date.parse(lastActive) - startedAt) / 1_000;
      expect(off).toBeLessThan(drain.lastActiveWithinSeconds);
      expect(expiresInSeconds).toBeGreaterThan(43_000);
    }
    expect((await read('/drain/a?limit=1')).body.agents).toHaveLength(1);
  });

  test('ends by itself when the last agent has left', async () => {
    await start('', 'sticky', { env: { ICI_GATEWAY_AFFINITY__IDLE_LIFETIME: '1s' } });
    const agents = await place(users(20, 'AGENT'));
    expect([...agents.values()]).toContain('a');
    await eventually(() => expect(instance('a').boundAgents).toBeGreaterThan(0));
    await change('/instances/a/drain');
    expect(instance('a').admin).toBe('draining');
    await eventually(() => expect(instance('a').admin).toBe('disabled'));
    expect((await read('/events?limit=1')).body.events[0]).toMatchObject({
      kind: 'drained',
      instance: 'a',
      why: 'no agents are bound to it any more',
    });
  });

  test('ends at its deadline, and the remaining agents are moved', async () => {
    await start('');
    const agents = await place(users(20, 'AGENT'));
    const there = [...agents].filter(([, at]) => at === 'a').map(([user]) => user);
    await eventually(() => expect(instance('a').boundAgents).toBe(there.length));
    await change('/instances/a/drain', { ...WHY, deadline: '500ms' });
    await eventually(() => expect(instance('a').admin).toBe('disabled'));
    const moved = await place([...agents.keys()]);
    for (const [user, at] of agents) {
      if (at === 'a') expect(['b', 'c']).toContain(moved.get(user));
      else expect(moved.get(user)).toBe(at);
    }
  });
});

describe('disabling and enabling', () => {
  test('takes an instance out and back, and the event log has both', async () => {
    await start('');
    const agents = await place(users(20, 'AGENT'));
    expect((await change('/instances/b/disable', { ...WHY, by: 'ops' })).status).toBe(200);
    expect([...(await place([...agents.keys()])).values()]).not.toContain('b');
    expect((await change('/instances/b/enable', { why: 'patched' })).body.instance.admin).toBe('enabled');
    expect([...(await place(users(30, 'NEW'))).values()]).toContain('b');

    const { events } = (await read('/events')).body;
    const acts = events.filter(({ kind }: { kind: string }) => kind === 'admin');
    expect(acts).toEqual([
      expect.objectContaining({
        instance: 'b',
        from: 'disabled',
        to: 'enabled',
        by: 'admin',
        why: 'patched',
      }),
      expect.objectContaining({
        instance: 'b',
        from: 'enabled',
        to: 'disabled',
        by: 'ops',
        why: 'patch the host',
      }),
    ]);
    expect(Math.abs(Date.parse(acts[0].at) - Date.now())).toBeLessThan(60_000);
    expect((await read('/events?limit=1')).body.events).toEqual([events[0]]);
    expect(gateway.log).toContainEqual(
      expect.objectContaining({
        msg: 'act of an operator',
        act: 'disable',
        instance: 'b',
        by: 'ops',
        pool: 'ici',
      }),
    );
    const scraped = await ask(gateway.adminUrl, 'GET', '/metrics');
    expect(scraped.body).toContain('gateway_admin_acts_total{pool="ici",act="disable",outcome="ok"} 1');
  });

  test('survives a restart', async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'ici-gateway-acts-'));
    directories.push(stateDir);
    await start('', 'sticky', { stateDir });
    await change('/instances/b/disable', { ...WHY, by: 'ops' });
    await gateway.close();
    await start('', 'sticky', { stateDir });
    expect(instance('b')).toMatchObject({ admin: 'disabled', act: { by: 'ops', why: 'patch the host' } });
    expect((await read('/events')).body.events).toContainEqual(
      expect.objectContaining({ kind: 'admin', instance: 'b', by: 'ops' }),
    );
  });
});

describe('moving one agent', () => {
  test('moves that agent to the other instance, and no other agent', async () => {
    await start('');
    const agents = await place(users(20, 'AGENT'));
    const [user = '', from = ''] = [...agents][0] ?? [];
    const to = from === 'a' ? 'b' : 'a';
    const { status, body } = await change('/agents/move', {
      ...WHY,
      agent: ` ${user.toLowerCase()} `,
      instance: to,
    });
    expect([status, body]).toEqual([200, expect.objectContaining({ agent: `user:${user}`, instance: to })]);
    expect(await place([...agents.keys()])).toEqual(new Map(agents).set(user, to));
    expect((await read('/events')).body.events).toContainEqual(
      expect.objectContaining({ kind: 'moved', instance: to, from, to, why: `user:${user}: patch the host` }),
    );
    // And back: the cached binding of the agent is outdated again.
    expect((await change('/agents/move', { ...WHY, agent: user, instance: from })).status).toBe(200);
    expect(await place([...agents.keys()])).toEqual(agents);
  });

  test('by session moves all names of the agent', async () => {
    await start('');
    const { connector: from } = await post(gateway.url, 'MILLER', { cookie: 'WS_SESSION_ID=secret-session' });
    const to = from === 'a' ? 'b' : 'a';
    const { status, body } = await change('/agents/move', {
      ...WHY,
      session: 'secret-session',
      instance: to,
    });
    expect(status, JSON.stringify(body)).toBe(200);
    expect((await post(gateway.url, 'MILLER')).connector).toBe(to);
    const told = JSON.stringify([body, (await read('/events')).body, gateway.log]);
    expect(told).not.toContain('secret-session');
  });

  test('never serves a working agent at two instances', async () => {
    await start('');
    const { connector: from } = await post(gateway.url, 'MILLER');
    const to = from === 'a' ? 'b' : 'a';
    let isMoving = true;
    const requests = (async () => {
      const seen: (string | undefined)[] = [];
      while (isMoving) seen.push((await post(gateway.url, 'MILLER')).connector);
      return seen;
    })();
    await change('/agents/move', { ...WHY, agent: 'MILLER', instance: to });
    isMoving = false;
    const seen = [...(await requests), (await post(gateway.url, 'MILLER')).connector];
    const first = seen.indexOf(to);
    expect(seen).toEqual(seen.map((_, i) => (i < first ? from : to)));
  });

  test('is refused with the reason if it is impossible', async () => {
    await start('');
    const { connector: at } = await post(gateway.url, 'MILLER');
    const move = (more: object): Promise<Answer> =>
      change('/agents/move', { ...WHY, agent: 'MILLER', ...more });
    expect((await move({ instance: at })).body.error).toBe(`user:MILLER is already bound to ${at}`);
    const unknown = await move({ instance: at, agent: 'NOBODY' });
    expect([unknown.status, unknown.body.error]).toEqual([
      404,
      expect.stringContaining('user:NOBODY is not bound'),
    ]);
    const other = at === 'a' ? 'b' : 'a';
    await change(`/instances/${other}/drain`, { ...WHY, deadline: '1h' });
    await change(`/instances/${other}/disable`);
    const refused = await move({ instance: other });
    expect([refused.status, refused.body.error]).toEqual([409, `${other} takes no agents: it is disabled`]);
    expect((await post(gateway.url, 'MILLER')).connector).toBe(at);
  });
});

describe('a failover pool', () => {
  test('follows an operator to another instance, and back', async () => {
    await start('', 'failover');
    expect(active()).toBe('a');
    const { status, body } = await change('/activate', { ...WHY, instance: 'c' });
    expect([status, body]).toEqual([200, expect.objectContaining({ inEffect: true, active: 'c' })]);
    expect((await post(gateway.url, 'MILLER')).connector).toBe('c');
    expect((await change('/activate', { ...WHY, instance: 'c' })).body.error).toBe(
      'c is already the active instance',
    );

    expect((await change('/failback')).body).toMatchObject({ inEffect: true, active: 'a' });
    expect((await post(gateway.url, 'MILLER')).connector).toBe('a');
    expect((await change('/failback')).status).toBe(409);
    const { events } = (await read('/events')).body;
    expect(events.filter(({ kind }: { kind: string }) => kind === 'activate')).toMatchObject([
      { instance: 'a', from: 'c', to: 'a' },
      { instance: 'c', from: 'a', to: 'c' },
    ]);
  });

  test('does not activate an instance that cannot serve', async () => {
    await start('', 'failover');
    await connectors[1]?.behave({ mode: 'refuse' });
    await eventually(() => expect(instance('b').health).toBe('down'));
    await change('/instances/c/disable');
    for (const [id, reason] of [
      ['b', 'b is down; wait until it is up'],
      ['c', 'c is disabled; enable it first'],
    ]) {
      const { status, body } = await change('/activate', { ...WHY, instance: id });
      expect([status, body.error]).toEqual([409, reason]);
    }
    expect(active()).toBe('a');
    expect((await change('/agents/move', { ...WHY, agent: 'X', instance: 'a' })).body.error).toContain(
      'pool ici is failover',
    );
  });

  test('follows the failback policy of an operator rather than the configured one', async () => {
    await start('failback: never', 'failover');
    await change('/activate', { ...WHY, instance: 'b' });
    const put = (body: object): Promise<Answer> =>
      ask(gateway.adminUrl, 'PUT', '/pools/ici/failback-policy', { ...WHY, ...body });
    expect((await put({ policy: 'at 3:00' })).body.error).toContain(
      'policy must be never, when-idle, immediate',
    );
    expect((await put({ policy: 'at 03:00', zone: 'Mars/Olympus' })).body.error).toContain(
      'zone must be an IANA',
    );
    expect((await put({ policy: 'at 03:00', zone: 'Asia/Tokyo' })).body).toEqual({
      failback: 'at 03:00',
      zone: 'Asia/Tokyo',
    });
    expect(gateway.status().pools[0]?.failback).toEqual({
      policy: 'at 03:00',
      zone: 'Asia/Tokyo',
      by: 'operator',
    });
    expect((await put({ policy: 'immediate' })).body).toEqual({ failback: 'immediate', zone: null });
    await eventually(() => expect(active()).toBe('a'));
  });
});

describe('quarantine', () => {
  test('ends on an operator’s release, and then the instance takes agents', async () => {
    await start('quarantine: always\n    countRestarts: false');
    await connectors[0]?.behave({ mode: 'refuse' });
    await eventually(() => expect(instance('a').health).toBe('down'));
    expect(gateway.log).toContainEqual(
      expect.objectContaining({
        msg: 'probes find an instance down',
        pool: 'ici',
        instance: 'a',
        reason: expect.stringContaining('ECONNREFUSED'),
      }),
    );
    await connectors[0]?.behave({ mode: 'normal' });
    await eventually(() => expect(instance('a')).toMatchObject({ health: 'up', quarantined: true }));
    expect([...(await place(users(20, 'AGENT'))).values()]).not.toContain('a');
    const scraped = await ask(gateway.adminUrl, 'GET', '/metrics');
    expect(scraped.body).toContain('gateway_instance_quarantined{pool="ici",instance="a"} 1');

    const refused = await change('/agents/move', { ...WHY, agent: users(1, 'AGENT')[0], instance: 'a' });
    expect(refused.body.error).toBe('a takes no agents: it is in quarantine; release it first');
    const { status, body } = await change('/instances/a/release');
    expect([status, body.instance]).toEqual([200, expect.objectContaining({ quarantined: false })]);
    expect([...(await place(users(30, 'NEW'))).values()]).toContain('a');
  });
});
