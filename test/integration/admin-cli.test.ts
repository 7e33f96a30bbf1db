import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { Ended } from '../support/cli.ts';
import { runCommand } from '../support/cli.ts';
import { post, users } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { writeTokenFile } from '../support/operator.ts';
import { freePort } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let token: TokenFile;
let connectors: SimulatedConnector[];
let gateway: TestGateway;

beforeAll(async () => {
  token = writeTokenFile();
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const instances = connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ');
  const health = '{ path: /health, interval: 200ms, fastInterval: 50ms }';
  gateway = await startTestGateway(
    `
pools:
  - { name: spread, mode: sticky, match: { paths: [/ici] }, health: ${health}, instances: [${instances}] }
  - { name: one, match: { paths: [/one] }, health: ${health}, instances: [${instances}] }
`,
    { env: token.env },
  );
});
afterAll(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
  token.remove();
});

const run = (args: readonly string[], env: Record<string, string> = { USER: 'ops' }): Promise<Ended> =>
  runCommand(['admin', ...args], env);

const at = (): string[] => ['--admin', gateway.adminUrl];
const known = (): string[] => [...at(), '--token-file', token.path];
const why = (): string[] => [...known(), '--why', 'patch'];

describe('ici-gateway admin', () => {
  test('without a token names the flag, and not a header', async () => {
    const { code, err } = await run(['drain', 'spread', 'a', '--why', 'x', ...at()]);
    expect([code, err]).toEqual([1, expect.stringContaining('give --token-file or $ICI_GATEWAY')]);
    expect(err).not.toMatch(/Bearer|DEBUG/);
  });

  test('drains and enables an instance, and shows the operator', async () => {
    const agents = await Promise.all(users(8, 'CLI').map((user) => post(gateway.url, user)));
    expect(agents.map(({ connector }) => connector)).toContain('a');
    const drained = await run(['drain', 'spread', 'a', '--deadline', '30m', ...why()]);
    expect(drained).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(drained.out).instance).toMatchObject({
      admin: 'draining',
      act: { by: 'admin (says ops)', why: 'patch' },
    });
    const enabled = await run(['enable', 'spread', 'a', '--by', 'me', ...why()]);
    expect(JSON.parse(enabled.out).instance).toMatchObject({
      admin: 'enabled',
      act: { by: 'admin (says me)' },
    });
    const { events } = JSON.parse((await run(['events', 'spread', '--limit', '2', ...known()])).out);
    expect(events).toMatchObject([
      { kind: 'admin', instance: 'a', from: 'draining', to: 'enabled', by: 'admin (says me)' },
      { kind: 'admin', instance: 'a', from: 'enabled', to: 'draining', by: 'admin (says ops)' },
    ]);
  });

  test('reads the token from the same place as the gateway', async () => {
    const ended = await run(['disable', 'spread', 'a', ...at(), '--why', 'patch'], token.env);
    expect(JSON.parse(ended.out).instance).toMatchObject({ admin: 'disabled', act: { by: 'admin' } });
    expect((await run(['enable', 'spread', 'a', ...why()])).code).toBe(0);
  });

  test('moves an agent by user name or by session', async () => {
    const { connector: from } = await post(gateway.url, 'MILLER', { cookie: 'WS_SESSION_ID=abc' });
    const to = from === 'a' ? 'b' : 'a';
    expect(JSON.parse((await run(['move', 'spread', 'miller', to, ...why()])).out)).toMatchObject({
      instance: to,
    });
    expect((await post(gateway.url, 'MILLER')).connector).toBe(to);
    expect((await run(['move', 'spread', 'abc', from ?? '', '--session', ...why()])).code).toBe(0);
    expect((await post(gateway.url, 'MILLER')).connector).toBe(from);
  });

  test('forgets an agent', async () => {
    const { connector } = await post(gateway.url, 'BROWN');
    expect(JSON.parse((await run(['forget', 'spread', 'brown', ...why()])).out)).toMatchObject({
      instance: connector,
      forgotten: true,
    });
    const unknown = await run(['forget', 'spread', 'brown', ...why()]);
    expect([unknown.code, unknown.out]).toEqual([1, '']);
  });

  test('activates, fails back, and sets the failback policy', async () => {
    expect(JSON.parse((await run(['activate', 'one', 'b', ...why()])).out)).toMatchObject({ active: 'b' });
    expect(JSON.parse((await run(['failback', 'one', ...why()])).out)).toMatchObject({ active: 'a' });
    const policy = await run(['failback-policy', 'one', 'at 03:30', '--zone', 'UTC', ...why()]);
    expect(JSON.parse(policy.out)).toEqual({ failback: 'at 03:30', zone: 'UTC' });
    const { pools } = JSON.parse((await run(['status', ...known()])).out);
    expect(pools[1]).toMatchObject({
      active: { instance: 'a' },
      failback: { policy: 'at 03:30', by: 'operator' },
    });
  });

  test('reports errors: exit code 1 for a refusal of the gateway, 2 for the command line', async () => {
    const refused = await run(['release', 'spread', 'a', ...why()]);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('a is not in quarantine (status 409)');
    const bare = await run(['drain', 'spread', 'a', ...at(), '--why', 'patch']);
    expect([bare.code, bare.err]).toEqual([
      1,
      expect.stringMatching(/needs a log-in.*; give --token-file .*\(status 401\)/),
    ]);
    const reload = await runCommand(['reload', ...at()]);
    expect(reload.err).toMatch(
      /; give --token-file .*, or on the gateway's host `ici-gateway reload --pid-file FILE`/,
    );
    const restart = await runCommand(['restart', ...known()]);
    expect([restart.code, restart.err]).toEqual([
      1,
      expect.stringContaining('stop the gateway and start it'),
    ]);
    const unreachable = await run(['status', '--admin', `http://127.0.0.1:${await freePort()}`]);
    expect([unreachable.code, unreachable.err]).toEqual([1, expect.stringContaining('ECONNREFUSED')]);
    // "localhost:" parses as a URL scheme, which once gave "Invalid URL".
    for (const admin of ['localhost:9090', 'ftp://localhost', 'localhost']) {
      const misnamed = await run(['status', '--admin', admin]);
      expect([misnamed.code, misnamed.err]).toEqual([1, expect.stringContaining('--admin must be a URL')]);
    }
    const fileless = await run([
      'drain',
      'spread',
      'a',
      ...at(),
      '--why',
      'x',
      '--token-file',
      '/nonexistent/t',
    ]);
    expect([fileless.code, fileless.err]).toEqual([1, expect.stringContaining('no such file')]);
    const reasonless = await run(['drain', 'spread', 'a', ...at()]);
    expect([reasonless.code, reasonless.err]).toEqual([2, expect.stringContaining('--why')]);
    const excess = await run(['status', 'spread']);
    expect(excess.code).toBe(2);
    expect(excess.err).not.toContain('--config');
  });

  test.each([
    ['is left to a token with a name of its own', { kind: 'token', user: 'robot' }, { why: 'patch' }],
    [
      'is that of the user at the shell with the shared token',
      { kind: 'token', user: 'admin' },
      { why: 'patch', by: 'ops' },
    ],
    ['is that of the user at the shell for an earlier release', undefined, { why: 'patch', by: 'ops' }],
  ])('who made a change %s', async (_, session, expected) => {
    const bodies: unknown[] = [];
    const server = createHttpServer(async (request, response) => {
      const isChange = request.method === 'POST';
      if (isChange) bodies.push(await json(request));
      response.writeHead(isChange || session !== undefined ? 200 : 404);
      response.end(JSON.stringify(isChange ? { instance: { id: 'a' } } : (session ?? {})));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const there = ['--admin', `http://127.0.0.1:${port}`, '--token-file', token.path];
    expect((await run(['enable', 'spread', 'a', '--why', 'patch', ...there])).code).toBe(0);
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
    expect(bodies).toEqual([expected]);
  });

  test.each([
    ['nothing', ''],
    ['half an answer', 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{'],
  ])('reports that a change may have been made if the connection ends after %s', async (_what, sent) => {
    const server = createServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.end(sent));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const there = ['--admin', `http://127.0.0.1:${port}`];
    const asked = [...there, '--token-file', token.path];
    const changed = await runCommand(['restart', '--rolling', ...asked]);
    expect([changed.code, changed.out]).toEqual([1, '']);
    expect(changed.err).toContain(`127.0.0.1:${port} ended before the answer (UND_ERR_SOCKET)`);
    expect(changed.err).toContain(
      "outcome is unknown: check the gateway's log and `ici-gateway admin status`",
    );
    // A read changes nothing, and neither does a request that never arrived.
    const looked = await run(['status', ...there]);
    expect([looked.code, looked.err]).toEqual([
      1,
      expect.stringMatching(/no answer from .*: UND_ERR_SOCKET/),
    ]);
    await new Promise((resolve) => {
      server.close(resolve);
    });
    const unheard = await runCommand(['reload', ...asked]);
    expect([unheard.code, unheard.err]).toEqual([
      1,
      expect.stringMatching(/no answer from .*: ECONNREFUSED/),
    ]);
  });

  test('prints its help', async () => {
    const { code, out } = await run(['--help']);
    expect(code).toBe(0);
    for (const verb of [
      'enable',
      'drain',
      'disable',
      'release',
      'activate',
      'failback',
      'move',
      'events',
      'status',
    ])
      expect(out).toContain(verb);
  });
});
