import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { Answer } from '../support/wire.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/**
 * Clients that end their side of the connection after a complete request and go on to read (RFC 9112 §9.6). They used
 * to get nothing, although the instance had executed the request. `forwarding-waiting.test.ts` has clients that leave.
 */

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
beforeEach(() => {
  upstream.answer = after(10);
  upstream.requests.length = 0;
  gateway.log.length = 0;
});

const after =
  (ms: number): Answer =>
  (request, socket) =>
    void setTimeout(OK, ms, request, socket);

async function halfClosed(port: number, bytes: string): Promise<WireClient> {
  const client = await WireClient.open(port);
  client.send(bytes).socket.end();
  return client;
}

describe('a client that ends its side after its request', () => {
  test.each([
    ['HTTP/1.1', 'POST / HTTP/1.1\r\nHost: a\r\n'],
    ['HTTP/1.0', 'POST / HTTP/1.0\r\n'],
    ['HTTP/1.0 with keep-alive', 'POST / HTTP/1.0\r\nConnection: keep-alive\r\n'],
  ])('gets the answer to a whole POST, then the end: %s', async (_version, start) => {
    const client = await halfClosed(gateway.port, `${start}Content-Length: 5\r\n\r\nhello`);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 200, body: Buffer.from('ok') });
    expect(answer.get('connection')).toBe('close');
    await client.closed;
    await eventually(() => expect(gateway.requests()).toMatchObject([{ status: 200, clientEnded: true }]));
    expect(gateway.requests()[0]?.['failure']).toBeUndefined();
  });

  test('gets the answers to all pipelined requests', async () => {
    const client = await halfClosed(
      gateway.port,
      ['/1', '/2', '/3'].map((at) => soapPost(at, ENVELOPE)).join(''),
    );
    expect(await client.responses(3)).toHaveLength(3);
    await client.closed;
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/1', '/2', '/3']);
  });

  test('gets the answers to the whole ones of its pipelined requests, if the last one breaks off', async () => {
    const broken = 'POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
    const client = await halfClosed(
      gateway.port,
      soapPost('/1', ENVELOPE) + soapPost('/2', ENVELOPE) + broken,
    );
    expect((await client.responses(3)).map(({ status }) => status)).toEqual([200, 200, 400]);
    await client.closed;
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/1', '/2']);
  });

  test('waits for an instance like others, and is asked by interim answers whether it still reads', async () => {
    await upstream.refuse();
    const client = await halfClosed(gateway.port, soapPost('/held', ENVELOPE));
    await client.until((bytes) => bytes.includes('HTTP/1.1 100 Continue\r\n\r\n'));
    await upstream.listen(upstream.port);
    expect((await client.response()).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
  });

  test('gets a Fault for a request that is refused', async () => {
    const client = await halfClosed(gateway.port, soapPost('/a/../b', ENVELOPE));
    const answer = await client.response();
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).toContain('GW_REQUEST_MALFORMED');
    expect(upstream.requests).toHaveLength(0);
  });

  test.each([
    ['', soapPost('/', ENVELOPE)],
    [' and asked for an upgrade', soapPost('/', ENVELOPE, ['Connection: Upgrade', 'Upgrade: h2c'])],
  ])('in the middle of its body is a client that has left%s', async (_how, request) => {
    const client = await halfClosed(gateway.port, request.slice(0, -5));
    await client.closed;
    expect(client.text).toBe('');
    expect(upstream.requests).toHaveLength(0);
    await eventually(() => expect(gateway.requests()).toMatchObject([{ status: 499 }]));
  });
});
