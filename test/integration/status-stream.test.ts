import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import Fastify from 'fastify';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { StatusStreamsOptions } from '../../src/admin/status-streams.ts';
import { StatusStreams } from '../../src/admin/status-streams.ts';
import type { GatewayStatus } from '../../src/core/gateway-status.ts';
import { eventually } from '../support/eventually.ts';
import { ask, TOKEN } from '../support/operator.ts';
import { stopwatch } from '../support/processor-wait.ts';
import { AdministeredGateway, WHY } from './admin-acts-support.ts';

const AUTHORIZED = { headers: { authorization: `Bearer ${TOKEN}` } };

/** Reads server-sent events as a browser does. */
class Events {
  readonly statuses: GatewayStatus[] = [];
  text = '';
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly ended: Promise<void>;

  private constructor(reader: ReadableStreamDefaultReader<string>) {
    this.#reader = reader;
    this.ended = this.#read();
  }

  static async open(adminUrl: string): Promise<Events> {
    const { status, headers, body } = await fetch(`${adminUrl}/status/stream`, AUTHORIZED);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    if (body === null) throw new Error('no body');
    return new Events(body.pipeThrough(new TextDecoderStream()).getReader());
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }

  async #read(): Promise<void> {
    for (;;) {
      const { done, value = '' } = await this.#reader.read();
      if (done) return;
      this.text += value;
      const parts = this.text.split('\n\n');
      this.statuses.length = 0;
      for (const part of parts.slice(0, -1)) {
        const [, data] = /^event: status\ndata: (.*)$/s.exec(part) ?? [];
        if (data !== undefined) this.statuses.push(JSON.parse(data));
      }
    }
  }
}

describe('the stream of the status', () => {
  let on: AdministeredGateway;

  beforeEach(async () => {
    on = await AdministeredGateway.prepare();
    await on.start('');
  });
  afterEach(() => on.close());

  const open = async (): Promise<Events> => {
    const events = await Events.open(on.gateway.adminUrl);
    onTestFinished(() => events.close().catch(() => undefined));
    return events;
  };
  const adminOf = (status: GatewayStatus | undefined): string | undefined =>
    status?.pools[0]?.instances[0]?.admin;

  test('begins with the whole status, and has the next one soon after a change', async () => {
    const events = await open();
    await eventually(() => expect(events.statuses).toHaveLength(1));
    expect(events.text).toMatch(/^retry: 2000\n\nevent: status\n/);
    expect(adminOf(events.statuses[0])).toBe('enabled');
    const tookMs = stopwatch();
    await on.change('/instances/a/drain');
    await eventually(() => expect(adminOf(events.statuses.at(-1))).toBe('draining'));
    // Without a change the next one comes after 5 s.
    expect(tookMs()).toBeLessThan(4_000);
  });

  test('ends when the gateway stops, which does not wait for it', async () => {
    const events = await open();
    await eventually(() => expect(events.statuses).not.toEqual([]));
    await on.gateway.close();
    // A reader that the gateway cuts off, as it does after a second, gets an error instead.
    await events.ended;
  });

  test('ends when its reader is no longer known', async () => {
    const events = await open();
    let hasEnded = false;
    void events.ended.then(() => {
      hasEnded = true;
    });
    await eventually(() => expect(events.statuses).toHaveLength(1));
    const next = 'the-next-token-0123456789';
    on.replaceToken(next);
    await eventually(async () => {
      const { status } = await ask(on.gateway.adminUrl, 'POST', '/pools/ici/instances/a/drain', WHY, next);
      expect(status).toBe(200);
    });
    await eventually(() => expect(hasEnded).toBe(true));
    expect(adminOf(events.statuses.at(-1))).toBe('enabled');
  });

  test('is refused if there are too many; one that ends makes room', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => open()));
    const tooMany = await fetch(`${on.gateway.adminUrl}/status/stream`, AUTHORIZED);
    expect([tooMany.status, await tooMany.json()]).toEqual([
      503,
      { error: 'there are too many streams of the status; ask GET /status' },
    ]);
    await all[0]?.close();
    await eventually(() => open());
  });

  test('is not opened by a HEAD request', async () => {
    expect(
      (await fetch(`${on.gateway.adminUrl}/status/stream`, { ...AUTHORIZED, method: 'HEAD' })).status,
    ).toBe(404);
  });
});

describe('many events', () => {
  const SIZE = 256 * 1_024;

  /** A server with streams of large events that change at every look. */
  async function serve(options: Partial<StatusStreamsOptions> = {}, isAllowed = () => true) {
    let looks = 0;
    const streams = new StatusStreams({
      look: () => {
        looks += 1;
        return { status: { looks, fill: 'x'.repeat(SIZE) }, news: String(looks) };
      },
      everyMs: 2,
      ...options,
    });
    const held: Socket[] = [];
    const server = Fastify();
    server.server.on('connection', (socket) => held.push(socket));
    server.get('/', (_request, reply) => reply.type('text/event-stream').send(streams.open(isAllowed)));
    await server.listen({ port: 0, host: '127.0.0.1' });
    onTestFinished(async () => {
      streams.close();
      server.server.closeAllConnections();
      await server.close();
    });
    const { port } = server.server.address() as AddressInfo;
    const client = connect(port, '127.0.0.1');
    onTestFinished(() => void client.destroy());
    client.on('error', () => undefined);
    await once(client, 'connect');
    return {
      streams,
      client,
      held,
      looks: () => looks,
      ask: () => client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    };
  }

  test('do not collect for a client that reads none of them', async () => {
    const { streams, client, held, looks, ask } = await serve();
    client.pause();
    ask();
    await eventually(() => expect(looks()).toBeGreaterThan(200));
    const [socket] = held;
    // The kernel takes some; of 200 events of 256 KiB no more than a few wait in this process.
    expect(socket?.writableLength).toBeLessThan(4 * SIZE);
    expect(streams.buffered).toBeLessThan(3 * SIZE);
    // It gets the newest when it reads again.
    let last = 0;
    let text = '';
    client.on('data', (chunk) => {
      text = (text + String(chunk)).slice(-2 * SIZE);
      last = Math.max(last, ...Array.from(text.matchAll(/"looks":(\d+)/g), ([, at]) => Number(at)));
    });
    const seen = looks();
    client.resume();
    await eventually(() => expect(last).toBeGreaterThan(seen));
  });

  test('end with the session of the client', async () => {
    let isLoggedIn = true;
    const { streams, client, ask } = await serve({}, () => isLoggedIn);
    client.resume();
    ask();
    await eventually(() => expect(streams.count).toBe(1));
    isLoggedIn = false;
    await eventually(() => expect(streams.count).toBe(0));
  });

  test('nothing is looked at while no client listens', async () => {
    const { streams, client, looks, ask } = await serve();
    client.resume();
    ask();
    await eventually(() => expect(streams.count).toBe(1));
    client.destroy();
    await eventually(() => expect(streams.count).toBe(0));
    const before = looks();
    const other = await serve();
    other.client.resume();
    other.ask();
    await eventually(() => expect(other.looks()).toBeGreaterThan(20));
    expect(looks()).toBe(before);
  });
});
