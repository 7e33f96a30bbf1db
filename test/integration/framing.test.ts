import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { WireResponse } from '../support/wire.ts';
import { ENVELOPE, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';
import { chunked, REFUSED, SOAP } from './framing-support.ts';

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
  const logged = by.requests().length;
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
  const status = Number(text.split(' ')[1]);
  await eventually(() =>
    expect(by.requests().slice(logged), 'log lines').toMatchObject([
      { status, client: '127.0.0.1', decision: 'refused', error: expect.stringMatching(/^GW_/) },
    ]),
  );
  return { status, text };
}

/** The answers that the gateway has counted: all, and its own errors. */
async function counted(): Promise<{ requests: number; errors: number }> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'gm'))].reduce(
      (all, [, n]) => all + Number(n),
      0,
    );
  return { requests: sum('gateway_requests_total'), errors: sum('gateway_errors_total') };
}

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
    const body = Buffer.alloc(8_000_000, 0x61);
    await eventually(async () => {
      const client = await WireClient.open(gateway.port);
      const answered = gateway.requests().length;
      client.socket.pause();
      const begunAt = performance.now();
      client.send(`POST / HTTP/1.1\r\n${SOAP}Content-Length: ${body.length}\r\n\r\n`);
      await eventually(() => expect(gateway.requests()).toHaveLength(answered + 1));
      // A connection closed by now would answer with a reset, and the answer would be lost. So much is more than the
      // kernel keeps for a reader: it is all written only because the gateway goes on to read.
      await new Promise((written) => client.socket.write(body, written));
      client.socket.resume();
      const [answer] = await Promise.allSettled([client.response()]);
      client.leave();
      // The gateway goes on for a second. On a busy machine the client may be slower.
      expect(performance.now() - begunAt).toBeLessThan(1_000);
      expect(answer).toMatchObject({ status: 'fulfilled', value: { status: 413 } });
    });
  });

  test.each([
    ['what the parser refuses', `POST /\xe4 HTTP/1.1\r\n${SOAP}\r\n`],
    ['an unknown expectation', `POST / HTTP/1.1\r\n${SOAP}Expect: x\r\nContent-Length: 0\r\n\r\n`],
    ['another protocol', `DESCRIBE / RTSP/1.0\r\n${SOAP}\r\n`],
    ['a tunnel', `CONNECT a:80 HTTP/1.1\r\n${SOAP}\r\n`],
  ])('is a Fault with an id and is counted, for %s too', async (_why, request) => {
    const before = await counted();
    const { text } = await refused(request);
    expect(text).toMatch(/x-request-id: [\w-]{36}\r\n/);
    expect(text.toLowerCase()).toContain('\r\nconnection: close\r\n');
    expect(text).toContain('SOAP-ENV:Client');
    expect(await counted()).toEqual({ requests: before.requests + 1, errors: before.errors + 1 });
  });

  test('to what begins like HTTP/2 can be read by a client that keeps sending', async () => {
    await refused('PRI /HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    const client = await WireClient.open(gateway.port);
    client.send('PRI /HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.response()).status).toBe(400);
    for (const more of ['SM\r\n\r\n', 'x']) {
      client.send(more);
      // So that a reset would have arrived.
      await fetch(`${gateway.adminUrl}/livez`);
    }
    expect(client.socket.errored).toBeNull();
    client.leave();
  });

  test('to a tunnel comes after the answers to earlier requests', async () => {
    upstream.answer = (_request, socket) => {
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'), 20);
    };
    const client = await WireClient.open(gateway.port);
    client.send(`${soapPost('/', ENVELOPE)}CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n`);
    expect((await client.responses(2)).map(({ status }) => status)).toEqual([200, 501]);
    await client.end();
  });

  // The parser does not say where in its input a pipelined request begins, nor that it names another protocol.
  test.each([
    ['at once', 'POST /b RTSP/1.0\r\nHost: a\r\n\r\n', []],
    ['with several spaces', 'POST /b  RTSP/1.0\r\nHost: a\r\n\r\n', []],
    ['cut behind its line', 'POST /b RTSP/1.0\r\nHost: a\r\n\r\n', [20]],
    ['cut in its protocol', 'POST /b RTSP/1.0\r\nHost: a\r\n\r\n', [11]],
    ['cut in its version', 'POST /b RTSP/1.0\r\nHost: a\r\n\r\n', [15]],
    ['cut several times', 'POST /b RTSP/1.0\r\nHost: a\r\n\r\n', [3, 10, 14, 22]],
  ])('to a pipelined request of another protocol, %s', async (_how, request, cuts) => {
    const client = await WireClient.open(gateway.port);
    const first = soapPost('/a', ENVELOPE);
    const bytes = first + request;
    let sent = 0;
    for (const cut of [...cuts.map((at) => first.length + at), bytes.length]) {
      client.send(bytes.slice(sent, cut));
      sent = cut;
      if (sent === bytes.length) break;
      // So that the gateway reads the parts apart.
      expect((await client.responses(1))[0]?.status).toBe(200);
      await fetch(`${gateway.adminUrl}/livez`);
    }
    expect((await client.responses(2)).map(({ status }) => status)).toEqual([200, 400]);
    await client.end();
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/a']);
  });

  test('to a pipelined request of another protocol, behind the end of a body that reads like its line', async () => {
    const client = await WireClient.open(gateway.port);
    const quoted = 'POST /b HTTP/1.1\r\n';
    client.send(`POST /a HTTP/1.1\r\n${SOAP}Content-Length: ${1 + quoted.length}\r\n\r\n-`);
    // So that the gateway reads the parts apart.
    await fetch(`${gateway.adminUrl}/livez`);
    client.send(`${quoted}POST /b RTSP/1.0\r\nHost: a\r\n\r\n`);
    expect((await client.responses(2)).map(({ status }) => status)).toEqual([200, 400]);
    await client.end();
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/a']);
  });

  test('comes after that to an earlier request, even if the client has ended its side', async () => {
    const client = await WireClient.open(gateway.port);
    const logged = gateway.requests().length;
    client.send(`${soapPost('/', ENVELOPE)}\x00garbage\r\n\r\n`).socket.end();
    expect((await client.responses(2)).map(({ status }) => status)).toEqual([200, 400]);
    await client.end();
    await eventually(() => expect(gateway.requests()).toHaveLength(logged + 2));
  });

  test('is the last one: requests pipelined behind it are not forwarded', async () => {
    await refused(`GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${soapPost('/smuggled', ENVELOPE)}`);
    await refused(`${soapPost('/a', 'x'.repeat(5_000))}${soapPost('/smuggled', ENVELOPE)}`);
  });
});

describe('OPTIONS', () => {
  async function options(target: string, fields = ''): Promise<WireResponse> {
    const client = await WireClient.open(gateway.port);
    client.send(`OPTIONS ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    const answer = await client.response('OPTIONS');
    client.leave();
    return answer;
  }

  test.each([
    ['the whole server', '*', ''],
    ['a server without a path', 'http://a:80', ''],
    ['what may go no further', '/ici', 'Max-Forwards: 0\r\n'],
  ])('of %s is answered by the gateway itself', async (_what, target, fields) => {
    const logged = gateway.requests().length;
    const answer = await options(target, fields);
    expect(answer.status).toBe(204);
    expect(answer.get('allow')).toContain('POST');
    expect(upstream.requests).toHaveLength(0);
    await eventually(() =>
      expect(gateway.requests().slice(logged)).toMatchObject([{ status: 204, decision: 'own' }]),
    );
  });

  test('with a malformed body is refused, and ends the connection', async () => {
    const fields = 'Host: a\r\nMax-Forwards: 0\r\nTransfer-Encoding: chunked\r\n';
    await refused(`OPTIONS /ici HTTP/1.1\r\n${fields}\r\n5\r\nhello\n0\r\n\r\n`);
  });

  test('that may go further is counted down and forwarded', async () => {
    expect((await options('/ici', 'Max-Forwards: 3\r\n')).status).toBe(200);
    expect(upstream.requests[0]?.all('max-forwards')).toEqual(['2']);
    expect((await options('/ici')).status).toBe(200);
    expect(upstream.requests[1]?.all('max-forwards')).toEqual([]);
  });
});
