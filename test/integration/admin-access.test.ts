import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Role } from '../../src/core/role.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, CONSOLE, GuardedGateway, PASSWORD } from './admin-access-support.ts';

const WHY = { why: 'patch the host' };
const DRAIN = '/pools/ici/instances/b/drain';
const READS = ['/status', '/config', '/bindings?pool=ici', '/pools/ici/events', '/pools/ici/drain/a'];
const OPEN = ['/livez', '/metrics', '/session', '/sap/public/icman/ping'];

describe('with users and tokens', () => {
  let on: GuardedGateway;

  beforeAll(async () => {
    on = await GuardedGateway.start();
  });
  afterAll(() => on.close());

  test('reads need a log-in or a token, on loopback too; probes and metrics do not', async () => {
    for (const path of READS) {
      const bare = await on.get(path);
      expect([path, bare.status], bare.text).toEqual([path, 401]);
      expect(bare.headers['www-authenticate']).toBe('Bearer realm="ici-gateway admin"');
      const seen = await on.get(path, bearer('viewer'));
      expect([path, seen.status], seen.text).toEqual([path, 200]);
    }
    for (const path of OPEN) expect((await on.get(path)).status, path).toBe(200);
    expect((await on.get('/readyz')).text).toMatch(/^(Starting|Running)/);
  });

  test.each<[Role | 'shared', string, number]>([
    ['viewer', DRAIN, 403],
    ['operator', DRAIN, 202],
    ['operator', '/pools/ici/adopt-config', 403],
    ['operator', '/reload', 403],
    ['admin', '/pools/ici/adopt-config', 409],
    ['shared', '/pools/ici/adopt-config', 409],
  ])('the token %s may POST %s: %s', async (whose, path, status) => {
    const answer = await on.send('POST', path, { headers: bearer(whose), body: WHY });
    // 200 once the only gateway has acknowledged the change.
    expect([status, status === 202 ? 200 : status], answer.text).toContain(answer.status);
    if (status === 403)
      expect(answer.body.error).toMatch(/^this needs the role \w+, and ci-\w+ has the role/);
  });

  test('a change carries the name of its token, whatever the body claims', async () => {
    const as = (whose: Role | 'shared', by?: string) =>
      on.send('POST', DRAIN, {
        headers: bearer(whose),
        body: { ...WHY, ...(by === undefined ? {} : { by }) },
      });
    expect((await as('operator')).body.instance.act.by).toBe('ci-operator');
    expect((await as('operator', 'ci-operator')).body.instance.act.by).toBe('ci-operator');
    const other = await as('operator', 'anna');
    expect([other.status, other.body]).toEqual([
      400,
      { error: 'by must be ci-operator, who sends this; or leave it out' },
    ]);
    // The shared token does not say who holds it.
    expect((await as('shared')).body.instance.act.by).toBe('admin');
    expect((await as('shared', 'anna')).body.instance.act.by).toBe('admin (says anna)');
  });

  test('an unknown token is refused like none, and is not repeated in the answer', async () => {
    const { status, headers, text } = await on.get('/status', {
      authorization: 'Bearer token-of-a-stranger-1',
    });
    expect([status, headers['www-authenticate']]).toEqual([401, expect.stringContaining('invalid_token')]);
    expect(text).not.toContain('stranger');
  });

  test('a user logs in, sees and changes what the role allows, and logs out', async () => {
    const before = await on.get('/session');
    expect(before.body).toEqual({
      user: null,
      role: null,
      kind: null,
      changes: false,
      loginPossible: true,
    });
    const { status, headers, body } = await on.send('POST', '/session', {
      body: { user: 'otto', password: PASSWORD },
    });
    expect([status, body]).toEqual([200, { user: 'otto', role: 'operator', kind: 'user' }]);
    const [line = ''] = headers['set-cookie'] ?? [];
    expect(line).toMatch(/^ici-gateway-session-\d+=\S+; Path=\/; HttpOnly; SameSite=Strict$/);
    const cookie = line.split(';')[0] ?? '';

    expect((await on.get('/session', { cookie })).body).toEqual({
      user: 'otto',
      role: 'operator',
      kind: 'user',
      changes: true,
      loginPossible: true,
    });
    expect((await on.get('/status', { cookie })).status).toBe(200);
    const drained = await on.send('POST', DRAIN, { headers: { cookie, ...CONSOLE }, body: WHY });
    expect(drained.body.instance.act.by).toBe('otto');
    expect((await on.send('POST', '/reload', { headers: { cookie, ...CONSOLE }, body: WHY })).status).toBe(
      403,
    );

    const out = await on.send('DELETE', '/session', { headers: { cookie, ...CONSOLE } });
    expect([out.status, out.headers['set-cookie']?.[0]]).toEqual([204, expect.stringContaining('Max-Age=0')]);
    // The cookie is worth nothing, even if the browser kept it.
    expect((await on.get('/status', { cookie })).status).toBe(401);
  });

  test('a wrong password and an unknown user get the same answer', async () => {
    const attempts = [
      { user: 'otto', password: 'wrong' },
      { user: 'stranger', password: PASSWORD },
    ];
    for (const body of attempts) {
      const { status, headers, text } = await on.send('POST', '/session', { body });
      expect([status, text]).toEqual([401, '{"error":"the user or the password is wrong"}']);
      expect(headers['set-cookie']).toBeUndefined();
    }
  });

  test('a changed cookie is refused', async () => {
    const { cookie } = await on.logIn('vera');
    const [name = '', value = ''] = cookie.split('=');
    const [payload = '', signature = ''] = value.split('.');
    const fields = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify([fields[0], 'anna', fields[2], fields[3]])).toString(
      'base64url',
    );
    for (const other of [`${forged}.${signature}`, `${payload}.`, payload, '.', ''])
      expect((await on.get('/status', { cookie: `${name}=${other}` })).status, other).toBe(401);
    expect((await on.get('/status', { cookie: `x=1; ${cookie}; y=2` })).status).toBe(200);
  });

  test('log-ins, refusals and acts stand in the security log, for admins', async () => {
    await on.logIn('vera');
    expect((await on.get('/security-log', bearer('operator'))).status).toBe(403);
    const { body } = await on.get('/security-log', bearer('admin'));
    const entries: Record<string, string | null>[] = body.entries;
    expect(entries.find(({ kind }) => kind === 'login')).toMatchObject({
      user: 'vera',
      role: 'viewer',
      outcome: '200',
    });
    expect(entries).toContainEqual(
      expect.objectContaining({
        kind: 'act',
        user: 'ci-operator',
        role: 'operator',
        source: '127.0.0.1',
        act: 'drain',
        pool: 'ici',
        instance: 'b',
        why: WHY.why,
      }),
    );
    expect(entries).toContainEqual(
      expect.objectContaining({ kind: 'forbidden', user: 'ci-viewer', act: 'drain', outcome: '403' }),
    );
    expect(entries).toContainEqual(
      expect.objectContaining({ kind: 'act-refused', user: 'ci-admin', act: 'adopt-config', outcome: '409' }),
    );
    expect((await on.get('/security-log?limit=1', bearer('admin'))).body.entries).toHaveLength(1);
    expect(on.gateway.log).toContainEqual(
      expect.objectContaining({ security: 'login', user: 'vera', source: '127.0.0.1' }),
    );
    expect(JSON.stringify([on.gateway.log, entries])).not.toContain(PASSWORD);
  });

  test('a removed user and a removed token are out at once, and a half-written file changes nothing', async () => {
    const vera = await on.logIn('vera');
    const otto = await on.logIn('otto');
    await on.writeUsers({ vera: 'viewer', anna: 'viewer' });
    on.writeToken('viewer', 'another-token-of-a-viewer');
    await eventually(async () => {
      expect((await on.get('/status', otto)).status).toBe(401);
      expect((await on.get('/status', bearer('viewer'))).status).toBe(401);
    });
    // The line of vera has another hash now, as after a change of the password.
    expect((await on.get('/status', vera)).status).toBe(401);
    const again = await on.logIn('vera');
    on.writeToken('users', 'vera:viewer:$scr');
    await eventually(async () => {
      expect((await on.get('/status', again)).status).toBe(200);
      expect(on.gateway.log).toContainEqual(
        expect.objectContaining({ level: 40, option: 'admin.passwordFile' }),
      );
    });
  });
});

describe('wrong passwords', () => {
  let on: GuardedGateway;

  beforeAll(async () => {
    on = await GuardedGateway.start();
  });
  afterAll(() => on.close());

  test('slow down their source, are logged, and do not delay tokens and sessions', async () => {
    const session = await on.logIn('vera');
    const attempt = (password: string) => on.send('POST', '/session', { body: { user: 'otto', password } });
    for (let i = 0; i < 3; i += 1) expect((await attempt('wrong')).status).toBe(401);
    // Even the right one is not checked now, so that guessing gains nothing. A slow machine may need one more failure.
    await eventually(async () => {
      const { status, headers, body } = await attempt('wrong');
      expect([status, headers['set-cookie']]).toEqual([429, undefined]);
      expect(body.error).toMatch(/^too many failed log-ins from 127\.0\.0\.1; try again in \d+ s$/);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      expect((await attempt(PASSWORD)).status).toBe(429);
    });
    expect((await on.get('/status', session)).status).toBe(200);
    expect((await on.get('/status', bearer('viewer'))).status).toBe(200);
    const { entries } = (await on.get('/security-log', bearer('admin'))).body;
    const refused = entries.filter(({ kind }: { kind: string }) => kind === 'login-refused');
    expect(refused.length).toBeGreaterThanOrEqual(3);
    expect(refused[0]).toMatchObject({ user: 'otto', source: '127.0.0.1', outcome: '401' });
    expect(on.gateway.log.filter(({ security }) => security === 'login-refused')).toHaveLength(
      refused.length,
    );
  });

  test('of others slow down neither another user at the same address nor one who has logged in before', async () => {
    const attempt = (user: string, password: string) =>
      on.send('POST', '/session', { body: { user, password } });
    await on.logIn('anna');
    await Promise.all(
      ['anna', 'otto', 'guest'].flatMap((user) => Array.from({ length: 5 }, () => attempt(user, 'wrong'))),
    );
    expect((await attempt('anna', 'wrong')).status).toBe(429);
    expect((await attempt('anna', PASSWORD)).status).toBe(200);
    expect((await attempt('vera', PASSWORD)).status).toBe(200);
  });

  test('at the same moment are not checked one by one', async () => {
    const attempts = await Promise.all(
      Array.from({ length: 50 }, () =>
        on.send('POST', '/session', { body: { user: 'otto', password: 'wrong' } }),
      ),
    );
    const slowed = attempts.filter(({ status }) => status === 429);
    expect(slowed.length).toBeGreaterThanOrEqual(49);
  });
});

describe('without users and tokens', () => {
  let on: GuardedGateway;

  beforeAll(async () => {
    on = await GuardedGateway.startBare();
  });
  afterAll(() => on.close());

  test('programs of this host may read, and no request may change anything', async () => {
    for (const path of READS) expect((await on.get(path)).status, path).toBe(200);
    expect((await on.get('/session')).body).toEqual({
      user: null,
      role: 'viewer',
      kind: 'loopback',
      changes: false,
      loginPossible: false,
    });
    for (const headers of [{}, bearer('admin')]) {
      const { status, body } = await on.send('POST', DRAIN, { headers, body: WHY });
      expect([status, body.error]).toEqual([
        403,
        expect.stringContaining('read-only: set admin.passwordFile'),
      ]);
    }
    expect((await on.get('/security-log')).status).toBe(403);
    const logIn = await on.send('POST', '/session', { body: { user: 'otto', password: PASSWORD } });
    expect([logIn.status, logIn.body.error]).toEqual([
      403,
      expect.stringContaining('set admin.passwordFile'),
    ]);
  });

  test('a request that a proxy on this host sends for another one gets only probes and metrics', async () => {
    for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip']) {
      const outside = { [header]: '10.0.0.1' };
      const { status, body } = await on.get('/status', outside);
      expect([status, body.error]).toEqual([403, expect.stringContaining('has no users and no tokens')]);
      for (const path of OPEN) expect((await on.get(path, outside)).status, path).toBe(200);
    }
  });
});

test('with admin.metrics: viewer, metrics need a log-in too', async () => {
  const on = await GuardedGateway.start(', metrics: viewer');
  expect((await on.get('/metrics')).status).toBe(401);
  expect((await on.get('/metrics', bearer('viewer'))).status).toBe(200);
  expect((await on.get('/livez')).status).toBe(200);
  await on.close();
});
