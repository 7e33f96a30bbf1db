import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { LogLine, TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { WireResponse } from '../support/wire.ts';
import { ENVELOPE, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** Answers of instances that are unusual, incomplete or malformed: what the client gets of them. */

const HELD = 64 * 1_024;

let upstream: WireUpstream;
let gateway: TestGateway;
const clients: WireClient[] = [];

beforeAll(async () => {
  upstream = await WireUpstream.start();
  gateway = await startTestGateway(poolOf([upstream.url]));
});
afterEach(() => {
  for (const client of clients.splice(0)) client.leave();
  gateway.log.length = 0;
});
afterAll(async () => {
  await gateway?.close();
  await upstream?.close();
});

async function ask(answer: (socket: Socket) => void, request = soapPost('/', ENVELOPE)): Promise<WireClient> {
  upstream.answer = (_request, socket) => answer(socket);
  const client = await WireClient.open(gateway.port);
  clients.push(client);
  return client.send(request);
}

async function answerTo(text: string, request?: string): Promise<WireResponse> {
  return await (await ask((socket) => void socket.write(text), request)).response();
}

async function logged(): Promise<LogLine> {
  return await eventually(() => gateway.requests()[0] as LogLine);
}

/** Sends the text and, once it has left, resets. */
const resetAfter = (text: string) => (socket: Socket) =>
  void socket.write(text, () => socket.resetAndDestroy());

describe('an answer that ends with its connection', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n';

  test('is complete when the connection is closed', async () => {
    const client = await ask((socket) => void socket.end(`${head}<ok/>`));
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(response.body.toString()).toBe('<ok/>');
  });

  test('is incomplete when the connection is reset: 502, because the outcome is unknown', async () => {
    const client = await ask(resetAfter(`${head}<half`));
    const response = await client.response();
    expect(response.status).toBe(502);
    expect(response.body.toString()).toContain('GW_OUTCOME_UNKNOWN');
    expect(await logged()).toMatchObject({ failure: 'response-aborted', outcomeUnknown: true });
  });

  test('is cut when it is too long to be held and the connection is reset', async () => {
    const client = await ask(resetAfter(head + 'x'.repeat(4 * HELD)));
    await client.untilEnd();
    expect(client.text).toMatch(/^HTTP\/1.1 200 OK/);
    // The last chunk is missing.
    expect(client.text.endsWith('0\r\n\r\n')).toBe(false);
    expect(await logged()).toMatchObject({ failure: 'response-aborted' });
  });
});

describe('a transfer coding that the gateway did not ask for', () => {
  test.each(['gzip, chunked', 'gzip', 'chunked, gzip', 'identity, chunked'])(
    '%s is refused, because the answer cannot be passed on without it',
    async (coding) => {
      const chunks = '5\r\n<ok/>\r\n0\r\n\r\n';
      const client = await ask(
        (socket) => void socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n${chunks}`),
      );
      const response = await client.response();
      expect(response.status).toBe(502);
      expect(response.body.toString()).toContain('GW_UPSTREAM_INVALID');
      expect(await logged()).toMatchObject({ failure: 'junk-response', outcomeUnknown: true });
    },
  );

  test.each(['chunked', 'Chunked'])('%s alone is passed on', async (coding) => {
    const response = await answerTo(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n5\r\n<ok/>\r\n0\r\n\r\n`,
    );
    expect(response.body.toString()).toBe('<ok/>');
  });
});

describe('an interim answer that nothing asked for', () => {
  const final = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<ok/>';
  const interim = 'HTTP/1.1 100 Continue\r\n\r\n';

  test.each([
    ['100 Continue', interim],
    ['100 Continue with a header', 'HTTP/1.1 100 Continue\r\nServer: IIS\r\n\r\n'],
    ['several of them', interim + interim],
    ['102 and 103', 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
  ])('%s: the final answer is passed on', async (_what, before) => {
    expect(await answerTo(before + final)).toMatchObject({ status: 200 });
  });

  test('in pieces of one byte', async () => {
    const client = await ask((socket) => {
      void (async () => {
        socket.setNoDelay(true);
        for (const byte of Buffer.from(interim + final)) {
          socket.write(Buffer.of(byte));
          await new Promise(setImmediate);
        }
      })();
    });
    expect((await client.response()).body.toString()).toBe('<ok/>');
  });

  test('at each request of a kept connection', async () => {
    for (let i = 0; i < 3; i += 1) expect((await answerTo(interim + final)).status).toBe(200);
    expect(upstream.trafficSockets.size).toBeLessThan(20);
  });
});

describe('a header of an answer', () => {
  test('may have 60 KB', async () => {
    const value = 'v'.repeat(60 * 1_024);
    const response = await answerTo(`HTTP/1.1 200 OK\r\nX-Long: ${value}\r\nContent-Length: 2\r\n\r\nok`);
    expect(response.status).toBe(200);
    expect(response.get('x-long')).toBe(value);
  });

  test('may have white space before the colon, which is removed', async () => {
    const response = await answerTo(
      'HTTP/1.1 200 OK\r\nContent-Type : text/xml\r\nX-Note \t: a : b\r\nContent-Length : 5\r\n\r\n<ok/>',
    );
    expect(response.status).toBe(200);
    expect(response.fields.slice(0, 3)).toEqual([
      ['Content-Type', 'text/xml'],
      ['X-Note', 'a : b'],
      ['Content-Length', '5'],
    ]);
    expect(response.body.toString()).toBe('<ok/>');
  });
});

describe('an answer without a body', () => {
  test.each([204, 304])('%d may have a Content-Length', async (status) => {
    const response = await answerTo(`HTTP/1.1 ${status} Empty\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n`);
    expect(response.status).toBe(status);
    expect(response.get('x-a')).toBe('1');
    // A 204 must not have one (RFC 9110 §8.6).
    expect(response.get('content-length')).toBe(status === 204 ? undefined : '5');
  });
});

test('a stream of events passes as it comes', async () => {
  let instance: Socket | undefined;
  const client = await ask((socket) => {
    instance = socket;
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
  });
  const seen = (text: string): Promise<void> => client.until((bytes) => bytes.includes(text));
  await seen('text/event-stream');
  instance?.write('8\r\ndata: 1\n\r\n');
  await seen('data: 1');
  instance?.write('8\r\ndata: 2\n\r\n');
  await seen('data: 2');
  instance?.write('0\r\n\r\n');
  await seen('0\r\n\r\n');
});

test('a login that holds for a whole connection is logged once, because requests share connections', async () => {
  const challenge =
    'HTTP/1.1 401 Who\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n';
  for (let i = 0; i < 2; i += 1) expect((await answerTo(challenge)).all('www-authenticate')).toHaveLength(2);
  const warnings = gateway.log.filter(({ scheme }) => scheme !== undefined);
  expect(warnings).toMatchObject([{ level: 40, instance: 'i1', scheme: 'Negotiate' }]);
});

describe('an instance that refuses a body without reading it', () => {
  const refusal = 'HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig';
  const size = 8 * 1_024 * 1_024;

  test.each([
    ['with a length', `Content-Length: ${size}\r\n\r\n`, (body: string) => body],
    [
      'in chunks',
      'Transfer-Encoding: chunked\r\n\r\n',
      (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    ],
  ])('answers for itself: a body %s', async (_what, framing, encode) => {
    const before = upstream.onConnection;
    upstream.onConnection = (socket) => {
      socket.once('data', (first: Buffer) => {
        if (first.toString('latin1', 0, 12) === 'GET /health ') {
          socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
          return;
        }
        socket.pause();
        // Unread bytes make the close a reset.
        socket.write(refusal, () => socket.destroy());
      });
      return true;
    };
    for (const socket of upstream.sockets) socket.destroy();
    try {
      const head = `POST / HTTP/1.1\r\nHost: ici.example\r\nContent-Type: text/xml\r\n${framing}`;
      const client = await ask(() => undefined, head + encode('x'.repeat(size)));
      const response = await client.response();
      expect(response.status).toBe(413);
      expect(response.body.toString()).toBe('big');
    } finally {
      upstream.onConnection = before;
    }
  });
});
