import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { WireClient } from '../support/wire.ts';

const REQUEST =
  'POST /ici HTTP/1.1\r\nhost: gateway\r\nsoapuser: MILLER\r\nx-sim-echo: 1\r\ncontent-length: 0\r\n\r\n';
const CONNECTIONS = 500;
const WAITING = 100;

/** A client in its own thread: it connects while the gateway's thread is blocked, then sends requests and counts answers. */
const CLIENTS = `
const { connect } = require('node:net');
const { parentPort, workerData: { port, count, request, signal } } = require('node:worker_threads');
const shared = new Int32Array(signal);
let answered = 0, over = 0;
const sockets = Array.from({ length: count }, () => {
  const socket = connect(port, '127.0.0.1', () => {
    if (Atomics.add(shared, 0, 1) + 1 === count) Atomics.notify(shared, 0);
  });
  let said = '';
  socket.setEncoding('latin1').on('data', (text) => { said += text; });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (said.startsWith('HTTP/1.1 200 ')) answered += 1;
    if (++over === count) parentPort.postMessage(answered);
  });
  return socket;
});
parentPort.on('message', () => { for (const socket of sockets) socket.write(request); });
`;

let connector: SimulatedConnector;
let gateway: TestGateway;
const clients: WireClient[] = [];

beforeEach(async () => {
  connector = await startConnector({ name: 'a' });
});

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await gateway.close();
  await connector.close();
});

async function start(options = ''): Promise<void> {
  gateway = await startTestGateway(
    `${options}\npools: [{ name: ici, mode: failover, health: { path: /health, timeout: 10s }, instances: [{ id: a, url: '${connector.url}', maxInFlight: ${CONNECTIONS} }] }]`,
  );
}

async function open(): Promise<WireClient> {
  const client = await WireClient.open(gateway.port);
  clients.push(client);
  return client;
}

const isDraining = (): void => expect(gateway.status().state).toBe('Draining');

/** The listening handle closes one or more turns after the state changes. */
const refuses = (): Promise<void> =>
  eventually(async () => {
    const probe = WireClient.open(gateway.port);
    // The gateway would wait for an accepted connection.
    probe.then((client) => client.leave()).catch(() => undefined);
    await expect(probe).rejects.toThrow('ECONNREFUSED');
  });

describe('a stopping gateway', () => {
  test('serves every connection that is open and silent at that moment', async () => {
    // Gateway, instance and all clients share one processor, so that a turn of its event loop can take a second.
    await start('timeouts: { connect: 30s, requestHeader: 1m }');
    const silent = await Promise.all(Array.from({ length: CONNECTIONS }, open));
    const stopped = gateway.stop('test');
    await refuses();
    isDraining();
    for (const client of silent) client.send(REQUEST);
    const answers = await Promise.all(
      silent.map(async (client) => {
        await client.until((bytes) => bytes.length > 0, 30_000);
        return client.response();
      }),
    );
    for (const answer of answers) {
      expect(answer.status, answer.body.toString()).toBe(200);
      expect(answer.get('connection')).toBe('close');
    }
    await stopped;
    expect(gateway.requests()).toHaveLength(CONNECTIONS);
  }, 60_000);

  test('first accepts the connections that the kernel has queued while the gateway was busy', async () => {
    await start();
    const signal = new SharedArrayBuffer(4);
    const connected = new Int32Array(signal);
    const worker = new Worker(CLIENTS, {
      eval: true,
      workerData: { port: gateway.port, count: WAITING, request: REQUEST, signal },
    });
    try {
      // The gateway's thread waits here, so that it accepts nothing.
      const until = performance.now() + 10_000;
      while (Atomics.load(connected, 0) < WAITING && performance.now() < until)
        Atomics.wait(connected, 0, Atomics.load(connected, 0), 50);
      expect(Atomics.load(connected, 0)).toBe(WAITING);
      const stopped = gateway.stop('test');
      const counted = once(worker, 'message');
      await refuses();
      worker.postMessage('ask');
      expect(await counted).toEqual([WAITING]);
      await stopped;
    } finally {
      await worker.terminate();
    }
  });

  test('closes idle connections at once, and waits for busy ones', async () => {
    await start();
    const idle = await open();
    expect((await idle.send(REQUEST).response()).get('connection')).toBe('keep-alive');
    await connector.behave({ mode: 'slow', ms: 300, appliesTo: 'soap' });
    const busy = await open();
    busy.send(REQUEST);
    await eventually(() => expect(gateway.status().inFlight).toBe(1));
    const stopped = gateway.stop('test');
    await idle.untilEnd();
    expect(busy.text).toBe('');
    expect(await busy.response()).toMatchObject({ status: 200 });
    await stopped;
  });

  test('accepts for the poll interval, and meanwhile tells clients to close their connections', async () => {
    await start('lifecycle: { statusPollInterval: 400ms }');
    const kept = await open();
    await kept.send(REQUEST).response();
    const stopped = gateway.stop('test');
    expect(gateway.status().state).toBe('Stopping');
    const fresh = await open();
    const [, again] = await kept.send(REQUEST).responses(2);
    for (const answer of [again, await fresh.send(REQUEST).response()]) {
      expect(answer?.status).toBe(200);
      expect(answer?.get('connection')).toBe('close');
    }
    await refuses();
    await stopped;
  });

  test('waits for a silent client no longer than for any header', async () => {
    await start('timeouts: { requestHeader: 300ms }');
    const silent = await open();
    await gateway.stop('test');
    expect(await silent.response()).toMatchObject({ status: 408 });
  });

  test('cuts the remaining connections when its time is over, whether sending, waiting or silent', async () => {
    await start('lifecycle: { shutdownTimeout: 300ms }\ntimeouts: { total: 60s }');
    await connector.behave({ mode: 'hang', appliesTo: 'soap' });
    const waiting = await open();
    const asking = await open();
    const silent = await open();
    waiting.send(REQUEST);
    asking.send(REQUEST.slice(0, 20));
    await eventually(() => expect(gateway.status().inFlight).toBe(1));
    await gateway.stop('test');
    for (const client of [waiting, asking, silent]) {
      await client.untilEnd();
      expect(client.text).toBe('');
    }
  });
});
