import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/**
 * Requests that a proxy must not forward: RFC 9112 and known ways of request
 * smuggling. Each is refused, its connection ends, and the instance receives
 * no part of it.
 */

let upstream: WireUpstream;
let gateway: TestGateway;

/** @param more further sections of its configuration, in YAML */
const start = (more = ''): Promise<TestGateway> =>
  startTestGateway(`${poolOf([upstream.url])}
limits: { headerBytes: 4KB, headers: 20, bodyBytes: 4KB, identityBytes: 1KB }
${more}`);

beforeAll(async () => {
  upstream = await WireUpstream.start();
  gateway = await start();
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});
beforeEach(() => {
  upstream.requests.length = 0;
  upstream.trafficSockets.clear();
});

interface Refused {
  readonly status: number;
  readonly text: string;
}

interface Sending {
  readonly mode?: 'at once' | 'byte by byte';
  /** The gateway under test; by default that of most tests. */
  readonly by?: TestGateway;
}

async function refused(bytes: string, { mode = 'at once', by = gateway }: Sending = {}): Promise<Refused> {
  const client = await WireClient.open(by.port);
  if (mode === 'at once') client.send(bytes);
  else await client.sendByteByByte(bytes);
  await client.untilEnd();
  const text = client.text;
  client.leave();
  expect(upstream.requests, 'requests at the instance').toHaveLength(0);
  expect(upstream.trafficSockets.size, 'connections to the instance').toBe(0);
  expect(text, 'the address of the instance').not.toContain(String(upstream.port));
  expect(text).not.toContain('127.0.0.1');
  return { status: Number(text.split(' ')[1]), text };
}

const SOAP = 'Host: a\r\nContent-Type: text/xml\r\n';
const chunked = (chunks: string): string =>
  `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: chunked\r\n\r\n${chunks}`;

const REFUSED: readonly (readonly [why: string, status: number, request: string])[] = [
  ['two Host fields', 400, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['two equal Host fields', 400, 'GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n'],
  ['a Host with a space', 400, 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
  ['a Host with a path', 400, 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  ['a Host with a user', 400, 'GET / HTTP/1.1\r\nHost: u@b\r\n\r\n'],
  ['a Host with two ports', 400, 'GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n'],
  ['no Host in HTTP/1.1', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['no version', 400, 'GET /\r\n\r\n'],
  ['HTTP/0.9', 400, 'GET / HTTP/0.9\r\nHost: a\r\n\r\n'],
  ['HTTP/2.0 as text', 505, 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['HTTP/1.2', 505, 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'],
  ['HTTP/3.0', 505, 'GET / HTTP/3.0\r\nHost: a\r\n\r\n'],
  ['a version in lower case', 400, 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  ['a version of three digits', 400, 'GET / HTTP/1.10\r\nHost: a\r\n\r\n'],
  ['the preface of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['TLS on a plain port', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  [
    'Transfer-Encoding in HTTP/1.0',
    400,
    `POST / HTTP/1.0\r\n${SOAP}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'Content-Length before Transfer-Encoding',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'Transfer-Encoding before Content-Length',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ],
  [
    'a repeated Content-Length',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
  ],
  [
    'contradicting lengths',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
  ],
  ['a length with a plus', 400, `POST / HTTP/1.1\r\n${SOAP}Content-Length: +5\r\n\r\nhello`],
  ['a negative length', 400, `POST / HTTP/1.1\r\n${SOAP}Content-Length: -5\r\n\r\nhello`],
  ['a list of lengths', 400, `POST / HTTP/1.1\r\n${SOAP}Content-Length: 5, 5\r\n\r\nhello`],
  ['an empty length', 400, `POST / HTTP/1.1\r\n${SOAP}Content-Length:\r\n\r\nhello`],
  ['a hexadecimal length', 400, `POST / HTTP/1.1\r\n${SOAP}Content-Length: 0x5\r\n\r\nhello`],
  [
    'a length beyond 64 bits',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Content-Length: 99999999999999999999\r\n\r\nhello`,
  ],
  [
    'an unknown coding before chunked',
    501,
    `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'an unknown coding in a field of its own before chunked',
    501,
    `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['a coding that ends in chunked', 501, `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: xchunked\r\n\r\n`],
  ['an empty Transfer-Encoding', 501, `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding:\r\n\r\n`],
  ['chunked twice', 400, `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
  [
    'chunked not at the end',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
  ],
  [
    'chunked and identity in two fields',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
  ],
  [
    'a vertical tab before chunked',
    400,
    `POST / HTTP/1.1\r\n${SOAP}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  ],
  ['a chunk size that is no number', 400, chunked('xyz\r\nhello\r\n0\r\n\r\n')],
  ['a chunk size with 0x', 400, chunked('0x5\r\nhello\r\n0\r\n\r\n')],
  ['a negative chunk size', 400, chunked('-5\r\nhello\r\n0\r\n\r\n')],
  ['an empty chunk size', 400, chunked('\r\nhello\r\n0\r\n\r\n')],
  ['chunk data without CRLF', 400, chunked('5\r\nhelloX0\r\n\r\n')],
  ['a chunk size beyond 64 bits', 400, chunked('FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n')],
  ['a space after the chunk size', 400, chunked('5 \r\nhello\r\n0\r\n\r\n')],
  ['a space before the chunk size', 400, chunked(' 5\r\nhello\r\n0\r\n\r\n')],
  ['chunks with bare LF', 400, chunked('5\nhello\n0\n\n')],
  ['a chunk extension that ends in LF', 400, chunked('5;a\nhello\r\n0\r\n\r\n')],
  ['a chunk extension with a bare CR', 400, chunked('5;a\rX\r\nhello\r\n0\r\n\r\n')],
  ['a chunk extension without end', 400, chunked(`5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`)],
  ['a malformed trailer', 400, chunked('5\r\nhello\r\n0\r\nX T: 1\r\n\r\n')],
  ['a Content-Length in the trailer', 400, chunked('5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n')],
  ['a folded field', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n'],
  ['a folded length', 400, `POST / HTTP/1.1\r\n${SOAP}Content-Length:\r\n 5\r\n\r\nhello`],
  ['a fold before the first field', 400, 'GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n'],
  ['a bare CR in a value', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\rX-B: 2\r\n\r\n'],
  ['bare LF throughout', 400, 'GET / HTTP/1.1\nHost: a\n\n'],
  ['a bare LF after the request line', 400, 'GET / HTTP/1.1\nHost: a\r\n\r\n'],
  ['a bare LF after a field', 400, 'GET / HTTP/1.1\r\nHost: a\nX-B: 2\r\n\r\n'],
  ['a bare LF after the header', 400, 'GET / HTTP/1.1\r\nHost: a\r\n\n'],
  ['NUL in a value', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\x002\r\n\r\n'],
  ['NUL in a name', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX\x00A: 1\r\n\r\n'],
  ['a control character in a value', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\x012\r\n\r\n'],
  ['a space before the colon', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n'],
  ['a space before the colon of Host', 400, 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['a field without colon', 400, 'GET / HTTP/1.1\r\nHost: a\r\nXA\r\n\r\n'],
  ['a field without name', 400, 'GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n'],
  ['GET with a body', 400, 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'],
  ['GET with chunks', 400, 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['HEAD with a body', 400, 'HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'],
  ['a dot segment', 400, 'GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a single dot segment', 400, 'GET /a/./b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a dot segment at the end', 400, 'GET /a/.. HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an encoded dot segment', 400, 'GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a half-encoded dot segment', 400, 'GET /a/.%2e/b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a dot segment between encoded slashes', 400, 'GET /a%2f..%2Fb HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a dot segment between encoded backslashes', 400, 'GET /a%5c..%5cb HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a dot segment with a path parameter', 400, 'GET /a/..;x=1/b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a dot segment with an encoded path parameter', 400, 'GET /a/..%3bx/b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a backslash', 400, 'GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a fragment', 400, 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space in the target', 400, 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a control character in the target', 400, 'GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an absolute target of another scheme', 400, 'GET ftp://b/x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an absolute target with a user', 400, 'GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['the target of a whole server', 400, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a tunnel', 501, 'CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n'],
  ['TRACE', 501, 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an unknown method', 400, 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method in lower case', 400, 'get / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['tabs in the request line', 400, 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a header that is too large', 431, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(5_000)}\r\n\r\n`],
  ['a target that is too large', 431, `GET /${'a'.repeat(5_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['too many fields', 431, `GET / HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(20)}\r\n`],
  ['many too many fields', 431, `GET / HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(200)}\r\n`],
  ['a body that is too large by its length', 413, `POST / HTTP/1.1\r\n${SOAP}Content-Length: 5000\r\n\r\n`],
  ['chunks that are too large', 413, chunked(`1388\r\n${'a'.repeat(5_000)}\r\n0\r\n\r\n`)],
];

describe('a request is refused, its connection ended and nothing forwarded', () => {
  test.each(REFUSED)('for %s', async (_why, status, request) => {
    expect((await refused(request)).status).toBe(status);
  });

  // The result must not depend on whether bytes arrive together or one by one.
  test.each(REFUSED.filter(([, , request]) => request.length < 150))(
    'for %s, byte by byte',
    async (_why, status, request) => {
      expect((await refused(request, { mode: 'byte by byte' })).status).toBe(status);
    },
  );
});

describe('a request that does not arrive', () => {
  // A separate gateway, because on a busy machine the short limits would hit the requests of other tests.
  let by: TestGateway;
  beforeAll(async () => {
    by = await start('timeouts: { requestHeader: 200ms, requestBody: 200ms }\n');
  });
  afterAll(() => by.close());

  test('gets 408 when its header is too slow', async () => {
    expect((await refused('GET / HTTP/1.1\r\nHost:', { by })).status).toBe(408);
  });

  test('gets 408 as a Fault when its body is too slow', async () => {
    const { status, text } = await refused(`POST / HTTP/1.1\r\n${SOAP}Content-Length: 5\r\n\r\nhe`, { by });
    expect(status).toBe(408);
    expect(text).toContain('SOAP-ENV:Client');
    expect(text).toContain('GW_REQUEST_TIMEOUT');
  });

  test('gets 408 when a client connects and sends nothing', async () => {
    expect((await refused('', { by })).status).toBe(408);
  });
});

describe('the answer to a refused request', () => {
  test('is a SOAP 1.1 Fault for a SOAP 1.1 caller', async () => {
    const { text } = await refused(chunked('xyz\r\n'));
    expect(text).toContain('http://schemas.xmlsoap.org/soap/envelope/');
    expect(text).toContain('SOAP-ENV:Client');
    expect(text).toContain('GW_REQUEST_MALFORMED');
    expect(text.toLowerCase()).toContain('connection: close');
  });

  test('is a SOAP 1.2 Fault for a SOAP 1.2 caller', async () => {
    const { text } = await refused(
      'POST /../ HTTP/1.1\r\nHost: a\r\nContent-Type: application/soap+xml\r\nContent-Length: 0\r\n\r\n',
    );
    expect(text).toContain('http://www.w3.org/2003/05/soap-envelope');
    expect(text).toContain('Sender');
  });

  test('is a line of text for other callers', async () => {
    const { text } = await refused('GET /../ HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(text).toMatch(/content-type: text\/plain/i);
    expect(text).toMatch(/\r\n\r\nGW_REQUEST_MALFORMED: [^<]*\n$/);
  });

  test('can be read by a client that keeps sending its body before it reads', async () => {
    const BODY_BYTES = 8_000_000;
    const CHUNK_BYTES = 64_000;
    const client = await WireClient.open(gateway.port);
    const answered = gateway.requests().length;
    client.socket.pause();
    client.send(`POST / HTTP/1.1\r\n${SOAP}Content-Length: ${BODY_BYTES}\r\n\r\n`);
    await eventually(() => expect(gateway.requests()).toHaveLength(answered + 1));
    // A connection closed by now would answer with a reset, and the answer would be lost. So much is more than the
    // kernel keeps for a reader: it is all written only because the gateway goes on to read.
    for (let i = 0; i < BODY_BYTES; i += CHUNK_BYTES) {
      await new Promise((written) => client.socket.write(Buffer.alloc(CHUNK_BYTES, 0x61), written));
    }
    client.socket.resume();
    expect((await client.response()).status).toBe(413);
    client.leave();
  });

  test('is the last one: requests pipelined behind it are not forwarded', async () => {
    await refused(`GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${soapPost('/smuggled', ENVELOPE)}`);
    await refused(`${soapPost('/a', 'x'.repeat(5_000))}${soapPost('/smuggled', ENVELOPE)}`);
  });
});

describe('a connection keeps working', () => {
  const close = 'Connection: close';

  test('after an empty line before the request', async () => {
    const client = await WireClient.open(gateway.port);
    client.send(`\r\n${soapPost('/', ENVELOPE, [close])}`);
    expect((await client.response()).status).toBe(200);
    await client.end();
  });

  test('for HTTP/1.0 with Host, and ends after the answer', async () => {
    const client = await WireClient.open(gateway.port);
    client.send('GET /old HTTP/1.0\r\nHost: ici.example\r\n\r\n');
    expect((await client.response('GET')).body.toString()).toBe('ok');
    await client.untilEnd();
    expect(upstream.requests[0]?.get('host')).toBe('ici.example');
    client.leave();
  });

  test('for HTTP/1.0 that asks for keep-alive', async () => {
    const client = await WireClient.open(gateway.port);
    const request = 'GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n';
    client.send(request);
    const response = await client.response('GET');
    expect(response.get('connection')).toBe('keep-alive');
    client.send(request);
    expect(await client.responses(2)).toHaveLength(2);
    client.leave();
  });

  test('for several requests, one after the other', async () => {
    const client = await WireClient.open(gateway.port);
    for (let i = 1; i <= 5; i += 1) {
      client.send(soapPost(`/${i}`, ENVELOPE));
      expect(await client.responses(i)).toHaveLength(i);
    }
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/1', '/2', '/3', '/4', '/5']);
    client.leave();
  });

  test('for pipelined requests, forwarded one at a time and answered in order', async () => {
    let open = 0;
    let most = 0;
    upstream.answer = ({ target }, socket) => {
      open += 1;
      most = Math.max(most, open);
      // Without ordering, the first answer would come last.
      setTimeout(
        () => {
          open -= 1;
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
        },
        40 - 10 * Number(target.slice(1)),
      );
    };
    const client = await WireClient.open(gateway.port);
    client.send([1, 2, 3, 4].map((i) => soapPost(`/${i}`, ENVELOPE)).join(''));
    const bodies = (await client.responses(4)).map(({ body }) => body.toString());
    expect(bodies).toEqual(['/1', '/2', '/3', '/4']);
    expect(most).toBe(1);
    client.leave();
  });

  test('until garbage follows a valid request: the valid one gets its answer, then the connection ends', async () => {
    upstream.answer = (_request, socket) => {
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'), 20);
    };
    const client = await WireClient.open(gateway.port);
    client.send(`${soapPost('/', ENVELOPE)}\x00garbage\r\n\r\n`);
    expect((await client.response()).body.toString()).toBe('good');
    await client.untilEnd();
    expect(upstream.requests).toHaveLength(1);
    client.leave();
  });

  test('when a client expects 100-continue, which is not forwarded to the instance', async () => {
    const client = await WireClient.open(gateway.port);
    client.send(`POST / HTTP/1.1\r\n${SOAP}Expect: 100-continue\r\n${close}\r\nContent-Length: 5\r\n\r\n`);
    await client.until((bytes) => bytes.includes('100 Continue\r\n\r\n'));
    expect(upstream.requests).toHaveLength(0);
    client.send('hello');
    expect((await client.response()).status).toBe(200);
    const [received] = upstream.requests;
    expect(received?.get('expect')).toBeUndefined();
    expect(received?.body.toString()).toBe('hello');
    await client.end();
  });

  test('for chunks with extensions and trailers, which are not forwarded', async () => {
    const client = await WireClient.open(gateway.port);
    client.send(
      `POST / HTTP/1.1\r\n${SOAP}${close}\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c="d"\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`,
    );
    expect((await client.response()).status).toBe(200);
    expect(upstream.requests[0]?.body.toString()).toBe('hello');
    expect(upstream.requests[0]?.get('x-t')).toBeUndefined();
    await client.end();
  });

  beforeEach(() => {
    upstream.answer = (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    };
  });
});
