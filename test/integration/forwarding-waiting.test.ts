import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { stopwatch } from '../support/processor-wait.ts';
import { freePort } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { ReceivedRequest } from '../support/wire.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** The concurrency limit of an instance and its queue, deadlines, parking, and clients that leave meanwhile. */

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

interface Held {
  readonly request: ReceivedRequest;
  readonly socket: Socket;
  answer(): void;
}

/** An instance that answers when the test says so. */
async function holdingInstance(): Promise<{ upstream: WireUpstream; held: Held[] }> {
  const held: Held[] = [];
  const upstream = await WireUpstream.start((request, socket) => {
    held.push({ request, socket, answer: () => OK(request, socket) });
  });
  opened.push(upstream);
  return { upstream, held };
}

async function gatewayTo(
  urls: readonly string[],
  { rest = '', instanceOptions = '' } = {},
): Promise<TestGateway> {
  const gateway = await startTestGateway(`${poolOf(urls, '', instanceOptions)}${rest}`);
  opened.push({
    close: async () => {
      await eventually(() => expect(gateway.status().inFlight).toBe(0));
      await eventually(() => expect([inFlightAt(gateway), queuedAt(gateway)]).toEqual([0, 0]));
      await gateway.close();
    },
  });
  return gateway;
}

async function begin(gateway: TestGateway, path: string): Promise<WireClient> {
  const client = await WireClient.open(gateway.port);
  opened.push({ close: async () => client.leave() });
  return client.send(soapPost(path, ENVELOPE));
}

const queuedAt = (gateway: TestGateway): number => gateway.status().pools[0]?.instances[0]?.queued ?? -1;
const inFlightAt = (gateway: TestGateway): number => gateway.status().pools[0]?.instances[0]?.inFlight ?? -1;
const parkedAt = (gateway: TestGateway): number => gateway.status().pools[0]?.parked ?? -1;

describe('an instance at its concurrency limit', () => {
  test('queues further requests, refuses those beyond the queue, and serves in order', async () => {
    const { upstream, held } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url], {
      instanceOptions: 'maxInFlight: 2',
      rest: 'limits: { queued: 2 }\n',
    });
    const clients: WireClient[] = [];
    for (const path of ['/1', '/2']) clients.push(await begin(gateway, path));
    await eventually(() => expect(held).toHaveLength(2));
    for (const [i, path] of ['/3', '/4'].entries()) {
      clients.push(await begin(gateway, path));
      await eventually(() => expect(queuedAt(gateway)).toBe(i + 1));
    }
    const refused = await (await begin(gateway, '/5')).response();
    expect(refused.status).toBe(503);
    expect(refused.body.toString()).toContain('GW_UPSTREAM_BUSY');
    expect(held).toHaveLength(2);

    for (let i = 0; i < 4; i += 1) {
      await eventually(() => expect(held.length).toBeGreaterThan(i));
      held[i]?.answer();
    }
    for (const client of clients) expect((await client.response()).status).toBe(200);
    expect(held.map(({ request }) => request.target).slice(2)).toEqual(['/3', '/4']);
  });

  test('gives a free place to a queued request, not to a new one', async () => {
    const { upstream, held } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url], { instanceOptions: 'maxInFlight: 1' });
    await begin(gateway, '/1');
    await eventually(() => expect(held).toHaveLength(1));
    await begin(gateway, '/2');
    await eventually(() => expect(queuedAt(gateway)).toBe(1));
    await begin(gateway, '/3');
    await eventually(() => expect(queuedAt(gateway)).toBe(2));
    // New requests arrive while places change hands.
    for (let i = 0; i < 6; i += 1) {
      await eventually(() => expect(held).toHaveLength(i + 1));
      const newcomer = begin(gateway, `/new-${i}`);
      held[i]?.answer();
      await newcomer;
    }
    expect(held.slice(0, 3).map(({ request }) => request.target)).toEqual(['/1', '/2', '/3']);
    for (let i = 6; i < 9; i += 1) {
      await eventually(() => expect(held).toHaveLength(i + 1));
      held[i]?.answer();
    }
    expect(new Set(held.map(({ request }) => request.target)).size).toBe(9);
  });

  test('never gets more requests than its limit', async () => {
    let open = 0;
    let most = 0;
    const upstream = await WireUpstream.start((request, socket) => {
      open += 1;
      most = Math.max(most, open);
      setImmediate(() => {
        open -= 1;
        OK(request, socket);
      });
    });
    opened.push(upstream);
    const gateway = await gatewayTo([upstream.url], { instanceOptions: 'maxInFlight: 3' });
    const clients = await Promise.all(Array.from({ length: 60 }, (_, i) => begin(gateway, `/${i}`)));
    for (const client of clients) expect((await client.response()).status).toBe(200);
    expect(most).toBeLessThanOrEqual(3);
    expect(upstream.requests).toHaveLength(60);
  });
});

describe('the total deadline', () => {
  test('holds for each request, also while it waits for a place', async () => {
    const { upstream, held } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url], {
      instanceOptions: 'maxInFlight: 1',
      rest: 'timeouts: { total: 1s, park: 1s, connect: 200ms }\n',
    });
    const tookMs = stopwatch();
    const clients = [await begin(gateway, '/1')];
    await eventually(() => expect(held).toHaveLength(1));
    clients.push(await begin(gateway, '/2'), await begin(gateway, '/3'));
    const answers = await Promise.all(clients.map((client) => client.response()));
    // One after the other they would take 1, 2 and 3 s.
    expect(tookMs()).toBeLessThan(2_900);
    expect(answers.map(({ status }) => status)).toEqual([504, 504, 504]);
    // The second may still get the place of the first before its own deadline: then its outcome is unknown.
    const codes = answers.map(({ body }) => /GW_[A-Z_]+/.exec(body.toString())?.[0]);
    const lines = await eventually(() => {
      expect(gateway.requests()).toHaveLength(3);
      return gateway.requests();
    });
    for (const line of lines) {
      expect(line['error']).toBe(line['sent'] === true ? 'GW_UPSTREAM_TIMEOUT' : 'GW_DEADLINE');
    }
    expect(codes[0]).toBe('GW_UPSTREAM_TIMEOUT');
  });

  test('holds while the body is being sent by a slow client', async () => {
    const { upstream } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url], {
      rest: 'timeouts: { total: 200ms, park: 150ms, connect: 150ms }\n',
    });
    const client = await WireClient.open(gateway.port);
    opened.push({ close: async () => client.leave() });
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 10\r\n\r\nhalf');
    const response = await client.response();
    expect(response.status).toBe(408);
    expect(response.body.toString()).toContain('GW_REQUEST_TIMEOUT');
    expect(upstream.requests).toHaveLength(0);
  });

  test('cuts off an answer that does not end', async () => {
    const upstream = await WireUpstream.start((_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
      socket.write(Buffer.alloc(200_000));
    });
    opened.push(upstream);
    const gateway = await gatewayTo([upstream.url], {
      rest: 'timeouts: { total: 300ms, park: 250ms, connect: 200ms }\n',
    });
    const client = await begin(gateway, '/');
    await client.untilEnd(1_500);
    expect(client.text).toMatch(/^HTTP\/1.1 200/);
  });
});

describe('the limits of the gateway', () => {
  test('on requests in progress answer 503', async () => {
    const { upstream, held } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url], { rest: 'limits: { inFlight: 2 }\n' });
    await begin(gateway, '/1');
    await begin(gateway, '/2');
    await eventually(() => expect(held).toHaveLength(2));
    const response = await (await begin(gateway, '/3')).response();
    expect(response.status).toBe(503);
    expect(response.body.toString()).toContain('GW_OVERLOADED');
    expect(response.get('retry-after')).toBe('1');
    expect(held).toHaveLength(2);
    for (const one of held) one.answer();
  });

  test('on connections close the oldest idle one for a new one', async () => {
    const { upstream } = await holdingInstance();
    upstream.answer = OK;
    const gateway = await gatewayTo([upstream.url], { rest: 'limits: { connections: 2 }\n' });
    const first = await begin(gateway, '/1');
    const second = await begin(gateway, '/2');
    expect([(await first.response()).status, (await second.response()).status]).toEqual([200, 200]);
    const third = await begin(gateway, '/3');
    expect((await third.response()).status).toBe(200);
    await first.end();
    expect(second.isOver).toBe(false);
  });

  test('on parked requests answer 503', async () => {
    const port = await freePort();
    const gateway = await gatewayTo([`http://127.0.0.1:${port}`], { rest: 'limits: { parked: 1 }\n' });
    const parked = await begin(gateway, '/1');
    await eventually(() => expect(parkedAt(gateway)).toBe(1));
    const response = await (await begin(gateway, '/2')).response();
    expect(response.status).toBe(503);
    expect(response.body.toString()).toContain('GW_OVERLOADED');
    parked.leave();
    await eventually(() => expect(parkedAt(gateway)).toBe(0));
  });
});

describe('a request that no instance can take', () => {
  test('is held, and served when an instance comes up', async () => {
    const port = await freePort();
    const gateway = await gatewayTo([`http://127.0.0.1:${port}`]);
    const client = await begin(gateway, '/held');
    await eventually(() => expect(parkedAt(gateway)).toBe(1));
    const upstream = await WireUpstream.start({ port });
    opened.push(upstream);
    expect((await client.response()).status).toBe(200);
    expect(upstream.requests.map(({ target, body }) => [target, body.toString()])).toEqual([
      ['/held', ENVELOPE],
    ]);
    await eventually(() => expect(gateway.requests()[0]?.['parkedMs']).toBeGreaterThan(0));
  });

  test('is also held if its instance has just gone down, and sent once', async () => {
    const { upstream } = await holdingInstance();
    upstream.answer = OK;
    const gateway = await gatewayTo([upstream.url]);
    await upstream.refuse();
    const client = await begin(gateway, '/again');
    await eventually(() => expect(parkedAt(gateway)).toBe(1));
    await upstream.listen(upstream.port);
    expect((await client.response()).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    await eventually(() => expect(Number(gateway.requests()[0]?.['attempts'])).toBeGreaterThan(1));
  });

  test('is answered 503 with a Fault when no instance comes up in time', async () => {
    const gateway = await gatewayTo([`http://127.0.0.1:${await freePort()}`], {
      rest: 'timeouts: { park: 150ms }\n',
    });
    const begun = performance.now();
    const response = await (await begin(gateway, '/')).response();
    expect(performance.now() - begun).toBeGreaterThan(140);
    expect(response.status).toBe(503);
    expect(response.body.toString()).toContain('GW_NO_INSTANCE');
    expect(response.body.toString()).toContain('SOAP-ENV:Server');
  });
});

describe('a client that leaves', () => {
  async function leftBehind(gateway: TestGateway): Promise<void> {
    await eventually(() => expect(gateway.status().inFlight).toBe(0));
    await eventually(() => expect(inFlightAt(gateway)).toBe(0));
    const line = await eventually(() => {
      const found = gateway.requests().find(({ path }) => path === '/left');
      expect(found).toBeDefined();
      return found;
    });
    expect(line).toMatchObject({ failure: 'client-aborted' });
    expect(line?.['error']).toBeUndefined();
    expect(gateway.status().pools[0]?.instances[0]?.health).not.toBe('down');
  }

  test.each(['leave', 'reset'] as const)(
    'while the answer is awaited (%s) ends the call at once and frees the place',
    async (how) => {
      const { upstream, held } = await holdingInstance();
      const gateway = await gatewayTo([upstream.url]);
      const client = await begin(gateway, '/left');
      await eventually(() => expect(held).toHaveLength(1));
      client[how]();
      await eventually(() => expect(held[0]?.socket.destroyed).toBe(true), { within: 10_000 });
      await leftBehind(gateway);
      expect(gateway.requests()[0]).toMatchObject({ status: 499, sent: true });
    },
  );

  test('while its small body uploads is not forwarded at all', async () => {
    const { upstream } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url]);
    const client = await WireClient.open(gateway.port);
    client.send(soapPost('/left', 'x'.repeat(1_000), ['Expect: 100-continue']).slice(0, -500));
    await client.until((bytes) => bytes.includes('HTTP/1.1 100 '));
    client.leave();
    await leftBehind(gateway);
    expect(gateway.requests()[0]).toMatchObject({ sent: false });
    expect(upstream.trafficSockets.size).toBe(0);
  });

  test.each(['leave', 'reset'] as const)(
    'while its large body streams (%s) aborts the call, which is no failure of the instance',
    async (how) => {
      const { upstream } = await holdingInstance();
      const gateway = await gatewayTo([upstream.url]);
      const client = await WireClient.open(gateway.port);
      client.send(soapPost('/left', 'x'.repeat(1_000_000)).slice(0, -100_000));
      await eventually(() => expect(upstream.trafficSockets.size).toBe(1));
      client[how]();
      const [socket] = upstream.trafficSockets;
      await eventually(() => expect(socket?.destroyed).toBe(true), { within: 10_000 });
      await leftBehind(gateway);
      expect(upstream.requests).toHaveLength(0);
    },
  );

  test('while it waits for a place is not forwarded', async () => {
    const { upstream, held } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url], { instanceOptions: 'maxInFlight: 1' });
    await begin(gateway, '/1');
    await eventually(() => expect(held).toHaveLength(1));
    const client = await begin(gateway, '/left');
    await eventually(() => expect(queuedAt(gateway)).toBe(1));
    client.leave();
    await eventually(() => expect(queuedAt(gateway)).toBe(0));
    held[0]?.answer();
    await leftBehind(gateway);
    expect(upstream.requests).toHaveLength(1);
  });

  test('while it is parked is not forwarded', async () => {
    const gateway = await gatewayTo([`http://127.0.0.1:${await freePort()}`]);
    const client = await begin(gateway, '/left');
    await eventually(() => expect(parkedAt(gateway)).toBe(1));
    client.leave();
    await eventually(() => expect(parkedAt(gateway)).toBe(0));
    await eventually(() => expect(gateway.requests()).toHaveLength(1));
    expect(gateway.requests()[0]).toMatchObject({ failure: 'client-aborted', sent: false, attempts: 0 });
  });

  test('while the answer streams ends it at the instance', async () => {
    let pumped = 0;
    const upstream = await WireUpstream.start((_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const pump = (): void => {
        while (!socket.destroyed && pumped < 1e9) {
          pumped += 65_536;
          if (!socket.write(`10000\r\n${'x'.repeat(65_536)}\r\n`)) break;
        }
      };
      socket.on('drain', pump);
      pump();
    });
    opened.push(upstream);
    const gateway = await gatewayTo([upstream.url]);
    const client = await begin(gateway, '/left');
    await client.until((bytes) => bytes.length > 500_000);
    client.leave();
    const [socket] = upstream.trafficSockets;
    await eventually(() => expect(socket?.destroyed).toBe(true), { within: 10_000 });
    await leftBehind(gateway);
  });

  test('in the moment of the answer affects no other client', async () => {
    const { upstream, held } = await holdingInstance();
    const gateway = await gatewayTo([upstream.url]);
    for (let i = 0; i < 20; i += 1) {
      const client = await WireClient.open(gateway.port);
      client.send('GET /left HTTP/1.1\r\nHost: a\r\n\r\n');
      await eventually(() => expect(held).toHaveLength(i + 1), { every: 1 });
      // Half-closed: the gateway knows that the client has left before its connection is gone.
      if (i % 2 === 0) client.socket.end(() => held[i]?.answer());
      else client.leave();
      held[i]?.answer();
    }
    await eventually(() => expect(gateway.requests()).toHaveLength(20));
    upstream.answer = OK;
    expect((await (await begin(gateway, '/')).response()).status).toBe(200);
  });
});
