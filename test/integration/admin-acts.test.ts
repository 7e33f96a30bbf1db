import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { Answer } from '../support/operator.ts';
import { ask } from '../support/operator.ts';
import { AdministeredGateway, WHY } from './admin-acts-support.ts';

let on: AdministeredGateway;

beforeEach(async () => {
  on = await AdministeredGateway.prepare();
});

afterEach(() => on.close());

describe('draining', () => {
  test('keeps the current agents, and lists them with their last activity', async () => {
    await on.start('');
    const before = await on.place(users(30, 'OLD'));
    const there = [...before].filter(([, at]) => at === 'a').map(([user]) => user);
    const startedAt = Date.now();

    const { status, body } = await on.change('/instances/a/drain', { ...WHY, by: 'ops', deadline: '1h' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ inEffect: true, instance: { id: 'a', admin: 'draining' } });
    expect(body.instance.act).toMatchObject({ by: 'admin (says ops)', why: 'patch the host' });

    const after = await on.place(users(30, 'NEW'));
    expect([...after.values()]).not.toContain('a');
    expect(await on.place([...before.keys()])).toEqual(before);

    const drain = await eventually(async () => {
      const { body: listed } = await on.read('/drain/a');
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
    expect((await on.read('/drain/a?limit=1')).body.agents).toHaveLength(1);
  });

  test('ends by itself when the last agent has left', async () => {
    await on.start('', 'sticky', { env: { ICI_GATEWAY_AFFINITY__IDLE_LIFETIME: '1s' } });
    const agents = await on.place(users(20, 'AGENT'));
    expect([...agents.values()]).toContain('a');
    await eventually(() => expect(on.instance('a').boundAgents).toBeGreaterThan(0));
    await on.change('/instances/a/drain');
    expect(on.instance('a').admin).toBe('draining');
    await eventually(() => expect(on.instance('a').admin).toBe('disabled'));
    expect((await on.read('/events?limit=1')).body.events[0]).toMatchObject({
      kind: 'drained',
      instance: 'a',
      why: 'no agents are bound to it any more',
    });
  });

  test('ends at its deadline, and the remaining agents are moved', async () => {
    await on.start('');
    const agents = await on.place(users(20, 'AGENT'));
    const there = [...agents].filter(([, at]) => at === 'a').map(([user]) => user);
    await eventually(() => expect(on.instance('a').boundAgents).toBe(there.length));
    await on.change('/instances/a/drain', { ...WHY, deadline: '500ms' });
    await eventually(() => expect(on.instance('a').admin).toBe('disabled'));
    const moved = await on.place([...agents.keys()]);
    for (const [user, at] of agents) {
      if (at === 'a') expect(['b', 'c']).toContain(moved.get(user));
      else expect(moved.get(user)).toBe(at);
    }
  });
});

describe('disabling and enabling', () => {
  test('takes an instance out and back, and the event log has both', async () => {
    await on.start('');
    const agents = await on.place(users(20, 'AGENT'));
    expect((await on.change('/instances/b/disable', { ...WHY, by: 'ops' })).status).toBe(200);
    expect([...(await on.place([...agents.keys()])).values()]).not.toContain('b');
    expect((await on.change('/instances/b/enable', { why: 'patched' })).body.instance.admin).toBe('enabled');
    expect([...(await on.place(users(30, 'NEW'))).values()]).toContain('b');

    const { events } = (await on.read('/events')).body;
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
        by: 'admin (says ops)',
        why: 'patch the host',
      }),
    ]);
    expect(Math.abs(Date.parse(acts[0].at) - Date.now())).toBeLessThan(60_000);
    expect((await on.read('/events?limit=1')).body.events).toEqual([events[0]]);
    expect(on.gateway.log).toContainEqual(
      expect.objectContaining({
        msg: 'act of an operator',
        act: 'disable',
        instance: 'b',
        by: 'admin (says ops)',
        pool: 'ici',
      }),
    );
    const scraped = await ask(on.gateway.adminUrl, 'GET', '/metrics');
    expect(scraped.body).toContain('gateway_admin_acts_total{pool="ici",act="disable",outcome="ok"} 1');
  });

  test('survives a restart', async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'ici-gateway-acts-'));
    onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
    await on.start('', 'sticky', { stateDir });
    await on.change('/instances/b/disable', { ...WHY, by: 'ops' });
    await on.gateway.close();
    await on.start('', 'sticky', { stateDir });
    expect(on.instance('b')).toMatchObject({
      admin: 'disabled',
      act: { by: 'admin (says ops)', why: 'patch the host' },
    });
    expect((await on.read('/events')).body.events).toContainEqual(
      expect.objectContaining({ kind: 'admin', instance: 'b', by: 'admin (says ops)' }),
    );
  });
});

describe('moving one agent', () => {
  test('moves that agent to the other instance, and no other agent', async () => {
    await on.start('');
    const agents = await on.place(users(20, 'AGENT'));
    const [user = '', from = ''] = [...agents][0] ?? [];
    const to = from === 'a' ? 'b' : 'a';
    const { status, body } = await on.change('/agents/move', {
      ...WHY,
      agent: ` ${user.toLowerCase()} `,
      instance: to,
    });
    expect([status, body]).toEqual([200, expect.objectContaining({ agent: `user:${user}`, instance: to })]);
    expect(await on.place([...agents.keys()])).toEqual(new Map(agents).set(user, to));
    expect((await on.read('/events')).body.events).toContainEqual(
      expect.objectContaining({ kind: 'moved', instance: to, from, to, why: `user:${user}: patch the host` }),
    );
    // And back: the cached binding of the agent is outdated again.
    expect((await on.change('/agents/move', { ...WHY, agent: user, instance: from })).status).toBe(200);
    expect(await on.place([...agents.keys()])).toEqual(agents);
  });

  test('by session moves all names of the agent', async () => {
    await on.start('');
    const { connector: from } = await post(on.gateway.url, 'MILLER', {
      cookie: 'WS_SESSION_ID=secret-session',
    });
    const to = from === 'a' ? 'b' : 'a';
    const { status, body } = await on.change('/agents/move', {
      ...WHY,
      session: 'secret-session',
      instance: to,
    });
    expect(status, JSON.stringify(body)).toBe(200);
    expect((await post(on.gateway.url, 'MILLER')).connector).toBe(to);
    const told = JSON.stringify([body, (await on.read('/events')).body, on.gateway.log]);
    expect(told).not.toContain('secret-session');
  });

  test('never serves a working agent at two instances', async () => {
    await on.start('');
    const { connector: from } = await post(on.gateway.url, 'MILLER');
    const to = from === 'a' ? 'b' : 'a';
    let isMoving = true;
    const requests = (async () => {
      const seen: (string | undefined)[] = [];
      while (isMoving) seen.push((await post(on.gateway.url, 'MILLER')).connector);
      return seen;
    })();
    await on.change('/agents/move', { ...WHY, agent: 'MILLER', instance: to });
    isMoving = false;
    const seen = [...(await requests), (await post(on.gateway.url, 'MILLER')).connector];
    const first = seen.indexOf(to);
    expect(seen).toEqual(seen.map((_, i) => (i < first ? from : to)));
  });

  test('is refused with the reason if it is impossible', async () => {
    await on.start('');
    const { connector: at } = await post(on.gateway.url, 'MILLER');
    const move = (more: object): Promise<Answer> =>
      on.change('/agents/move', { ...WHY, agent: 'MILLER', ...more });
    expect((await move({ instance: at })).body.error).toBe(`user:MILLER is already bound to ${at}`);
    const unknown = await move({ instance: at, agent: 'UNKNOWN' });
    expect([unknown.status, unknown.body.error]).toEqual([
      404,
      expect.stringContaining('user:UNKNOWN is not bound'),
    ]);
    const other = at === 'a' ? 'b' : 'a';
    await on.change(`/instances/${other}/drain`, { ...WHY, deadline: '1h' });
    await on.change(`/instances/${other}/disable`);
    const refused = await move({ instance: other });
    expect([refused.status, refused.body.error]).toEqual([409, `${other} takes no agents: it is disabled`]);
    expect((await post(on.gateway.url, 'MILLER')).connector).toBe(at);
  });
});

describe('a failover pool', () => {
  test('follows an operator to another instance, and back', async () => {
    await on.start('', 'failover');
    expect(on.active).toBe('a');
    const { status, body } = await on.change('/activate', { ...WHY, instance: 'c' });
    expect([status, body]).toEqual([200, expect.objectContaining({ inEffect: true, active: 'c' })]);
    expect((await post(on.gateway.url, 'MILLER')).connector).toBe('c');
    expect((await on.change('/activate', { ...WHY, instance: 'c' })).body.error).toBe(
      'c is already the active instance',
    );
    const forgotten = await on.change('/agents/forget', { ...WHY, agent: 'MILLER' });
    expect([forgotten.status, forgotten.body.error]).toEqual([
      409,
      'pool ici is failover: all its agents are at the active instance together',
    ]);

    expect((await on.change('/failback')).body).toMatchObject({ inEffect: true, active: 'a' });
    expect((await post(on.gateway.url, 'MILLER')).connector).toBe('a');
    expect((await on.change('/failback')).status).toBe(409);
    const { events } = (await on.read('/events')).body;
    expect(events.filter(({ kind }: { kind: string }) => kind === 'activate')).toMatchObject([
      { instance: 'a', from: 'c', to: 'a' },
      { instance: 'c', from: 'a', to: 'c' },
    ]);
  });

  test('does not activate an instance that cannot serve', async () => {
    await on.start('', 'failover');
    await on.connectors[1]?.behave({ mode: 'refuse' });
    await eventually(() => expect(on.instance('b').health).toBe('down'));
    await on.change('/instances/c/disable');
    for (const [id, reason] of [
      ['b', 'b is down; wait until it is up'],
      ['c', 'c is disabled; enable it first'],
    ]) {
      const { status, body } = await on.change('/activate', { ...WHY, instance: id });
      expect([status, body.error]).toEqual([409, reason]);
    }
    expect(on.active).toBe('a');
    expect((await on.change('/agents/move', { ...WHY, agent: 'X', instance: 'a' })).body.error).toContain(
      'pool ici is failover',
    );
  });

  test('follows the failback policy of an operator rather than the configured one', async () => {
    await on.start('failback: never', 'failover');
    await on.change('/activate', { ...WHY, instance: 'b' });
    const put = (body: object): Promise<Answer> =>
      ask(on.gateway.adminUrl, 'PUT', '/pools/ici/failback-policy', { ...WHY, ...body });
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
    expect(on.gateway.status().pools[0]?.failback).toEqual({
      policy: 'at 03:00',
      zone: 'Asia/Tokyo',
      by: 'operator',
    });
    expect((await put({ policy: 'immediate' })).body).toEqual({ failback: 'immediate', zone: null });
    await eventually(() => expect(on.active).toBe('a'));
  });
});

describe('quarantine', () => {
  test('ends on an operator’s release, and then the instance takes agents', async () => {
    await on.start('quarantine: always\n    countRestarts: false');
    await on.connectors[0]?.behave({ mode: 'refuse' });
    await eventually(() => expect(on.instance('a').health).toBe('down'));
    expect(on.gateway.log).toContainEqual(
      expect.objectContaining({
        msg: 'probes find an instance down',
        pool: 'ici',
        instance: 'a',
        reason: expect.stringContaining('ECONNREFUSED'),
      }),
    );
    await on.connectors[0]?.behave({ mode: 'normal' });
    await eventually(() => expect(on.instance('a')).toMatchObject({ health: 'up', quarantined: true }));
    expect([...(await on.place(users(20, 'AGENT'))).values()]).not.toContain('a');
    const scraped = await ask(on.gateway.adminUrl, 'GET', '/metrics');
    expect(scraped.body).toContain('gateway_instance_quarantined{pool="ici",instance="a"} 1');

    const refused = await on.change('/agents/move', { ...WHY, agent: users(1, 'AGENT')[0], instance: 'a' });
    expect(refused.body.error).toBe('a takes no agents: it is in quarantine; release it first');
    const { status, body } = await on.change('/instances/a/release');
    expect([status, body.instance]).toEqual([200, expect.objectContaining({ quarantined: false })]);
    expect([...(await on.place(users(30, 'NEW'))).values()]).toContain('a');
  });
});
