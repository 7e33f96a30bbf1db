import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import { connect, createServer } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { TicketKeys } from '../../../src/sockets/ticket-keys.ts';
import { CERTIFICATE, KEY } from '../config/tls-fixture.ts';

const NOON = Date.UTC(2026, 0, 1, 12);
const HOUR = 3_600_000;
const SECRET = 'a secret of two gateways, of 32 or more characters';

const servers: Server[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function listening(keys: TicketKeys, now = NOON): Promise<Server> {
  const server = createServer({ cert: CERTIFICATE, key: KEY, ...keys.options(now) }, (socket) => {
    socket.end('x');
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

interface Handshake {
  readonly session: Buffer;
  readonly isResumed: boolean;
}

async function connectTo(server: Server, session?: Buffer): Promise<Handshake> {
  const { port } = server.address() as AddressInfo;
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, session });
  let given: Buffer = Buffer.alloc(0);
  let isResumed = false;
  socket.on('secureConnect', () => {
    isResumed = socket.isSessionReused();
  });
  socket.on('session', (one: Buffer) => {
    given = one;
  });
  await once(socket.resume(), 'close');
  return { session: given, isResumed };
}

async function isResumed(first: Server, second: Server): Promise<boolean> {
  const { session } = await connectTo(first);
  return (await connectTo(second, session)).isResumed;
}

describe('a TLS session', () => {
  test('is resumed by a process with the same secret', async () => {
    const [a, b] = [new TicketKeys(SECRET, {}), new TicketKeys(SECRET, {})];
    expect(await isResumed(await listening(a), await listening(b))).toBe(true);
  });

  test.each([
    ['another secret', new TicketKeys(`another ${SECRET}`, {}), NOON],
    ['other authorities of client certificates', new TicketKeys(SECRET, { ca: CERTIFICATE }), NOON],
    ['the keys of twelve hours later', new TicketKeys(SECRET, {}), NOON + 12 * HOUR],
  ])('takes a full handshake at one with %s', async (_, keys, now) => {
    const first = await listening(new TicketKeys(SECRET, {}));
    expect(await isResumed(first, await listening(keys, now))).toBe(false);
  });

  test('takes a full handshake when the keys of its server have changed, and is resumed from then on', async () => {
    vi.useFakeTimers({ now: NOON + 11 * HOUR, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const keys = new TicketKeys(SECRET, {});
    const server = await listening(keys, Date.now());
    keys.rotate(server);
    const { session } = await connectTo(server);
    vi.advanceTimersByTime(HOUR - 1);
    expect((await connectTo(server, session)).isResumed).toBe(true);
    vi.advanceTimersByTime(1);
    const next = await connectTo(server, session);
    expect(next.isResumed).toBe(false);
    expect((await connectTo(server, next.session)).isResumed).toBe(true);
    vi.advanceTimersByTime(12 * HOUR);
    expect((await connectTo(server, next.session)).isResumed).toBe(false);
  });
});
