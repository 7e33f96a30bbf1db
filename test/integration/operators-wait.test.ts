import { EventEmitter, once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { keepPendingConnections } from '../../src/admin/idle-connections.ts';
import type { ControlAnswer } from '../../src/core/lifecycle.ts';
import { Methods } from '../../src/sapcontrol/methods.ts';
import { createSapControlServer } from '../../src/sapcontrol/server.ts';
import { bareAdminServer } from '../support/admin-server.ts';
import { fakeSource } from '../support/sapcontrol.ts';

const LIMIT_MS = 400;
const SILENT = pino({ level: 'silent' });
// More than a socket and a client that does not read can buffer.
const PAGE = 'x'.repeat(32 * 1_024 * 1_024);

/** An operation that lasts until the test ends it. */
class Slow {
  readonly #events = new EventEmitter();
  readonly begun = once(this.#events, 'begin');

  readonly run = async (): Promise<void> => {
    this.#events.emit('begin');
    await once(this.#events, 'end');
  };

  end(): void {
    this.#events.emit('end');
  }
}

let server: FastifyInstance | undefined;
let port: number;
let sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await server?.close();
  server = undefined;
});

function adminServer({ run }: Slow): FastifyInstance {
  const act = async (): Promise<ControlAnswer> => {
    await run();
    return { ok: true };
  };
  return bareAdminServer({
    lifecycle: { maintain: act, stop: act, restart: act, reload: act },
    scrape: async () => PAGE,
  });
}

function sapControlServer({ run }: Slow): FastifyInstance {
  const methods = new Methods({ ...fakeSource(), restart: run }, { http: () => 0 });
  return createSapControlServer({
    methods,
    trust: 'everyone',
    logger: SILENT,
    authority: 'localhost',
    via: 'ici-gateway',
    keepPendingConnections,
  });
}

/** The server closes silent connections after {@link LIMIT_MS}. */
async function listen(made: FastifyInstance): Promise<void> {
  server = made;
  server.server.setTimeout(LIMIT_MS);
  await server.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = server.server.address() as AddressInfo);
}

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

const post = (path: string, body: string, headers = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

const ACT = '{"by":"me","why":"test"}';
const RELOAD = post('/reload', ACT, 'Authorization: Bearer token\r\nContent-Type: application/json\r\n');
const RESTART = post(
  '/',
  '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><r:RestartInstance xmlns:r="urn:SAPControl"/></e:Body></e:Envelope>',
  'Content-Type: text/xml\r\n',
);

describe.each([
  ['the admin plane', adminServer, RELOAD],
  ['SAPControl', sapControlServer, RESTART],
])('%s', (_name, serverFor, request) => {
  test('keeps connections that wait for an answer, and closes idle ones', async () => {
    const slow = new Slow();
    await listen(serverFor(slow));
    const waiting = await open();
    let answer = '';
    waiting.on('data', (chunk) => {
      answer += String(chunk);
    });
    const closed = once(waiting, 'close');
    waiting.write(request);
    await slow.begun;
    // A later connection has been closed, so this one would have been too.
    await once((await open()).resume(), 'close');
    slow.end();
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('ends a connection whose request never completes', async () => {
    await listen(serverFor(new Slow()));
    const slow = await open();
    slow.write(request.slice(0, -5));
    await once(slow.resume(), 'close');
  });
});

test('the admin API ends a connection whose answer is not read', async () => {
  await listen(adminServer(new Slow()));
  const ended = new Promise((resolve) => {
    server?.server.on('connection', (socket) => socket.on('close', resolve));
  });
  const deaf = await open();
  deaf.pause();
  deaf.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await ended;
});
