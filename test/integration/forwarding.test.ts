import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { ReceivedRequest, WireResponse } from '../support/wire.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** The bytes of a request and its answer on the other side. The titles name known traps of the libraries used. */

let upstream: WireUpstream;
let gateway: TestGateway;
let trusting: TestGateway;

beforeAll(async () => {
  upstream = await WireUpstream.start();
  gateway = await startTestGateway(poolOf([upstream.url]));
  trusting = await startTestGateway(
    `${poolOf([upstream.url])}forwarding: { trustedProxies: [127.0.0.0/8] }\n`,
  );
});
afterAll(async () => {
  await gateway.close();
  await trusting.close();
  await upstream.close();
});
afterEach(async () => {
  upstream.answer = OK;
  upstream.requests.length = 0;
  await eventually(() => expect(gateway.status().inFlight).toBe(0));
  await eventually(() => expect(gateway.status().pools[0]?.instances[0]?.inFlight).toBe(0));
});

/** One request over a connection of its own. */
async function call(
  bytes: string,
  { method = 'POST', port = gateway.port } = {},
): Promise<{ received: ReceivedRequest; response: WireResponse }> {
  const client = await WireClient.open(port);
  client.send(bytes);
  const response = await client.response(method);
  client.leave();
  return { received: upstream.requests.at(-1) as ReceivedRequest, response };
}

function answerWith(bytes: string): void {
  upstream.answer = (_request, socket) => socket.write(Buffer.from(bytes, 'latin1'));
}

describe('an answer', () => {
  test('does not relay hop-by-hop fields, neither the usual ones nor those that Connection lists', async () => {
    answerWith(
      'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=72\r\nProxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X-T\r\nUpgrade: h2c\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nok',
    );
    const { response } = await call(soapPost('/', ENVELOPE));
    for (const name of ['proxy-authenticate', 'proxy-connection', 'te', 'trailer', 'upgrade', 'x-hop']) {
      expect(response.get(name), name).toBeUndefined();
    }
    expect(response.get('keep-alive')).not.toBe('timeout=72');
    expect(response.get('x-end')).toBe('2');
  });

  test.each([
    ['that asked for Connection: close', soapPost('/', ENVELOPE, ['Connection: close'])],
    ['that speaks HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'],
  ])('ends the connection of a client %s, whatever the instance says about its own', async (_who, bytes) => {
    answerWith('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok');
    const client = await WireClient.open(gateway.port);
    client.send(bytes);
    expect((await client.response()).get('connection')).toBe('close');
    await client.end(1_000);
  });

  test('keeps the spelling, order and repetition of its fields, and bytes above ASCII', async () => {
    const fields = [
      'X-Alpha: 1',
      'set-cookie: a=1; Path=/',
      'X-aLPHA: 2',
      'Set-Cookie: b=2',
      'X-Name: Müller',
      'X-Utf8: \xe2\x82\xac',
      'X-Empty:',
      'Content-Length: 2',
    ];
    answerWith(`HTTP/1.1 200 OK\r\nDate: today\r\n${fields.join('\r\n')}\r\n\r\nok`);
    const { response } = await call(soapPost('/', ENVELOPE));
    const seen = response.fields.map(([name, value]) => `${name}: ${value}`.trim());
    expect(seen.slice(0, fields.length + 1)).toEqual(['Date: today', ...fields]);
  });

  test('does not get a Content-Type that the instance did not give', async () => {
    answerWith('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    expect((await call(soapPost('/', ENVELOPE))).response.get('content-type')).toBeUndefined();
  });

  test('of 500 with a SOAP Fault is an answer and is passed on unchanged', async () => {
    const fault = '<Fault>unknown session</Fault>';
    answerWith(
      `HTTP/1.1 500 Oops\r\nContent-Type: text/xml;\r\nContent-Length: ${fault.length}\r\n\r\n${fault}`,
    );
    const { response } = await call(soapPost('/', ENVELOPE));
    expect(response.status).toBe(500);
    expect(response.body.toString()).toBe(fault);
    expect(response.get('content-type')).toBe('text/xml;');
    expect(gateway.status().pools[0]?.instances[0]?.health).toBe('up');
  });

  test.each(['GET', 'POST'])('of 503 to a %s is passed on once, with its Retry-After', async (method) => {
    answerWith('HTTP/1.1 503 No\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy');
    const bytes = method === 'GET' ? 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' : soapPost('/', ENVELOPE);
    const { response } = await call(bytes, { method });
    expect(response.status).toBe(503);
    expect(response.all('retry-after')).toEqual(['3']);
    expect(response.body.toString()).toBe('busy');
    expect(upstream.requests).toHaveLength(1);
  });

  test('of 503 does not use up the connections to the instance', async () => {
    answerWith('HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy');
    for (let i = 0; i < 20; i += 1) await call(soapPost('/', ENVELOPE));
    expect(upstream.trafficSockets.size).toBeLessThan(10);
  });

  test.each([
    ['999', 'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['600', 'HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['no number', 'HTTP/1.1 abc Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['both lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    ['a control character in a field', 'HTTP/1.1 200 OK\r\nX-A: \x01\r\nContent-Length: 2\r\n\r\nok'],
    ['an odd name of a field', 'HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 2\r\n\r\nok'],
  ])('with %s is not HTTP: one 502, and the place at the instance is free again', async (_what, bytes) => {
    answerWith(bytes);
    const { response } = await call(soapPost('/', ENVELOPE));
    expect(response.status).toBe(502);
    expect(response.body.toString()).toContain('GW_UPSTREAM_INVALID');
    expect(response.body.toString()).not.toContain(String(upstream.port));
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('a request', () => {
  test.each([
    'text/xml; charset=utf-8',
    'application/soap+xml; charset=utf-8; action="urn:x#y"',
    'multipart/related; type="application/xop+xml"; boundary="--=_ x;y"; start="<a@b>"',
    'text/xml;',
    'TEXT/XML; Charset=ISO-8859-1',
    'text/xml;charset=utf-8 ; x',
    'not a media type',
  ])('keeps the Content-Type %s byte for byte', async (type) => {
    const { received } = await call(
      `POST / HTTP/1.1\r\nHost: a\r\ncontent-TYPE: ${type}\r\nContent-Length: 2\r\n\r\nhi`,
    );
    expect(received.fields).toContainEqual(['content-TYPE', type]);
  });

  test('does not get a Content-Type that the client did not give', async () => {
    const { received } = await call('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
    expect(received.get('content-type')).toBeUndefined();
    expect(received.body.toString()).toBe('hi');
  });

  test('loses its hop-by-hop fields, and none of them is answered 500', async () => {
    const { received, response } = await call(
      soapPost('/', ENVELOPE, [
        'Connection: X-Hop, keep-alive',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic eA==',
        'Proxy-Authenticate: Basic',
        'TE: trailers',
        'Trailer: X-T',
        'Upgrade: websocket',
        'HTTP2-Settings: AAMAAABk',
        'X-Hop: 1',
        'X-End: 2',
      ]),
    );
    expect(response.status).toBe(200);
    const names = received.fields.map(([name]) => name.toLowerCase());
    expect(
      names.filter((name) => /^(keep-alive|proxy-.*|te|trailer|upgrade|http2-settings|x-hop)$/.test(name)),
    ).toEqual([]);
    expect(received.get('connection')).not.toContain('X-Hop');
    expect(received.get('x-end')).toBe('2');
  });

  test('keeps the spelling, order and repetition of its fields, and bytes above ASCII', async () => {
    const fields = [
      'X-B: 1',
      'x-a: 2',
      'X-b: 3',
      'Cookie: a=1',
      'Cookie: b=2',
      'X-Name: M\xfcller',
      'X-Empty:',
    ];
    const { received } = await call(soapPost('/', ENVELOPE, fields));
    const own = received.fields
      .filter(([name]) => /^(x-[ab]|cookie|x-name|x-empty)$/i.test(name))
      .map(([name, value]) => `${name}: ${value}`.trim());
    expect(own).toEqual(fields);
  });

  test.each([
    '/a?x=%',
    '/a%zz?y=%zz',
    '//double//slash',
    '/a%2Fb%2fc',
    '/a?b=../..',
    '/a?b=http://c/d',
    '/;a=b;c',
    "/!$&'()*+,;=:@-._~",
    '/a?q="<>^`{|}',
    '/...',
    '/a?',
    '/?',
    '/.well-known/x',
    '/%00',
  ])('keeps its target %s byte for byte', async (target) => {
    const { received } = await call(soapPost(target, ENVELOPE));
    expect(received.target).toBe(target);
  });

  test.each([
    ['http://ici.example', '/'],
    ['http://ici.example/a?b', '/a?b'],
    ['HTTP://ici.example?b', '/?b'],
  ])(
    'with the absolute target %s is forwarded for the host in it, in origin form',
    async (target, origin) => {
      const { received } = await call(`GET ${target} HTTP/1.1\r\nHost: spoofed\r\n\r\n`, { method: 'GET' });
      expect(received.target).toBe(origin);
      expect(received.all('host')).toEqual(['ici.example']);
      expect(received.get('x-forwarded-host')).toBe('ici.example');
    },
  );

  test.each([
    ['two soapuser fields', ['soapuser: U1', 'soapuser: U2']],
    ['two spellings of soapuser', ['soapuser: U1', 'SoapUser: U2']],
    ['a client that names soapuser in Connection', ['soapuser: U1', 'Connection: soapuser']],
    ['a client that names Soapuser among others', ['soapuser: U1', 'Connection: close, Soapuser']],
  ])('with %s is refused with a Fault and not forwarded', async (_what, fields) => {
    const { response } = await call(soapPost('/', ENVELOPE, fields));
    expect(response.status).toBe(400);
    expect(response.body.toString()).toContain('GW_IDENTITY_AMBIGUOUS');
    expect(response.body.toString()).toContain('SOAP-ENV:Client');
    expect(upstream.requests).toHaveLength(0);
  });

  test('gets forwarding headers of the gateway instead of those of the client', async () => {
    const { received, response } = await call(
      soapPost('/', ENVELOPE, [
        'X-Forwarded-For: 6.6.6.6',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: evil',
        'X-Forwarded-Port: 1',
        'Forwarded: for=6.6.6.6',
        'X-Request-Id: chosen-by-client',
      ]),
    );
    expect(received.all('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(received.all('x-forwarded-proto')).toEqual(['http']);
    expect(received.all('x-forwarded-host')).toEqual(['ici.example']);
    expect(received.get('x-forwarded-port')).toBeUndefined();
    expect(received.get('forwarded')).toBeUndefined();
    expect(received.all('via')).toEqual(['1.1 ici-gateway']);
    expect(received.all('x-request-id')).not.toEqual(['chosen-by-client']);
    expect(received.all('x-request-id')).toEqual(response.all('x-request-id'));
  });

  test('keeps the forwarding headers of a trusted proxy, with one more entry', async () => {
    const { received, response } = await call(
      soapPost('/', ENVELOPE, [
        'X-Forwarded-For: 10.0.0.1, 10.0.0.2',
        'X-Forwarded-For: 10.0.0.3',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: public.example',
        'Via: 1.1 balancer',
        'X-Request-Id: from-the-balancer',
      ]),
      { port: trusting.port },
    );
    expect(received.all('x-forwarded-for')).toEqual(['10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1']);
    expect(received.all('x-forwarded-proto')).toEqual(['https']);
    expect(received.all('x-forwarded-host')).toEqual(['public.example']);
    expect(received.all('via')).toEqual(['1.1 balancer', '1.1 ici-gateway']);
    expect(received.all('x-request-id')).toEqual(['from-the-balancer']);
    expect(response.all('x-request-id')).toEqual(['from-the-balancer']);
    await eventually(() => expect(trusting.requests().at(-1)?.['requestId']).toBe('from-the-balancer'));
  });

  test.each(['a b', 'x'.repeat(129), '', 'a"b', '<script>'])(
    'gets a new id, even if a trusted proxy gave it %j',
    async (id) => {
      const { received } = await call(soapPost('/', ENVELOPE, [`X-Request-Id: ${id}`]), {
        port: trusting.port,
      });
      expect(received.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    },
  );

  test('without a path that a pool serves is answered 404 and not forwarded', async () => {
    const narrow = await startTestGateway(
      poolOf([upstream.url], 'match: { hosts: [ici.example], paths: [/ici] }'),
    );
    const statuses: number[] = [];
    for (const [path, host] of [
      ['/ici/x', 'ici.example'],
      ['/ici', 'ICI.example:8080'],
      ['/icing', 'ici.example'],
      ['/ici', 'other.example'],
    ]) {
      const { response } = await call(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, {
        method: 'GET',
        port: narrow.port,
      });
      statuses.push(response.status);
    }
    // A host inside the target counts, not the field.
    const spoofed = await call('GET http://other.example/ici HTTP/1.1\r\nHost: ici.example\r\n\r\n', {
      method: 'GET',
      port: narrow.port,
    });
    await narrow.close();
    expect([...statuses, spoofed.response.status]).toEqual([200, 200, 404, 404, 404]);
    expect(upstream.requests).toHaveLength(2);
  });
});
