import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { WireUpstream } from '../support/wire.ts';

/** Health pages as connectors have them: at another port, for those who are allowed, in the charset of their time. */

const PAGES: Readonly<Record<string, { readonly type: string; readonly bytes: Buffer }>> = {
  '/up': { type: 'text/html; charset=ISO-8859-1', bytes: Buffer.from('Zustand: verfügbar', 'latin1') },
  '/sick': { type: 'text/html; charset="latin1"', bytes: Buffer.from('Zustand: gestört', 'latin1') },
  '/undeclared': { type: 'text/plain', bytes: Buffer.from('Zustand: verfügbar', 'latin1') },
  '/utf8': { type: 'text/plain', bytes: Buffer.from('Zustand: verfügbar') },
};

let page: Server;
let upstream: WireUpstream;
let gateway: TestGateway;
const probes: IncomingMessage[] = [];

beforeAll(async () => {
  upstream = await WireUpstream.start();
  page = createServer((request, response) => {
    probes.push(request);
    const found = PAGES[request.url ?? ''];
    const isAllowed = request.headers.authorization === 'Basic c2VjcmV0';
    response.writeHead(isAllowed ? 200 : 401, { 'content-type': found?.type ?? 'text/plain' });
    response.end(found?.bytes);
  }).listen(0, '127.0.0.1');
  await once(page, 'listening');
  const { port } = page.address() as AddressInfo;
  const pool = (path: string, expected: string): string =>
    `  - { name: ${path.slice(1)}, match: { paths: [${path}] }, instances: [{ id: a, url: '${upstream.url}' }], health: { path: ${path}, port: ${port}, interval: 100ms, fastInterval: 20ms, ${expected}, headers: [{ name: Authorization, value: Basic c2VjcmV0 }, { name: user-agent, value: monitor }] } }\n`;
  gateway = await startTestGateway(
    `pools:\n${pool('/up', 'bodyMatches: verfügbar')}${pool('/sick', 'bodyRejects: gestört')}${pool('/undeclared', 'bodyMatches: verfügbar')}${pool('/utf8', 'bodyMatches: verfügbar')}`,
  );
});

afterAll(async () => {
  await gateway.close();
  await upstream.close();
  page.close();
});

const healthOf = (name: string) =>
  gateway.status().pools.find((pool) => pool.name === name)?.instances[0]?.health;

describe('an instance', () => {
  test.each([
    ['up', 'up', 'whose page in ISO-8859-1 says so'],
    ['sick', 'down', 'whose page in ISO-8859-1 says so'],
    ['undeclared', 'up', 'whose page has no charset and is no UTF-8'],
    ['utf8', 'up', 'whose page has no charset and is UTF-8'],
  ])('%s is %s %s', async (name, health) => {
    await eventually(() => expect(healthOf(name)).toBe(health));
  });

  test('is probed at its port for that, with the header of the operator', () => {
    const { port } = page.address() as AddressInfo;
    expect(probes[0]?.headers).toMatchObject({
      host: `127.0.0.1:${port}`,
      authorization: 'Basic c2VjcmV0',
      'user-agent': 'monitor',
      accept: '*/*',
    });
  });

  test('gets requests at its own port', async () => {
    const response = await fetch(`${gateway.url}/up`, { method: 'POST', body: 'x' });
    expect([response.status, upstream.requests.length]).toEqual([200, 1]);
  });

  test('keeps the secrets of the header from those who read the configuration and the log', async () => {
    const config = await (await fetch(`${gateway.adminUrl}/config`)).text();
    expect(config).toContain('Authorization');
    for (const text of [config, JSON.stringify(gateway.log)]) expect(text).not.toContain('c2VjcmV0');
  });
});
