import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { WireResponse } from '../support/wire.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** Bodies arrive byte for byte in both directions, however they are split and framed. */

let upstream: WireUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await WireUpstream.start();
  gateway = await startTestGateway(poolOf([upstream.url]));
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});
afterEach(async () => {
  upstream.answer = OK;
  upstream.requests.length = 0;
  await eventually(() => expect(gateway.status().inFlight).toBe(0));
});

const KB = 1_024;
const SIZES = [0, 1, 1_023, 1_024, 64 * KB - 1, 64 * KB, 64 * KB + 1, KB * KB];

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Pieces of random length, fewer than `most`; all of them together are the bytes. */
function pieces(bytes: Buffer, most = 12): Buffer[] {
  const cuts = Array.from({ length: most - 1 }, () => Math.floor(Math.random() * (bytes.length + 1)));
  const borders = [0, ...cuts.sort((a, b) => a - b), bytes.length];
  return borders.slice(1).map((end, i) => bytes.subarray(borders[i], end));
}

function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

function chunked(bytes: Buffer): Buffer {
  const filled = pieces(bytes).filter((piece) => piece.length > 0);
  return Buffer.concat([...filled.map(chunk), Buffer.from('0\r\n\r\n')]);
}

/** Sends the bytes in pieces, each in its own turn of the event loop, so that the cuts are anywhere. */
async function send(client: WireClient, bytes: Buffer): Promise<void> {
  for (const piece of pieces(bytes)) {
    client.send(piece);
    await new Promise(setImmediate);
  }
}

async function call(request: Buffer, method = 'POST'): Promise<WireResponse> {
  const client = await WireClient.open(gateway.port);
  await send(client, request);
  const response = await client.response(method);
  client.leave();
  return response;
}

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n';

describe('a request body', () => {
  test.each(SIZES)('of %d bytes with Content-Length arrives as it was sent', async (size) => {
    const body = randomBytes(size);
    await call(Buffer.concat([Buffer.from(`${HEAD}Content-Length: ${size}\r\n\r\n`), body]));
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests[0]?.body.length).toBe(size);
    expect(sha(upstream.requests[0]?.body as Buffer)).toBe(sha(body));
    expect(upstream.requests[0]?.all('content-length')).toEqual([String(size)]);
  });

  test.each(SIZES)('of %d bytes in chunks arrives as it was sent', async (size) => {
    const body = randomBytes(size);
    await call(Buffer.concat([Buffer.from(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`), chunked(body)]));
    expect(sha(upstream.requests[0]?.body as Buffer)).toBe(sha(body));
  });

  test('in gzip is forwarded unchanged', async () => {
    const body = gzipSync(ENVELOPE.repeat(100));
    await call(
      Buffer.concat([
        Buffer.from(
          `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
        ),
        body,
      ]),
    );
    expect(sha(upstream.requests[0]?.body as Buffer)).toBe(sha(body));
    expect(upstream.requests[0]?.get('content-encoding')).toBe('gzip');
  });

  test.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])('of %s arrives as well', async (method) => {
    await call(Buffer.from(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`), method);
    expect(upstream.requests[0]?.method).toBe(method);
    expect(upstream.requests[0]?.body.toString()).toBe('hello');
  });

  test('whose first byte never comes is not sent to any instance', async () => {
    const client = await WireClient.open(gateway.port);
    client.send(`${HEAD}soapuser: MILLER\r\nContent-Length: 1000000\r\n\r\n`);
    // A request that came later has been answered, so this one has been read.
    await call(Buffer.from(soapPost('/later', ENVELOPE)));
    client.leave();
    await eventually(() => expect(gateway.requests().at(-1)).toMatchObject({ path: '/', attempts: 0 }));
  });

  test('that is answered before it is completely read is not parsed as the next request', async () => {
    const hasty = await WireUpstream.start();
    const own = await startTestGateway(poolOf([hasty.url]));
    hasty.onConnection = (socket) => {
      socket.once('data', (first: Buffer) => {
        if (first.toString('latin1').startsWith('GET /health ')) OK({} as never, socket);
        else socket.write('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno');
      });
      return true;
    };
    const client = await WireClient.open(own.port);
    client.send(`${HEAD}Content-Length: 1000000\r\n\r\n${'x'.repeat(200_000)}`);
    const response = await client.response();
    hasty.onConnection = undefined;
    client.send('x'.repeat(800_000)).send(soapPost('/smuggled', ENVELOPE));
    await client.end();
    await own.close();
    await hasty.close();
    expect(response.status).toBe(403);
    expect(response.get('connection')).toBe('close');
    expect(hasty.requests).toHaveLength(0);
  });
});

describe('a response body', () => {
  const CUTS = ['Content-Length', 'chunks', 'the end of the connection'] as const;

  test.each(CUTS.flatMap((framing) => SIZES.map((size) => [size, framing] as const)))(
    'of %d bytes, framed by %s, arrives as it was sent',
    async (size, framing) => {
      const body = randomBytes(size);
      upstream.answer = (_request, socket) => {
        const start = 'HTTP/1.1 200 OK\r\nX-Framing: any\r\n';
        const [head, content] =
          framing === 'Content-Length'
            ? [`${start}Content-Length: ${size}\r\n\r\n`, body]
            : framing === 'chunks'
              ? [`${start}Transfer-Encoding: chunked\r\n\r\n`, chunked(body)]
              : [`${start}\r\n`, body];
        socket.write(head);
        for (const piece of pieces(content)) socket.write(piece);
        if (framing === 'the end of the connection') socket.end();
      };
      const response = await call(Buffer.from(soapPost('/', ENVELOPE)));
      expect(response.status).toBe(200);
      expect(response.body.length).toBe(size);
      expect(sha(response.body)).toBe(sha(body));
    },
  );

  test('that is long arrives complete beside many others, for which it pauses', async () => {
    const body = randomBytes(3 * KB * KB);
    upstream.answer = (_request, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
    };
    const answers = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const answer = await fetch(gateway.url, { method: 'POST', body: ENVELOPE });
        return sha(new Uint8Array(await answer.arrayBuffer()));
      }),
    );
    expect(new Set(answers)).toEqual(new Set([sha(body)]));
  });

  test('in chunks reaches an HTTP/1.0 client unchunked, up to the end of the connection', async () => {
    const body = randomBytes(200_000);
    upstream.answer = (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      socket.write(chunked(body));
    };
    const client = await WireClient.open(gateway.port);
    client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    const response = await client.response('GET');
    client.leave();
    expect(response.get('transfer-encoding')).toBeUndefined();
    expect(sha(response.body)).toBe(sha(body));
  });

  test('of HEAD is empty, and Content-Length is forwarded', async () => {
    upstream.answer = (_request, socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n');
    const client = await WireClient.open(gateway.port);
    client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    const response = await client.response('HEAD');
    expect(response.get('content-length')).toBe('1234');
    // The connection is in sync: the next answer is where it should be.
    upstream.answer = OK;
    client.send(soapPost('/', ENVELOPE));
    const [, second] = await client.responses(2, ['HEAD', 'POST']);
    client.leave();
    expect(second?.body.toString()).toBe('ok');
  });

  test.each([
    ['204', 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'],
    ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1234\r\n\r\n'],
  ])('of %s is empty, and the connection stays in sync', async (status, bytes) => {
    upstream.answer = (_request, socket) => socket.write(bytes);
    const client = await WireClient.open(gateway.port);
    client.send(soapPost('/1', ENVELOPE));
    expect((await client.response()).status).toBe(Number(status));
    upstream.answer = OK;
    client.send(soapPost('/2', ENVELOPE));
    const [, second] = await client.responses(2);
    client.leave();
    expect(second?.body.toString()).toBe('ok');
  });

  test('follows interim answers, which are not forwarded', async () => {
    upstream.answer = (request, socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n');
      socket.write('HTTP/1.1 102 Processing\r\n\r\n');
      OK(request, socket);
    };
    const response = await call(Buffer.from(soapPost('/', ENVELOPE)));
    expect(response.status).toBe(200);
    expect(response.body.toString()).toBe('ok');
    expect(response.get('link')).toBeUndefined();
  });

  test('with trailers arrives without them', async () => {
    upstream.answer = (_request, socket) =>
      socket.write(
        'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
      );
    const response = await call(Buffer.from(soapPost('/', ENVELOPE)));
    expect(response.body.toString()).toBe('ok');
    expect(response.get('trailer')).toBeUndefined();
  });
});
