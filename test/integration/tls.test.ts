import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { startGateway } from '../../src/wiring/gateway.ts';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { WireResponse } from '../support/wire.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** TLS on both sides: which certificates are accepted, and that a refused handshake counts as unsent. */

const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-tls-'));
const at = (name: string): string => join(directory, name);
const pem = (name: string): string => readFileSync(at(name), 'utf8');

const ELLIPTIC = 'ec -pkeyopt ec_paramgen_curve:prime256v1';

function certify(name: string, names: string, authority?: string, key = ELLIPTIC): void {
  execFileSync(
    'openssl',
    [
      ...`req -x509 -newkey ${key} -nodes -days 2`.split(' '),
      ...['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`), '-subj', `/CN=${name}`],
      ...(names === '' ? [] : ['-addext', `subjectAltName=${names}`]),
      ...(authority === undefined
        ? []
        : [
            '-CA',
            at(`${authority}.pem`),
            '-CAkey',
            at(`${authority}.key`),
            '-addext',
            'basicConstraints=CA:FALSE',
          ]),
    ],
    { stdio: 'ignore' },
  );
}

const opened: { close(): Promise<unknown> }[] = [];
beforeAll(() => {
  certify('ca', '');
  certify('instance', 'IP:127.0.0.1', 'ca');
  certify('named', 'DNS:ici.internal', 'ca');
  certify('client', '', 'ca');
  certify('stranger', 'IP:127.0.0.1');
  certify('rsa', 'IP:127.0.0.1', 'ca', 'rsa:2048');
});
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Seen {
  readonly upstream: WireUpstream;
  /** The server names in the handshakes. */
  readonly serverNames: (string | false)[];
}

async function instance(certificate: string, options: object = {}): Promise<Seen> {
  const serverNames: (string | false)[] = [];
  const upstream = await WireUpstream.start({
    tls: { cert: pem(`${certificate}.pem`), key: pem(`${certificate}.key`), ...options },
    onConnection: (socket) => {
      serverNames.push((socket as TLSSocket & { servername: string | false }).servername);
      return false;
    },
  });
  opened.push(upstream);
  return { upstream, serverNames };
}

/** @param connect the time limit to connect; by default long enough for a busy machine */
async function gatewayTo(url: string, tls: string, connect = '5s', fall = 3): Promise<TestGateway> {
  const pool = poolOf([url], '', tls === '' ? '' : `tls: { ${tls} }`);
  const gateway = await startTestGateway(
    `${pool.replace('timeout:', `fall: ${fall}, timeout:`)}timeouts: { connect: ${connect}, park: 50ms }\n`,
  );
  opened.push(gateway);
  return gateway;
}

async function call(gateway: TestGateway, host = 'ici.example'): Promise<WireResponse> {
  const client = await WireClient.open(gateway.port);
  client.send(soapPost('/', ENVELOPE).replace('ici.example', host));
  const response = await client.response();
  client.leave();
  return response;
}

describe('TLS to an instance', () => {
  test.each([
    ['has signed its certificate itself', 'stranger', () => ''],
    ['has a certificate of an unknown authority', 'instance', () => ''],
    [
      'has a certificate of another authority than the configured one',
      'stranger',
      () => `caFile: ${at('ca.pem')}`,
    ],
    ['has a certificate for another name', 'named', () => `caFile: ${at('ca.pem')}`],
    [
      'has a certificate without serverName',
      'instance',
      () => `caFile: ${at('ca.pem')}, serverName: other.internal`,
    ],
  ])('is refused and nothing is sent when the instance %s', async (_what, certificate, tls) => {
    const { upstream } = await instance(certificate);
    const gateway = await gatewayTo(upstream.url, tls());
    const response = await call(gateway);
    expect(response.status).toBe(503);
    expect(response.body.toString()).toContain('GW_NO_INSTANCE');
    expect(response.body.toString()).not.toMatch(/certificate|127\.0\.0\.1/);
    expect(upstream.requests).toHaveLength(0);
    expect(upstream.trafficSockets.size).toBe(0);
  });

  test('is refused for requests as well as for probes', async () => {
    // Trusted at the first probe, then replaced by another server on the same port.
    const { upstream } = await instance('instance');
    const gateway = await gatewayTo(upstream.url, `caFile: ${at('ca.pem')}`);
    await upstream.refuse();
    const stranger = await WireUpstream.start({
      port: upstream.port,
      tls: { cert: pem('stranger.pem'), key: pem('stranger.key') },
    });
    opened.push(stranger);
    expect((await call(gateway)).status).toBe(503);
    await eventually(() =>
      expect(gateway.requests()[0]).toMatchObject({ failure: 'connect-failure', sent: false, status: 503 }),
    );
    expect(stranger.trafficSockets.size).toBe(0);
  });

  test('is accepted if caFile has its authority, and no server name is sent for an IP address', async () => {
    const { upstream, serverNames } = await instance('instance');
    const gateway = await gatewayTo(upstream.url, `caFile: ${at('ca.pem')}`);
    expect((await call(gateway)).status).toBe(200);
    expect(new Set(serverNames)).toEqual(new Set([false]));
  });

  test('is accepted unverified when verify is false', async () => {
    const { upstream } = await instance('stranger');
    const gateway = await gatewayTo(upstream.url, 'verify: false');
    expect((await call(gateway)).status).toBe(200);
  });

  test('sends and verifies serverName over one connection, whatever Host the requests have', async () => {
    const { upstream, serverNames } = await instance('named');
    const gateway = await gatewayTo(upstream.url, `caFile: ${at('ca.pem')}, serverName: ici.internal`);
    for (const host of ['a.example', 'b.example', '10.0.0.1']) {
      expect((await call(gateway, host)).status).toBe(200);
    }
    expect(upstream.requests.map((request) => request.get('host'))).toEqual([
      'a.example',
      'b.example',
      '10.0.0.1',
    ]);
    expect(upstream.trafficSockets.size).toBe(1);
    expect(new Set(serverNames)).toEqual(new Set(['ici.internal']));
  });

  test('sends the certificate of the gateway to an instance that requests one', async () => {
    const demanding = { requestCert: true, rejectUnauthorized: true, ca: pem('ca.pem') };
    const { upstream } = await instance('instance', demanding);
    const shown = `certFile: ${at('client.pem')}, keyFile: ${at('client.key')}, caFile: ${at('ca.pem')}`;
    const known = await gatewayTo(upstream.url, shown);
    expect((await call(known)).status).toBe(200);
    const unknown = await gatewayTo(upstream.url, `caFile: ${at('ca.pem')}`);
    expect((await call(unknown)).status).toBe(503);
    expect(upstream.requests).toHaveLength(1);
  });

  test('that hangs in the handshake counts as unsent, so the request may go elsewhere', async () => {
    let hangs = false;
    const sockets = new Set<Socket>();
    const tls = createTlsServer({ cert: pem('instance.pem'), key: pem('instance.key') }, (socket) => {
      socket.on('error', () => undefined).once('data', () => OK({} as never, socket));
    });
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      if (!hangs) tls.emit('connection', socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    opened.push({
      close: async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    });
    const { port } = server.address() as { port: number };
    // The probes hang too. The instance must still be up when the request comes, however late that is.
    const gateway = await gatewayTo(`https://127.0.0.1:${port}`, `caFile: ${at('ca.pem')}`, '300ms', 100);
    await eventually(() => expect(gateway.status().pools[0]?.instances[0]?.health).toBe('up'));
    hangs = true;
    expect((await call(gateway)).status).toBe(503);
    await eventually(() =>
      expect(gateway.requests()[0]).toMatchObject({ failure: 'connect-failure', sent: false, status: 503 }),
    );
    await eventually(() => expect(gateway.status().pools[0]?.instances[0]?.inFlight).toBe(0));
  });
});

describe('TLS to clients', () => {
  async function secureGateway(
    extra = '',
    certificate = 'instance',
  ): Promise<{ upstream: WireUpstream; port: number }> {
    const upstream = await WireUpstream.start();
    const { config } = loadConfig({
      text: `listen: { address: '127.0.0.1:0', tls: { certFile: ${at(`${certificate}.pem`)}, keyFile: ${at(`${certificate}.key`)}${extra} } }
admin: { address: '127.0.0.1:0' }
timeouts: { requestHeader: 2m }
affinity: { stateDir: ${at(`state-${upstream.port}`)} }
${poolOf([upstream.url])}`,
      env: {},
    });
    const gateway = await startGateway(config, pino({ level: 'silent' }));
    opened.push(upstream, gateway);
    await gateway.running;
    return { upstream, port: Number(new URL(gateway.url).port) };
  }

  test('carries requests, which instances see as https', async () => {
    const { upstream, port } = await secureGateway();
    const client = await WireClient.open(port, { ca: pem('ca.pem') });
    client.send(soapPost('/', ENVELOPE, ['Connection: close']));
    expect((await client.response()).status).toBe(200);
    await client.end();
    expect(upstream.requests[0]?.get('x-forwarded-proto')).toBe('https');
  });

  test('answers a client that has ended its side after the request', async () => {
    const { upstream, port } = await secureGateway();
    upstream.answer = (request, socket) => void setTimeout(OK, 30, request, socket);
    const client = await WireClient.open(port, { ca: pem('ca.pem') });
    client.send(soapPost('/', ENVELOPE)).socket.end();
    expect((await client.response()).status).toBe(200);
    await client.end();
  });

  test.each([
    ['without a byte, as health checks do', ''],
    ['during its handshake', '\x16\x03\x01\x02\x00'],
  ])('ends a connection that its client ends %s', async (_, sent) => {
    const { port } = await secureGateway();
    const client = await WireClient.open(port);
    client.send(sent).socket.end();
    await client.untilEnd();
  });

  test('with clientCaFile serves only clients with a certificate', async () => {
    const { upstream, port } = await secureGateway(`, clientCaFile: ${at('ca.pem')}`);
    const call = async (credentials: object): Promise<string> => {
      const client = await WireClient.open(port, { ca: pem('ca.pem'), ...credentials });
      client.send(soapPost('/', ENVELOPE, ['Connection: close']));
      await client.untilEnd();
      client.leave();
      return client.text;
    };
    expect(await call({ cert: pem('client.pem'), key: pem('client.key') })).toMatch(/^HTTP\/1.1 200/);
    expect(await call({})).toBe('');
    expect(await call({ cert: pem('stranger.pem'), key: pem('stranger.key') })).toBe('');
    expect(upstream.requests).toHaveLength(1);
  });

  test('refuses versions before 1.2', async () => {
    const { port } = await secureGateway();
    const old = {
      ca: pem('ca.pem'),
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    } as const;
    await expect(WireClient.open(port, old)).rejects.toThrow(/protocol version|EPROTO|alert/i);
  });

  describe('of version 1.2', () => {
    const offering = (port: number, ciphers: string): Promise<string> =>
      WireClient.open(port, {
        ca: pem('ca.pem'),
        maxVersion: 'TLSv1.2',
        ciphers: `${ciphers}:@SECLEVEL=0`,
      }).then(
        (client) => {
          client.leave();
          return 'accepted';
        },
        () => 'refused',
      );

    // CBC, a tag of 8 bytes, and a key without forward secrecy.
    const WEAK = [
      'ECDHE-RSA-AES256-SHA',
      'ECDHE-RSA-AES256-SHA384',
      'AES128-GCM-SHA256',
      'AES256-CCM8',
      'AES128-SHA',
    ];
    const STRONG = ['ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'];

    test('has only suites with forward secrecy and authenticated encryption', async () => {
      const { port } = await secureGateway('', 'rsa');
      for (const suite of STRONG) expect([suite, await offering(port, suite)]).toEqual([suite, 'accepted']);
      for (const suite of WEAK) expect([suite, await offering(port, suite)]).toEqual([suite, 'refused']);
      const newer = await WireClient.open(port, { ca: pem('ca.pem'), minVersion: 'TLSv1.3' });
      newer.leave();
    });

    test('has those of listen.tls.ciphers, and version 1.3 stays', async () => {
      const { port } = await secureGateway(', ciphers: AES128-GCM-SHA256', 'rsa');
      expect(await offering(port, 'AES128-GCM-SHA256')).toBe('accepted');
      expect(await offering(port, 'ECDHE-RSA-AES128-GCM-SHA256')).toBe('refused');
      const newer = await WireClient.open(port, { ca: pem('ca.pem'), minVersion: 'TLSv1.3' });
      newer.leave();
    });

    test('is refused where listen.tls.minVersion says so', async () => {
      const { port } = await secureGateway(', minVersion: TLSv1.3', 'rsa');
      expect(await offering(port, STRONG.join(':'))).toBe('refused');
    });
  });

  test('ends a connection that speaks plain HTTP', async () => {
    const { upstream, port } = await secureGateway();
    const client = await WireClient.open(port);
    client.send(soapPost('/', ENVELOPE));
    await client.untilEnd();
    client.leave();
    expect(client.text).not.toContain('200 OK');
    expect(upstream.requests).toHaveLength(0);
  });
});
