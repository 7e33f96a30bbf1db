import dns from 'node:dns';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Behind, Certificate } from '../support/behind-balancer.ts';
import {
  BALANCER,
  makeCertificate,
  openFrom,
  proxyOutcomes,
  secured,
  startBehind,
} from '../support/behind-balancer.ts';
import { eventually } from '../support/eventually.ts';
import { binaryHeader, LOCAL, namesIpv4 } from '../support/proxy-header.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { WireClient } from '../support/wire.ts';
import { ENVELOPE, poolOf, soapPost, WireUpstream } from '../support/wire.ts';

/** The client address behind a TCP balancer, and the senders that are not trusted as balancers. */

const OTHER = '127.0.0.2';
const CLIENT = '192.0.2.7';
const LINE = Buffer.from(`PROXY TCP4 ${CLIENT} 198.51.100.1 56324 443\r\n`);
const REQUEST = soapPost('/', ENVELOPE);

let certificate: Certificate;
let upstream: WireUpstream;
const opened: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  certificate = makeCertificate();
  upstream = await WireUpstream.start();
});
beforeEach(() => {
  upstream.requests.length = 0;
});
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});
afterAll(async () => {
  await upstream.close();
  certificate.remove();
});

/** @param more further configuration */
async function start(behind: Behind = {}, more = ''): Promise<TestGateway> {
  const gateway = await startBehind(`${poolOf([upstream.url])}${more}`, behind);
  opened.push(gateway);
  return gateway;
}

function open(port: number, from = BALANCER): Promise<WireClient> {
  return openFrom(from, port);
}

/** Sends the bytes over a new connection, and returns the client address that the instance received. */
async function forwardedFor(
  gateway: TestGateway,
  bytes: readonly (string | Buffer)[],
  from = BALANCER,
): Promise<string | undefined> {
  const client = await open(gateway.port, from);
  client.send(Buffer.concat(bytes.map((part) => Buffer.from(part))));
  const { status } = await client.response();
  client.leave();
  expect(status).toBe(200);
  return upstream.requests.at(-1)?.get('x-forwarded-for');
}

/** Checks that the connection is closed without an answer, and that nothing reached an instance. */
async function expectClosed(gateway: TestGateway, client: WireClient, outcome: string): Promise<void> {
  expect((await client.untilEnd()).length).toBe(0);
  client.leave();
  expect(upstream.requests).toHaveLength(0);
  expect(await proxyOutcomes(gateway)).toEqual({ [outcome]: 1 });
}

describe('behind a balancer, a client', () => {
  test.each([
    ['of version 1', LINE, CLIENT],
    ['of version 1 over IPv6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n'), '2001:db8::7'],
    ['of version 2', namesIpv4(CLIENT), CLIENT],
    ['of version 1 without an address', Buffer.from('PROXY UNKNOWN\r\n'), BALANCER],
    ['of version 2 for a check of its own', binaryHeader([], { command: LOCAL, family: 0 }), BALANCER],
  ])('has the address of a header %s, for the instance and in the log', async (_what, header, client) => {
    const gateway = await start();
    expect(await forwardedFor(gateway, [header, REQUEST])).toBe(client);
    await eventually(() => expect(gateway.requests()).toMatchObject([{ client, status: 200 }]));
    expect(upstream.requests[0]?.body.toString()).toBe(ENVELOPE);
  });

  test('stays the same for all requests of the connection, pipelined ones too', async () => {
    const gateway = await start();
    const client = await open(gateway.port);
    client.send(LINE).send(REQUEST + REQUEST);
    await client.responses(2);
    client.send(REQUEST);
    await client.responses(3);
    client.leave();
    expect(upstream.requests.map((request) => request.get('x-forwarded-for'))).toEqual([
      CLIENT,
      CLIENT,
      CLIENT,
    ]);
    expect(await proxyOutcomes(gateway)).toEqual({ named: 1 });
  });

  test.each([
    ['1', LINE],
    ['2', Buffer.concat([binaryHeader([...namesIpv4(CLIENT).subarray(16), 4, 0, 3, 1, 2, 3])])],
  ])(
    'has its address however a header of version %s is split, and loses no bytes of its own',
    async (_v, header) => {
      const gateway = await start();
      const bytes = Buffer.concat([header, Buffer.from(REQUEST)]);
      const cuts = Array.from({ length: header.length + 6 }, (_, cut) => cut + 1);
      await Promise.all(
        cuts.map(async (cut) => {
          const client = await open(gateway.port);
          client.send(bytes.subarray(0, cut));
          // The gateway, in this same process, reads the received data.
          for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
          client.send(bytes.subarray(cut));
          expect((await client.response()).status).toBe(200);
          client.leave();
        }),
      );
      expect(upstream.requests).toHaveLength(cuts.length);
      for (const request of upstream.requests) {
        expect(request.get('x-forwarded-for')).toBe(CLIENT);
        expect(request.body.toString()).toBe(ENVELOPE);
      }
    },
  );

  test('has its address even if the header comes byte by byte', async () => {
    const gateway = await start();
    const client = await open(gateway.port);
    await client.sendByteByByte(LINE.toString() + REQUEST);
    expect((await client.response()).status).toBe(200);
    client.leave();
    expect(upstream.requests[0]?.get('x-forwarded-for')).toBe(CLIENT);
  });

  test('that disconnects right after the request is noticed, as without a header', async () => {
    const gateway = await start();
    const client = await open(gateway.port);
    client.socket.end(Buffer.concat([LINE, Buffer.from(REQUEST.slice(0, -1))]));
    await client.untilEnd();
    client.leave();
    await eventually(() =>
      expect(gateway.requests()).toMatchObject([{ client: CLIENT, failure: 'client-aborted' }]),
    );
    expect(await proxyOutcomes(gateway)).toEqual({ named: 1 });
  });

  test('is bound by the address in the header', async () => {
    const gateway = await startBehind(poolOf([upstream.url], 'anonymous: address'), { mode: 'require' });
    opened.push(gateway);
    await forwardedFor(gateway, [namesIpv4('192.0.2.7'), REQUEST]);
    await forwardedFor(gateway, [namesIpv4('192.0.2.8'), REQUEST]);
    await forwardedFor(gateway, [namesIpv4('192.0.2.7'), REQUEST]);
    await eventually(() =>
      expect(gateway.requests().map(({ decision }) => decision)).toEqual(['claimed', 'claimed', 'bound']),
    );
  });
});

describe('a connection from a balancer is closed', () => {
  test.each([
    ['without a header', REQUEST, 'missing'],
    ['with a malformed line', 'PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n', 'malformed'],
    ['with a line without end', `PROXY UNKNOWN ${'x'.repeat(4_000)}`, 'malformed'],
    ['with a malformed binary header', binaryHeader([1, 2, 3]), 'malformed'],
    ['with more than a header may have', binaryHeader(Array(60_000).fill(0)), 'malformed'],
    ['with noise', Buffer.from('\x00\x01\x02\x03'), 'missing'],
  ])('%s, and the log has the reason', async (_what, bytes, outcome) => {
    const gateway = await start();
    const client = await open(gateway.port);
    client.send(bytes);
    await expectClosed(gateway, client, outcome);
    expect(gateway.log.filter((entry) => entry['outcome'] === outcome)).toMatchObject([
      { level: 40, peer: BALANCER },
    ]);
  });

  test('when its header is too late', async () => {
    const gateway = await start({}, 'timeouts: { requestHeader: 300ms }\n');
    const client = await open(gateway.port);
    client.send(LINE.subarray(0, 20));
    await expectClosed(gateway, client, 'late');
  });

  test('when the client disconnects before the header is complete, or sends a broken one', async () => {
    const gateway = await start();
    for (const leave of ['end', 'leave', 'reset'] as const) {
      const client = await open(gateway.port);
      client.send(LINE.subarray(0, 20));
      await new Promise(setImmediate);
      if (leave === 'end') client.socket.end();
      else client[leave]();
    }
    await eventually(async () => expect(await proxyOutcomes(gateway)).toEqual({ departed: 3 }));
    expect(await forwardedFor(gateway, [LINE, REQUEST])).toBe(CLIENT);
  });
});

describe('a connection from elsewhere', () => {
  test('is served with its own address if headers are optional', async () => {
    const gateway = await start();
    expect(await forwardedFor(gateway, [REQUEST], OTHER)).toBe(OTHER);
    expect(await proxyOutcomes(gateway)).toEqual({ plain: 1 });
  });

  test.each([
    ['1', LINE],
    ['2', namesIpv4(CLIENT)],
  ])('cannot set an address by a header of version %s, which is dropped', async (_version, header) => {
    const gateway = await start();
    expect(await forwardedFor(gateway, [header, REQUEST], OTHER)).toBe(OTHER);
    await eventually(() => expect(gateway.requests()).toMatchObject([{ client: OTHER }]));
    expect(await proxyOutcomes(gateway)).toEqual({ ignored: 1 });
  });

  test.each([
    ['with a header', LINE],
    ['without', REQUEST],
  ])('is closed %s if headers are required', async (_what, bytes) => {
    const gateway = await start({ mode: 'require' });
    const client = await open(gateway.port, OTHER);
    client.send(bytes);
    await expectClosed(gateway, client, 'untrusted');
    expect(gateway.log.filter((entry) => entry['outcome'] === 'untrusted')).toMatchObject([
      { level: 40, peer: OTHER, msg: expect.stringContaining('listen.proxyProtocolFrom') },
    ]);
  });

  test('is refused with a header, like any invalid data, if none are expected', async () => {
    const gateway = await start({ mode: 'off' });
    const client = await open(gateway.port);
    client.send(Buffer.concat([LINE, Buffer.from(REQUEST)]));
    expect((await client.response()).status).toBe(400);
    client.leave();
    expect(upstream.requests).toHaveLength(0);
  });
});

describe('with TLS, a client behind a balancer', () => {
  /** @param cut the number of header bytes that are sent first; the rest precedes the first TLS bytes */
  async function overTls(
    gateway: TestGateway,
    header: Buffer,
    cut: number,
    from = BALANCER,
  ): Promise<WireClient> {
    const plain = await open(gateway.port, from);
    plain.send(header.subarray(0, cut));
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    plain.socket.cork();
    plain.send(header.subarray(cut));
    const client = secured(plain, certificate);
    plain.socket.uncork();
    return client;
  }

  test.each([
    ['1', LINE],
    ['2', namesIpv4(CLIENT)],
  ])('has the address of its header of version %s', async (_version, header) => {
    const gateway = await start({ mode: 'require', tls: certificate });
    for (const cut of [0, 1, 14, header.length - 1, header.length]) {
      const client = await overTls(gateway, header, cut);
      client.send(REQUEST + REQUEST);
      await client.responses(2);
      client.leave();
    }
    expect(upstream.requests).toHaveLength(10);
    for (const request of upstream.requests) {
      expect(request.get('x-forwarded-for')).toBe(CLIENT);
      expect(request.get('x-forwarded-proto')).toBe('https');
    }
  });

  test('is not mistaken for another one, although all come from one address', async () => {
    const gateway = await start({ tls: certificate });
    const names = Array.from({ length: 12 }, (_, index) => `192.0.2.${index}`);
    const clients = await Promise.all(names.map((name) => overTls(gateway, namesIpv4(name), 0)));
    await Promise.all(
      clients.map(async (client, index) => {
        client.send(soapPost(`/${names[index]}`, ENVELOPE));
        await client.response();
        client.leave();
      }),
    );
    expect(upstream.requests).toHaveLength(12);
    for (const request of upstream.requests)
      expect(request.target).toBe(`/${request.get('x-forwarded-for')}`);
  });

  test('from elsewhere is served without a header, with its own address', async () => {
    const gateway = await start({ tls: certificate });
    for (const header of [Buffer.alloc(0), LINE]) {
      const client = await overTls(gateway, header, header.length, OTHER);
      client.send(REQUEST);
      await client.response();
      client.leave();
    }
    expect(upstream.requests.map((request) => request.get('x-forwarded-for'))).toEqual([OTHER, OTHER]);
  });
});

describe('X-Forwarded-For', () => {
  const claims = (value: string): string => soapPost('/', ENVELOPE, [`X-Forwarded-For: ${value}`]);

  test('is trusted if the header names a trusted proxy', async () => {
    const gateway = await start({}, `forwarding: { trustedProxies: [${CLIENT}] }\n`);
    expect(await forwardedFor(gateway, [LINE, claims('203.0.113.1')])).toBe(`203.0.113.1, ${CLIENT}`);
    await eventually(() => expect(gateway.requests()).toMatchObject([{ client: '203.0.113.1' }]));
  });

  test('is replaced if only the balancer is trusted, because its clients can write any value', async () => {
    const gateway = await start({}, `forwarding: { trustedProxies: [${BALANCER}] }\n`);
    expect(await forwardedFor(gateway, [LINE, claims('203.0.113.1')])).toBe(CLIENT);
    await eventually(() => expect(gateway.requests()).toMatchObject([{ client: CLIENT }]));
  });

  test('is trusted from a trusted proxy without the PROXY protocol, and its ports are dropped', async () => {
    const gateway = await start({}, `forwarding: { trustedProxies: [${OTHER}, 203.0.113.9] }\n`);
    const told = '198.51.100.9, 203.0.113.1:5678, 203.0.113.9';
    expect(await forwardedFor(gateway, [claims(told)], OTHER)).toBe(`${told}, ${OTHER}`);
    await eventually(() => expect(gateway.requests()).toMatchObject([{ client: '203.0.113.1' }]));
  });

  test.each([
    'X-Forwarded-For: 203.0.113.1',
    'x-forwarded-host: a',
    'X-Forwarded-Proto: https',
    'Forwarded: for=a',
  ])('and similar headers are refused from other senders if configured: %s', async (field) => {
    const gateway = await start({}, `forwarding: { trustedProxies: [${CLIENT}], untrusted: refuse }\n`);
    const client = await open(gateway.port, OTHER);
    client.send(soapPost('/', ENVELOPE, [field]));
    const { status, body } = await client.response();
    client.leave();
    expect([status, String(body)]).toEqual([403, expect.stringContaining('GW_FORWARDED_UNTRUSTED')]);
    expect(upstream.requests).toHaveLength(0);
    expect(await forwardedFor(gateway, [REQUEST], OTHER)).toBe(OTHER);
    expect(await forwardedFor(gateway, [LINE, soapPost('/', ENVELOPE, [field])])).toContain(CLIENT);
  });
});

test('a stopping gateway does not wait for headers', async () => {
  const gateway = await start();
  const client = await open(gateway.port);
  client.send(LINE.subarray(0, 20));
  await new Promise(setImmediate);
  opened.splice(0);
  await gateway.close(0);
  expect((await client.untilEnd()).length).toBe(0);
  client.leave();
});

// A second server for the second address would ignore the header, and accept any client.
test('a name with two addresses is bound at the first of them', async () => {
  const both = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ];
  const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((name: string, ...rest: unknown[]) => {
    const done = rest.pop() as (error: null, found: unknown, family?: number) => void;
    if ((rest[0] as dns.LookupOptions | undefined)?.all === true) done(null, both);
    else if (name === '::1') done(null, name, 6);
    else done(null, '127.0.0.1', 4);
  }) as unknown as typeof dns.lookup);
  try {
    const gateway = await startTestGateway(poolOf([upstream.url]), {
      env: {
        ICI_GATEWAY_LISTEN__ADDRESS: 'localhost:0',
        ICI_GATEWAY_LISTEN__PROXY_PROTOCOL: 'require',
        ICI_GATEWAY_LISTEN__PROXY_PROTOCOL_FROM__0: '127.0.0.0/8',
      },
    });
    opened.push(gateway);
    expect(await forwardedFor(gateway, [LINE, REQUEST])).toContain(CLIENT);
    const other = await new Promise((resolve) => {
      const socket = connect({ port: gateway.port, host: '::1' }, () => resolve('it listens'));
      socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
    });
    expect(other).toMatch(/ECONNREFUSED|EADDRNOTAVAIL/);
  } finally {
    lookup.mockRestore();
  }
});
