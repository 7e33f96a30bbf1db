import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Child } from '../../src/simulator/child.ts';
import type { Certificate } from '../support/behind-balancer.ts';
import { makeCertificate } from '../support/behind-balancer.ts';
import { eventually } from '../support/eventually.ts';
import type { LogLine } from '../support/test-gateway.ts';
import { ENVELOPE, OK, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** A client that resets its connection at any stage disturbs no other client. */

const GATEWAYS = fileURLToPath(new URL('../fixtures/process/gateways.mjs', import.meta.url));
const PROXY = 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n';

interface Started {
  readonly url: string;
  readonly adminUrl: string;
  readonly sapControlUrl: string;
}

const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-reset-'));
const unixSocket = join(directory, 'sap');
const log: LogLine[] = [];
let certificate: Certificate;
let upstream: WireUpstream;
let child: Child;
/** A connection that stays open, to verify that the process keeps running. */
let pulse: WireClient | undefined;
let pulses = 0;

beforeAll(async () => {
  certificate = makeCertificate();
  upstream = await WireUpstream.start();
  const any = '127.0.0.1:0';
  const tls = { certFile: certificate.certFile, keyFile: certificate.keyFile };
  const proxy = { proxyProtocol: 'require', proxyProtocolFrom: ['127.0.0.1'] };
  const configOf = (listen: object, more: object = {}): object => ({
    listen: { address: any, ...listen },
    admin: { address: any },
    pools: [
      {
        name: 'ici',
        health: { path: '/health' },
        instances: [{ id: 'a', url: upstream.url }],
        mode: 'failover',
      },
    ],
    ...more,
  });
  child = new Child({
    program: [process.execPath, GATEWAYS],
    args: [
      JSON.stringify({
        plain: configOf({}, { sapcontrol: { address: any, socket: unixSocket } }),
        tls: configOf({ tls }),
        proxy: configOf(proxy),
        proxyTls: configOf({ tls, ...proxy }),
      }),
    ],
    env: { XDG_STATE_HOME: directory },
    bond: 'tied',
    onLine: (line) => void log.push(JSON.parse(line)),
  });
  const ready = eventually(() => expect(log.map(({ msg }) => msg)).toContain('all started'), {
    within: 45_000,
  });
  await child.until(ready, 45_000, 'the gateways');
  pulse = await WireClient.open(portOf(started('plain').adminUrl));
});
afterAll(async () => {
  pulse?.leave();
  await child.kill();
  await upstream.close();
  certificate.remove();
  rmSync(directory, { recursive: true, force: true });
});

const started = (name: string): Started =>
  log.find((line) => line.msg === 'started' && line['name'] === name) as unknown as Started;
const portOf = (url: string): number => Number(new URL(url).port);

/** Opens a connection to each listener up to the start of HTTP, and resets it. */
interface Reached {
  readonly client: WireClient;
  reset(): void;
}

async function raw(port: number, begin = ''): Promise<Reached> {
  const client = await WireClient.open(port);
  client.send(begin);
  return { client, reset: () => client.reset() };
}

async function secure(port: number, begin = ''): Promise<Reached> {
  const { client, reset } = await raw(port, begin);
  client.socket.removeAllListeners('data');
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const opened = connectTls({ socket: client.socket, rejectUnauthorized: false }, () => resolve(opened));
    opened.once('error', reject);
  });
  return { client: new WireClient(socket), reset };
}

// A Unix socket has no reset, but the other end sees one when it is closed with unread bytes.
async function unix(): Promise<Reached> {
  const client = await new Promise<WireClient>((resolve, reject) => {
    const socket = connect(unixSocket, () => resolve(new WireClient(socket)));
    socket.once('error', reject);
  });
  return { client, reset: () => client.socket.pause().destroy() };
}

const LISTENERS: Readonly<Record<string, () => Promise<Reached>>> = {
  data: () => raw(portOf(started('plain').url)),
  'data over TLS': () => secure(portOf(started('tls').url)),
  'data behind a PROXY header': () => raw(portOf(started('proxy').url), PROXY),
  'data over TLS behind a PROXY header': () => secure(portOf(started('proxyTls').url), PROXY),
  admin: () => raw(portOf(started('plain').adminUrl)),
  sapcontrol: () => raw(portOf(started('plain').sapControlUrl)),
  'sapcontrol on a Unix socket': unix,
};

const POST = soapPost('/held', ENVELOPE);
const HEADER = POST.slice(0, POST.indexOf('\r\n\r\n') + 4);

/** The data sent before the reset. */
const STAGES: readonly (readonly [stage: string, sent: string])[] = [
  ['nothing was sent', ''],
  ['half a header was sent', 'POST / HTTP/1.1\r\nHo'],
  ['a header was sent', HEADER],
  ['half a body was sent', POST.slice(0, -20)],
  [
    'a body is awaited that the client has not been told to send yet',
    `${HEADER.slice(0, -2)}Expect: 100-continue\r\n\r\n`,
  ],
  ['an expectation was refused', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n'],
  ['a request is under way', POST],
  ['half an answer has come', soapPost('/half', ENVELOPE)],
  ['requests wait for their turn', POST.repeat(3)],
  ['more requests wait than may', POST.repeat(40)],
  ['a tunnel was asked for', 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n'],
  ['a tunnel was asked for, and bytes followed', `CONNECT a.test:443 HTTP/1.1\r\n\r\n${'x'.repeat(200)}`],
  ['a tunnel was asked for behind a request', `${POST}CONNECT a.test:443 HTTP/1.1\r\n\r\n`],
  [
    'an upgrade was requested',
    'GET /held HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nxx',
  ],
  ['HTTP/2 was spoken', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['what was sent is no HTTP', 'no http\r\n\r\nand more of it'],
];

const HELLO = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03';
const EARLY: readonly (readonly [stage: string, gateway: string, sent: string])[] = [
  ['before the TLS handshake', 'tls', ''],
  ['in the TLS handshake', 'tls', HELLO],
  ['where TLS is expected and HTTP was sent', 'tls', POST],
  ['before the PROXY header', 'proxy', ''],
  ['in the PROXY header', 'proxy', PROXY.slice(0, 20)],
  ['where the PROXY header is expected and none was sent', 'proxy', POST],
  ['behind the PROXY header', 'proxy', PROXY],
  ['before the TLS handshake, behind the PROXY header', 'proxyTls', PROXY],
  ['in the TLS handshake, behind the PROXY header', 'proxyTls', PROXY + HELLO],
];

/** The answer to this shows that all data sent before has been read. */
async function roundTrip(): Promise<void> {
  // The first answer may come in the same turn as the accept of the earlier connection.
  for (let i = 0; i < 2; i++) {
    pulse?.send('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    pulses += 1;
    await pulse?.responses(pulses);
  }
}

function expectUndisturbed(stage: string): void {
  const ended = child.ended ? child.reason : '';
  const errors = log.filter(({ level }) => level >= 50);
  expect({ stage, ended, errors }).toEqual({ stage, ended: '', errors: [] });
}

type Stage = readonly [name: string, sent: string, reach: () => Promise<Reached>];

/**
 * Resets a connection in each stage while another client's request is pending: after the gateway has read the
 * data, and right after the data is sent.
 */
async function resetAll(stages: readonly Stage[]): Promise<void> {
  const held: (() => void)[] = [];
  let isUnderWay = false;
  upstream.answer = (request, socket) => {
    if (request.target === '/half')
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(99_000)}`);
    else held.push(() => OK(request, socket));
    if (request.target === '/other') isUnderWay = true;
  };
  const other = await WireClient.open(portOf(started('plain').url));
  other.send(soapPost('/other', ENVELOPE));
  await eventually(() => expect(isUnderWay).toBe(true), { every: 2 });

  const begin = async ([stage, sent, reachability]: Stage): Promise<{ stage: string; reset(): void }> => {
    const { client, reset } = await reachability();
    client.send(sent);
    return { stage, reset };
  };
  const begun = await Promise.all(stages.map(begin));
  await roundTrip();
  for (const { stage, reset } of begun) {
    reset();
    await roundTrip().catch(() => undefined);
    expectUndisturbed(stage);
  }
  await Promise.all(stages.map((stage) => begin(stage).then(({ reset }) => reset())));
  await roundTrip();
  for (const answer of held) answer();
  expect((await other.response()).status).toBe(200);
  other.leave();
  await roundTrip();
  expectUndisturbed('reset as soon as it was sent');
}

test.each(Object.entries(LISTENERS))(
  'a reset of a connection to %s ends only that connection',
  (_, reachability) => resetAll(STAGES.map(([stage, sent]): Stage => [stage, sent, reachability])),
);

test('a reset before HTTP begins ends only that connection', () =>
  resetAll(
    EARLY.map(([stage, gateway, sent]): Stage => [stage, sent, () => raw(portOf(started(gateway).url))]),
  ));

test.each(['data', 'admin', 'sapcontrol'])(
  'an uncaught error while a connection to %s is read ends only that connection and is logged',
  async (name) => {
    const faults = async (): Promise<number> => {
      const text = await (await fetch(`${started('plain').adminUrl}/metrics`)).text();
      return Number(/^gateway_connection_faults_total (\d+)$/m.exec(text)?.[1]);
    };
    const before = await faults();
    const reachability = LISTENERS[name] as () => Promise<Reached>;
    const { client } = await reachability();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nx-test-fault: 1\r\n\r\n');
    await client.untilEnd();
    client.leave();
    expect(child.ended ? child.reason : '').toBe('');
    expect(await faults()).toBe(before + 1);
    await eventually(() =>
      expect(log.filter(({ level }) => level >= 50).at(before)).toMatchObject({
        msg: 'closed a connection: nothing caught this error, which is a fault of the gateway',
        peer: '127.0.0.1',
        err: { message: 'a fault of this test', stack: expect.stringContaining('gateways.mjs') },
      }),
    );
  },
);
