import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer, CONSOLE, GuardedGateway, PASSWORD } from './admin-access-support.ts';

/** Requests that another site makes a browser send, and those of users who may not do that. */

const WHY = { why: 'forged' };
const DISABLE = '/pools/ici/instances/a/disable';

describe.each([
  ['HTTP', () => GuardedGateway.start()],
  ['HTTPS', () => GuardedGateway.startWithTls()],
])('over %s', (scheme, start) => {
  let on: GuardedGateway;
  let otto: { readonly cookie: string };

  beforeAll(async () => {
    on = await start();
    otto = await on.logIn('otto');
  });
  afterAll(() => on.close());

  /** No request of this test is carried out. */
  const expectUntouched = async (): Promise<void> => {
    const { body } = await on.get('/pools/ici/events?limit=1000', bearer('viewer'));
    expect(body.events.filter(({ kind }: { kind: string }) => kind === 'admin')).toEqual([]);
  };

  test('the page of another origin may not change anything, even with the cookie and the header', async () => {
    for (const origin of ['https://evil.example', `${scheme.toLowerCase()}://127.0.0.1:1`, 'null']) {
      const headers = { ...otto, ...CONSOLE, origin };
      const { status, body } = await on.send('POST', DISABLE, { headers, body: WHY });
      expect([origin, status, body.error]).toEqual([origin, 403, expect.stringContaining('another origin')]);
    }
    // Its log-in would make a user act as another one.
    const session = { user: 'otto', password: PASSWORD };
    const forced = await on.send('POST', '/session', {
      headers: { origin: 'https://evil.example' },
      body: session,
    });
    expect([forced.status, forced.headers['set-cookie']]).toEqual([403, undefined]);
    await expectUntouched();
    const own = { ...otto, ...CONSOLE, origin: `${scheme.toLowerCase()}://${on.host}` };
    expect((await on.send('POST', '/pools/ici/failback', { headers: own, body: WHY })).status).toBe(409);
  });

  test('no answer lets another origin read it', async () => {
    const { status, headers } = await on.get('/status', { ...otto, origin: 'https://evil.example' });
    expect([status, headers['access-control-allow-origin']]).toEqual([200, undefined]);
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
    const asked = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    const preflight = await on.send('OPTIONS', DISABLE, { headers: asked });
    expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([404, undefined]);
  });

  test.each(['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain'])(
    'the post of a form (%s) is refused',
    async (type) => {
      const form = { 'content-type': type };
      const body = type === 'text/plain' ? JSON.stringify(WHY) : 'why=forged';
      const withCookie = await on.send('POST', DISABLE, { headers: { ...otto, ...form }, body });
      expect(withCookie.status).toBe(403);
      const logIn = await on.send('POST', '/session', { headers: form, body });
      expect(logIn.status).toBe(415);
      expect(
        (await on.send('POST', DISABLE, { headers: { ...bearer('operator'), ...form }, body })).status,
      ).toBe(415);
      await expectUntouched();
    },
  );

  test('a name of another site is refused (DNS rebinding), except for probes and metrics', async () => {
    for (const host of ['evil.example', `evil.example:${on.host.split(':')[1]}`, '127.0.0.1.evil.example']) {
      for (const headers of [{}, otto, { ...otto, ...CONSOLE }, bearer('admin')]) {
        const { status } = await on.get('/status', { ...headers, host });
        expect([host, status]).toEqual([host, 421]);
      }
      expect((await on.get('/session', { ...otto, host })).status).toBe(421);
      expect(
        (await on.send('POST', DISABLE, { headers: { ...bearer('admin'), host }, body: WHY })).status,
      ).toBe(421);
      const rebound = { host, origin: `${scheme.toLowerCase()}://${host}` };
      expect((await on.send('POST', '/session', { headers: rebound, body: WHY })).status).toBe(421);
      for (const path of ['/livez', '/metrics', '/sap/public/icman/ping'])
        expect((await on.get(path, { host })).status, path).toBe(200);
    }
    for (const host of ['localhost', 'LOCALHOST:9090', '[::1]:9090', '10.1.2.3', on.host])
      expect((await on.get('/status', { ...bearer('viewer'), host })).status, host).toBe(200);
    expect((await on.get('/status', { host: 'evil.example' })).body.error).toContain('admin.hosts');
    await expectUntouched();
  });

  test('the cookie without the header may read, and not change', async () => {
    expect((await on.get('/status', otto)).status).toBe(200);
    const { status, body } = await on.send('POST', DISABLE, { headers: otto, body: WHY });
    expect([status, body.error]).toEqual([403, expect.stringContaining('need the header x-ici-gateway')]);
    await expectUntouched();
  });

  test('a viewer who tries to act is refused, and the security log says so', async () => {
    const vera = await on.logIn('vera');
    const { status, body } = await on.send('POST', DISABLE, { headers: { ...vera, ...CONSOLE }, body: WHY });
    expect([status, body]).toEqual([
      403,
      { error: 'this needs the role operator, and vera has the role viewer' },
    ]);
    expect((await on.get('/security-log', { ...vera, ...CONSOLE })).status).toBe(403);
    await expectUntouched();
    const { entries } = (await on.get('/security-log', bearer('admin'))).body;
    expect(entries).toContainEqual(
      expect.objectContaining({
        kind: 'forbidden',
        user: 'vera',
        role: 'viewer',
        act: 'disable',
        outcome: '403',
      }),
    );
  });

  test('answers carry the headers that protect them', async () => {
    for (const path of ['/status', '/livez', '/nothing', '/']) {
      const { headers } = await on.get(path, bearer('viewer'));
      expect(headers, path).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
      });
    }
    expect((await on.get('/status', bearer('viewer'))).headers['cache-control']).toBe('no-store');
    const [cookie] = (await on.send('POST', '/session', { body: { user: 'vera', password: PASSWORD } }))
      .headers['set-cookie'] as string[];
    expect(cookie?.includes('; Secure')).toBe(scheme === 'HTTPS');
  });

  test('a large body is refused before it is read, and the connection ends', async () => {
    const body = 'x'.repeat(1_000_000);
    for (const [method, path, status] of [
      ['POST', DISABLE, 401],
      ['POST', '/session', 413],
      ['GET', '/status', 401],
      ['GET', '/livez', 200],
    ] as const) {
      const answer = await on.send(method, path, { body }).catch((error: NodeJS.ErrnoException) => error);
      // The gateway resets a connection that it does not read; the answer may be lost with it.
      if (answer instanceof Error) expect(['ECONNRESET', 'EPIPE']).toContain(answer.code);
      else expect([path, answer.status, answer.headers.connection]).toEqual([path, status, 'close']);
    }
  });
});
