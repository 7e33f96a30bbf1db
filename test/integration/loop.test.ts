import type { AddressInfo, Server } from 'node:net';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** A gateway whose instances are its own ports, or other gateways. */

const HEALTH = 'interval: 100ms, fastInterval: 20ms, timeout: 500ms';
const PING = '/sap/public/icman/ping';

/** A port that leads elsewhere, so that a gateway can have the address before it listens. */
class Door {
  readonly server: Server;
  to = 0;

  constructor() {
    this.server = createServer((socket) => {
      const further = connect(this.to, '127.0.0.1');
      socket.pipe(further).pipe(socket);
      socket.on('error', () => further.destroy());
      further.on('error', () => socket.destroy());
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

const data = new Door();
const admin = new Door();
const sapcontrol = new Door();
let upstream: WireUpstream;
let twin: TestGateway;
let inner: TestGateway;
let gateway: TestGateway;

const pool = (name: string, url: string, path: string): string =>
  `  - { name: ${name}, match: { paths: [/${name}] }, health: { path: '${path}', ${HEALTH} }, instances: [{ id: a, url: '${url}' }] }\n`;

beforeAll(async () => {
  upstream = await WireUpstream.start();
  twin = await startTestGateway(poolOf([upstream.url]));
  inner = await startTestGateway(`${poolOf([upstream.url])}forwarding: { via: inner }\n`);
  gateway = await startTestGateway(
    [
      'pools:\n',
      pool('real', upstream.url, '/health'),
      pool('page', await data.open(), PING),
      pool('itself', `http://127.0.0.1:${(data.server.address() as AddressInfo).port}`, '/real/health'),
      pool('admin', await admin.open(), '/livez'),
      pool('sapcontrol', await sapcontrol.open(), '/?wsdl'),
      pool('twin', twin.url, '/health'),
      pool('inner', inner.url, '/health'),
      `sapcontrol: { address: '127.0.0.1:0', socket: /tmp/ici-loop-${process.pid} }\ntimeouts: { park: 100ms }\n`,
    ].join(''),
    { whileStarting: true },
  );
  data.to = gateway.port;
  admin.to = Number(new URL(gateway.adminUrl).port);
  const listening = gateway.log.find(({ msg }) => msg === 'sapcontrol listening');
  sapcontrol.to = Number(new URL(String(listening?.['address'])).port);
});

afterAll(async () => {
  await gateway.close();
  await twin.close();
  await inner.close();
  await upstream.close();
  for (const { server } of [data, admin, sapcontrol]) server.close();
});

const instanceOf = (name: string) => gateway.status().pools.find((one) => one.name === name)?.instances[0];

describe('an instance', () => {
  test.each([
    ['the state page of this gateway', 'page'],
    ['a pool of this gateway', 'itself'],
    ['the admin port of this gateway', 'admin'],
    ['the SAPControl port of this gateway', 'sapcontrol'],
    ['a gateway of the same name', 'twin'],
  ])('that is %s is down, and the probe says why', async (_, name) => {
    await eventually(() =>
      expect(instanceOf(name)).toMatchObject({
        health: 'down',
        lastProbe: {
          ok: false,
          text: expect.stringMatching(/^its address leads to this gateway itself/),
        },
      }),
    );
  });

  test('that is a gateway of another name is up, and gets requests', async () => {
    await eventually(() => expect(instanceOf('inner')?.health).toBe('up'));
    const { status } = await call('/inner');
    expect(status).toBe(200);
    expect(upstream.requests.at(-1)?.all('via')).toEqual(['1.1 ici-gateway', '1.1 inner']);
  });
});

async function call(path: string, fields: readonly string[] = []) {
  const client = await WireClient.open(gateway.port);
  client.send(soapPost(path, ENVELOPE, fields));
  const response = await client.response('POST');
  client.leave();
  return response;
}

describe('a request that has passed this gateway before', () => {
  test.each([
    ['with HTTP/1.1', ['Via: 1.1 ici-gateway']],
    ['with HTTP/1.0', ['Via: 1.0 ici-gateway (Apache/1.1)']],
    ['and others', ['Via: HTTP/1.1 balancer', 'Via: 1.0 fred,1.1 ici-gateway , 1.1 last']],
  ])('%s is answered with a Fault and not sent', async (_, fields) => {
    const before = upstream.requests.length;
    const response = await call('/real', fields);
    expect([response.status, String(response.body)]).toEqual([508, expect.stringContaining('GW_LOOP')]);
    expect(upstream.requests).toHaveLength(before);
    await eventually(() =>
      expect(gateway.requests().at(-1)).toMatchObject({ error: 'GW_LOOP', status: 508 }),
    );
  });

  test.each([
    ['a name that only begins with it', 'Via: 1.1 ici-gateway-2'],
    ['its name in a comment', 'Via: 1.1 balancer (ici-gateway)'],
    ['its name without a protocol', 'Via: ici-gateway'],
  ])('is not taken for one because of %s', async (_, field) => {
    expect((await call('/real', [field])).status).toBe(200);
  });
});
