import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';
import { SOAP } from './framing-support.ts';

/** Requests that are unusual, and after which the connection can be used again. */

let upstream: WireUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await WireUpstream.start();
  gateway = await startTestGateway(`${poolOf([upstream.url])}
limits: { headerBytes: 4KB, headers: 20, bodyBytes: 4KB, identityBytes: 1KB }
`);
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});
beforeEach(() => {
  upstream.requests.length = 0;
  upstream.trafficSockets.clear();
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
    expect(upstream.requests[0]?.get('via')).toBe('1.0 ici-gateway');
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

  test('for any number of pipelined requests, of which it reads few at once', async () => {
    const PIPELINED = 150;
    const client = await WireClient.open(gateway.port);
    client.send(
      Array.from({ length: PIPELINED }, (_, i) =>
        soapPost(`/${i}`, ENVELOPE, [`X: ${'a'.repeat(500)}`]),
      ).join(''),
    );
    expect(await client.responses(PIPELINED)).toHaveLength(PIPELINED);
    expect(upstream.requests.map(({ target }) => target)).toEqual(
      Array.from({ length: PIPELINED }, (_, i) => `/${i}`),
    );
    client.leave();
  });

  test('for a request whose body quotes another protocol', async () => {
    const client = await WireClient.open(gateway.port);
    client.send(soapPost('/', '\r\nPOST / RTSP/1.0\r\n\r\n'));
    expect((await client.response()).status).toBe(200);
    client.send(soapPost('/', ENVELOPE, [close]));
    expect((await client.responses(2)).map(({ status }) => status)).toEqual([200, 200]);
    await client.end();
  });

  test('until garbage follows a valid request: the valid one gets its answer, then the garbage its own, and the connection ends', async () => {
    upstream.answer = (_request, socket) => {
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'), 20);
    };
    const client = await WireClient.open(gateway.port);
    client.send(`${soapPost('/', ENVELOPE)}\x00garbage\r\n\r\n`);
    expect((await client.responses(2)).map(({ status }) => status)).toEqual([200, 400]);
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
