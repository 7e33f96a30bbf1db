import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Certificate } from '../support/behind-balancer.ts';
import { BALANCER, makeCertificate, openFrom, secured, startBehind } from '../support/behind-balancer.ts';
import { eventually } from '../support/eventually.ts';
import { namesIpv4 } from '../support/proxy-header.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { Answer, WireClient } from '../support/wire.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireUpstream } from '../support/wire.ts';

/** What slow and idle clients take from others: room that is free, and nothing once there is none. */

const HONEST = '127.0.0.1';
const ATTACKER = '127.0.0.2';
const REQUEST = soapPost('/', ENVELOPE, ['soapuser: MILLER', 'Connection: close']);
const SLOW = soapPost('/', ENVELOPE, ['Expect: 100-continue']).slice(0, -ENVELOPE.length);
/** More than the buffers of all sockets hold. */
const LONG = Buffer.alloc(32 * 1_024 * 1_024);
const NEVER: Answer = () => undefined;

let certificate: Certificate;
let upstream: WireUpstream;
let gateway: TestGateway;
let clients: WireClient[] = [];

beforeAll(async () => {
  certificate = makeCertificate();
  upstream = await WireUpstream.start();
});
beforeEach(() => {
  upstream.answer = OK;
  upstream.trafficSockets.clear();
});
afterEach(async () => {
  for (const client of clients) client.leave();
  clients = [];
  await gateway.close();
});
afterAll(async () => {
  await upstream.close();
  certificate.remove();
});

async function start(limits: string): Promise<void> {
  gateway = await startTestGateway(`${poolOf([upstream.url])}limits: { ${limits} }\n`);
}

async function open(from = HONEST): Promise<WireClient> {
  const client = await openFrom(from, gateway.port);
  clients.push(client);
  return client;
}

const openMany = (count: number, from?: string): Promise<WireClient[]> =>
  Promise.all(Array.from({ length: count }, () => open(from)));

async function statusOf(client: WireClient): Promise<number> {
  return (await client.send(REQUEST).response()).status;
}

/** Begins a request, and resolves once the gateway waits for its body. */
async function sendSlowly(client: WireClient): Promise<void> {
  await client.send(SLOW).until((bytes) => bytes.includes('HTTP/1.1 100 '));
  client.send('<');
}

/** Resolves once so many requests have arrived at the gateway. */
const arrived = (count: number): Promise<void> =>
  eventually(() => expect(upstream.requests.length).toBe(count));

describe('at limits.connections', () => {
  test('every log-on from one address is served beside idle connections and slow bodies of that address', async () => {
    await start('connections: 50');
    const others = await openMany(50);
    await Promise.all(others.slice(0, 5).map(sendSlowly));
    for (let i = 0; i < 15; i += 1) {
      const answers = await Promise.all((await openMany(10)).map(statusOf));
      expect(answers).toEqual(Array(10).fill(200));
    }
    expect(others.filter(({ isOver }) => isOver).length).toBeGreaterThan(0);
  });

  test('a slow body that gives way is logged and counted', async () => {
    await start('connections: 3');
    await Promise.all((await openMany(3, ATTACKER)).map(sendSlowly));
    expect(await statusOf(await open())).toBe(200);
    expect(gateway.requests().filter(({ error }) => error === 'GW_OVERLOADED')).toHaveLength(1);
    expect((await gateway.metrics.connectionsGivenUp.get()).values).toMatchObject([{ value: 1 }]);
  });

  test('a request in flight stays, and an idle connection of others', async () => {
    upstream.answer = NEVER;
    upstream.requests.length = 0;
    await start('connections: 20');
    const [waiting, kept] = [(await open()).send(REQUEST), await open()];
    await arrived(1);
    const idle = await openMany(18, ATTACKER);
    await openMany(15, ATTACKER);
    await eventually(() => expect(idle.filter(({ isOver }) => isOver).length).toBeGreaterThanOrEqual(15));
    expect([waiting?.isOver, kept.isOver]).toEqual([false, false]);
    for (const socket of upstream.trafficSockets) OK(upstream.requests[0] as never, socket);
    expect((await (waiting as WireClient).response()).status).toBe(200);
    const warned = gateway.log.filter(({ msg }) => msg.includes('limits.connections is reached'));
    expect(warned[0]).toMatchObject({ client: ATTACKER, connections: 20 });
    expect(warned.every(({ client }) => client === ATTACKER)).toBe(true);
  });

  test('a new connection is closed if every other one waits for an answer', async () => {
    upstream.answer = NEVER;
    upstream.requests.length = 0;
    await start('connections: 5');
    for (const client of await openMany(5)) client.send(REQUEST);
    await arrived(5);
    await (await open()).end();
  });
});

test('over TLS and behind a balancer, the client that a PROXY header names gives way', async () => {
  gateway = await startBehind(
    `${poolOf([upstream.url])}limits: { connections: 5 }\ntimeouts: { requestHeader: 60s }\n`,
    {
      tls: certificate,
    },
  );
  const connect = async (client: string): Promise<WireClient> => {
    const raw = await openFrom(BALANCER, gateway.port);
    raw.socket.write(namesIpv4(client));
    const one = await secured(raw, certificate);
    clients.push(one);
    return one;
  };
  const kept = await connect('192.0.2.1');
  const idle: WireClient[] = [];
  for (let i = 0; i < 15; i += 1) idle.push(await connect('192.0.2.66'));
  await eventually(() => expect(idle.slice(0, 4).every(({ isOver }) => isOver)).toBe(true));
  expect(await statusOf(kept)).toBe(200);
});

test('requests whose bodies still arrive are not in flight', async () => {
  await start('inFlight: 5');
  const slow = await openMany(20, ATTACKER);
  await Promise.all(slow.map(sendSlowly));
  const answers = await Promise.all((await openMany(5)).map(statusOf));
  expect(answers).toEqual(Array(5).fill(200));
  for (const client of slow.slice(0, 3)) client.send(ENVELOPE.slice(1));
  for (const client of slow.slice(0, 3)) expect((await client.response()).status).toBe(200);
});

test('the last tenth of limits.inFlight is for addresses that have less than a tenth', async () => {
  upstream.answer = NEVER;
  upstream.requests.length = 0;
  await start('inFlight: 10');
  for (const client of await openMany(9, ATTACKER)) client.send(REQUEST);
  await arrived(9);
  expect(await statusOf(await open(ATTACKER))).toBe(503);
  (await open()).send(REQUEST);
  await arrived(10);
  expect(await statusOf(await open())).toBe(503);
});

test('the memory for arriving bodies is bounded, and the address whose bodies take most gives way', async () => {
  // 40 KB together.
  await start('inFlight: 10, identityBytes: 4KB');
  const body = ENVELOPE.padEnd(4_000);
  const [beginning, rest] = [soapPost('/', body).slice(0, -200), body.slice(-200)];
  const attackers = (await openMany(30, ATTACKER)).map((client) => client.send(beginning));
  const given = await eventually(() => {
    const refused = attackers.filter(({ text }) => text.startsWith('HTTP/1.1 503 '));
    expect(refused.length).toBeGreaterThanOrEqual(20);
    return refused;
  });
  expect(given[0]?.text).toContain('GW_OVERLOADED');
  const honest = (await openMany(2)).map((client) => client.send(beginning));
  for (const client of honest) expect((await client.send(rest).response()).status).toBe(200);
});

test('the last tenth of the places at an instance is for addresses that hold less than a tenth', async () => {
  upstream.answer = NEVER;
  upstream.requests.length = 0;
  gateway = await startTestGateway(poolOf([upstream.url], '', 'maxInFlight: 10'));
  for (const client of await openMany(12, ATTACKER)) client.send(REQUEST);
  await arrived(9);
  const honest = (await open()).send(REQUEST);
  await arrived(10);
  upstream.answer = OK;
  // Those that wait get the places that others give back.
  for (const socket of upstream.trafficSockets) OK(upstream.requests[0] as never, socket);
  expect((await honest.response()).status).toBe(200);
  await arrived(13);
});

describe('connections that arrive together', () => {
  let sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets = [];
  });

  /** All are connected before the gateway, in this process, accepts the first. */
  function burst(count: number, from: string): void {
    for (let i = 0; i < count; i += 1) {
      const socket = connect({ port: gateway.port, host: '127.0.0.1', localAddress: from });
      socket.on('error', () => undefined).write(REQUEST);
      sockets.push(socket);
    }
  }

  test('from one address do not keep one of another address waiting', async () => {
    await start('connections: 1000');
    burst(200, ATTACKER);
    burst(1, HONEST);
    await eventually(() => expect(gateway.requests()).toHaveLength(201));
    expect(gateway.requests().findIndex(({ client }) => client === HONEST)).toBeLessThan(50);
  });

  test('and end at once are closed, not kept for a request', async () => {
    gateway = await startTestGateway(`${poolOf([upstream.url])}timeouts: { requestHeader: 5m }\n`);
    const closed: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i += 1) {
      const socket = connect({ port: gateway.port, host: '127.0.0.1', localAddress: HONEST });
      socket.on('error', () => undefined).resume();
      socket.end();
      sockets.push(socket);
      closed.push(once(socket, 'close'));
    }
    await Promise.all(closed);
  });

  test('are all served if the gateway stops before it has served them', async () => {
    await start('connections: 1000');
    burst(100, HONEST);
    burst(100, ATTACKER);
    await gateway.close(5_000);
    expect(gateway.requests().filter(({ status }) => status === 200)).toHaveLength(200);
  });

  test('and are too many end for the address with most of them, and are served for the other', async () => {
    await start('connections: 20');
    burst(5, HONEST);
    burst(200, ATTACKER);
    burst(5, HONEST);
    for (const socket of sockets) socket.resume();
    await eventually(() => expect(sockets.every(({ closed }) => closed)).toBe(true));
    const honest = gateway.requests().filter(({ client }) => client === HONEST);
    expect(honest.map(({ status }) => status)).toEqual(Array(10).fill(200));
    const [given] = (await gateway.metrics.connectionsGivenUp.get()).values;
    expect(given?.value).toBe(210 - gateway.requests().length);
  });

  test('are all served, also if they are more than there may be at once', async () => {
    await start('connections: 50');
    burst(200, HONEST);
    await eventually(() => expect(gateway.requests()).toHaveLength(200));
    expect(gateway.requests().every(({ status }) => status === 200)).toBe(true);
  });
});

describe('while others wait for a place at an instance', () => {
  const PLACES = 2;

  async function startWithFewPlaces(): Promise<void> {
    gateway = await startTestGateway(poolOf([upstream.url], '', `maxInFlight: ${PLACES}`));
  }

  test('a client that does not read its answer gives way', async () => {
    upstream.answer = ({ target }, socket) => {
      if (target !== '/long') return OK({ target } as never, socket);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LONG.length}\r\n\r\n`);
      socket.write(LONG);
    };
    await startWithFewPlaces();
    const slow = await openMany(PLACES);
    for (const client of slow) {
      await client.send(REQUEST.replace(' / ', ' /long ')).until((bytes) => bytes.length > 0);
      client.socket.pause();
    }
    expect(await statusOf(await open())).toBe(200);
    expect(gateway.requests().filter(({ error }) => error === 'GW_OVERLOADED')).toHaveLength(1);
  });

  test.each([
    ['stops', 0],
    ['sends little', 100],
  ])('a client that %s in the middle of a long body gives way', async (_how, bytes) => {
    await startWithFewPlaces();
    const slow = await openMany(PLACES);
    for (const client of slow) client.send(soapPost('/', 'x'.repeat(200_000)).slice(0, -50_000));
    await eventually(() => expect(upstream.trafficSockets.size).toBeGreaterThanOrEqual(PLACES));
    const trickle = setInterval(() => {
      for (const client of slow) client.send('x'.repeat(bytes));
    }, 20);
    expect(await statusOf(await open()).finally(() => clearInterval(trickle))).toBe(200);
    const given = await Promise.race(slow.map((client) => client.response()));
    expect([given.status, given.body.toString()]).toEqual([503, expect.stringContaining('GW_OVERLOADED')]);
  });
});
