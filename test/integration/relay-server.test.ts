import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { RelayClient } from '../../src/proxy/relay-client.ts';
import type { RelayOrder } from '../../src/proxy/relay-message.ts';
import { encodeHead, ORDER_FIELD, OUTCOME_FIELD, orderToField } from '../../src/proxy/relay-message.ts';
import { SharedKey } from '../../src/sockets/shared-key.ts';
import { eventually } from '../support/eventually.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { freePort } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, OK, poolOf, WireClient, WireUpstream } from '../support/wire.ts';

/** What a gateway does with requests of peers, by what reaches the instance. */

const SECRET = randomBytes(32).toString('hex');
const KEY = new SharedKey(SECRET, 'ici-gateway relay');
const token = writeTokenFile();
const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-test-'));
let gateway: TestGateway;
let instance: WireUpstream;
let port: number;

beforeAll(async () => {
  const keyFile = join(directory, 'peers.key');
  writeFileSync(keyFile, SECRET, { mode: 0o600 });
  instance = await WireUpstream.start();
  port = await freePort();
  const affinity = {
    keyPrefix: `relay-${randomBytes(4).toString('hex')}`,
    redis: { url: inject('redisUrl') },
  };
  gateway = await startTestGateway(
    `${poolOf([instance.url])}peers: ${JSON.stringify({ address: `127.0.0.1:${port}`, keyFile })}\naffinity: ${JSON.stringify(affinity)}\n`,
    { env: token.env },
  );
});
afterAll(async () => {
  await gateway.close();
  await instance.close();
  token.remove();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  instance.requests.length = 0;
});
afterEach(() => {
  instance.answer = OK;
});

const ORDER: RelayOrder = {
  pool: 'ici',
  target: { instance: 'i1', incarnation: '', root: { kind: 'user', value: 'MILLER' } },
  viewEpoch: 0,
  requestId: 'r-1',
};
const HEAD = { method: 'POST', path: '/ici?a=%41', headers: ['Host', 'ici.example', 'X-One', 'M\xfcller'] };
const MESSAGE = Buffer.concat([encodeHead(HEAD), Buffer.from(ENVELOPE)]);

interface Ended {
  connected: boolean;
  status?: number;
  body: string;
  error?: Error;
}

/** Relays a request; `abort` gives it up. */
function relay(order: Partial<RelayOrder> = {}, body: Buffer | null = Buffer.from(ENVELOPE)) {
  const so: Ended = { connected: false, body: '' };
  let abort: (reason?: Error) => void = () => {};
  const ended = new Promise<Ended>((resolve) => {
    const client = new RelayClient({ key: KEY, judgeMs: 5_000, silentMs: 5_000, idleMs: 5_000 });
    client.dispatch(`127.0.0.1:${port}`, { ...ORDER, ...order }, HEAD, body, {
      onConnect: (give) => {
        so.connected = true;
        abort = give;
      },
      onHeaders: (status) => {
        so.status = status;
        return true;
      },
      onData: (chunk) => {
        so.body += chunk.toString();
        return true;
      },
      onComplete: () => resolve(so),
      onError: (error) => resolve({ ...so, error }),
    });
  });
  return { ended, abort: () => abort(new Error('given up')) };
}

/** Sends these bytes to the address for peers. */
async function send(fields: readonly string[], body: Buffer): Promise<WireClient> {
  const client = await WireClient.open(port, KEY.client);
  const head = ['POST /relay HTTP/1.1', 'Host: gateway', ...fields].join('\r\n');
  return client.send(`${head}\r\n\r\n`).send(body);
}

/** An operator changes what the instance may take. Resolves when the gateway acts on it. */
async function act(what: 'disable' | 'enable'): Promise<void> {
  const answer = await ask(gateway.adminUrl, 'POST', `/pools/ici/instances/i1/${what}`, { why: 'a test' });
  expect(answer.status).toBe(200);
  const wanted = what === 'disable' ? 'disabled' : 'enabled';
  await eventually(() => expect(gateway.pools[0]?.routingState.view.instances.get('i1')?.admin).toBe(wanted));
}

const orderField = `${ORDER_FIELD}: ${orderToField(ORDER)}`;

describe('a request of a peer', () => {
  test('reaches the instance as the peer sent it, and the answer comes back', async () => {
    expect(await relay().ended).toEqual({ connected: true, status: 200, body: 'ok' });
    const [request] = instance.requests;
    expect([request?.start, request?.body.toString()]).toEqual(['POST /ici?a=%41 HTTP/1.1', ENVELOPE]);
    expect([request?.get('Host'), request?.all('X-One')]).toEqual(['ici.example', ['M\xfcller']]);
    expect((await relay({}, null).ended).status).toBe(200);
    expect(instance.requests[1]?.body).toHaveLength(0);
  });

  test.each<[string, Partial<RelayOrder>]>([
    ['names a newer view', { viewEpoch: 1_000_000 }],
    ['names a pool that does not exist', { pool: 'other' }],
    ['names an instance that does not exist', { target: { ...ORDER.target, instance: 'i9' } }],
    ['names a binding that may have moved since', { target: { ...ORDER.target, epoch: 0 } }],
  ])('is refused before it is sent, if it %s', async (_, order) => {
    const { connected, error } = await relay(order).ended;
    expect([connected, error?.name]).toEqual([false, 'NotRelayed']);
    expect(instance.requests).toHaveLength(0);
  });

  test.each<[string, readonly string[]]>([
    ['does not wait for 100', [orderField]],
    ['has no order', ['Expect: 100-continue']],
    ['has an order that cannot be read', ['Expect: 100-continue', `${ORDER_FIELD}: e30`]],
  ])('is refused if it %s', async (_, fields) => {
    const client = await send([...fields, `Content-Length: ${MESSAGE.length}`], MESSAGE);
    const response = await client.response();
    expect([response.status, response.get(OUTCOME_FIELD)]).toEqual([400, 'unsent']);
    expect(instance.requests).toHaveLength(0);
    client.leave();
  });

  test.each<[string, number, Buffer]>([
    ['is no message', 8, Buffer.from('\0\0\0\x02{}xx')],
    ['is cut short', MESSAGE.length, MESSAGE.subarray(0, 20)],
    ['is larger than any', 10_000_000, Buffer.alloc(10_000_000)],
  ])('does not reach the instance if its body %s', async (_, length, body) => {
    const client = await send([orderField, 'Expect: 100-continue', `Content-Length: ${length}`], body);
    if (body.length < length) client.socket.end();
    await client.untilEnd();
    expect(client.text).toContain('HTTP/1.1 100 ');
    expect(client.text).not.toContain('answered');
    expect(instance.requests).toHaveLength(0);
    // Its place is free again.
    expect(gateway.pools[0]?.upstreams.get('i1')?.inFlight).toBe(0);
    client.leave();
  });

  test('is not sent if the instance may no longer take it when its body has come', async () => {
    const length = `Content-Length: ${MESSAGE.length}`;
    const client = await send([orderField, 'Expect: 100-continue', length], Buffer.alloc(0));
    await client.until((bytes) => bytes.includes('HTTP/1.1 100 '));
    await act('disable');
    try {
      client.send(MESSAGE);
      const response = await client.response();
      expect([response.status, response.get(OUTCOME_FIELD)]).toEqual([409, 'unsent']);
      expect(instance.requests).toHaveLength(0);
    } finally {
      await act('enable');
      client.leave();
    }
  });

  test('is given up when the peer gives it up: the connection to the instance is reset', async () => {
    let isReset = false;
    instance.answer = (_request, socket) => {
      socket.once('error', (error: NodeJS.ErrnoException) => {
        isReset = error.code === 'ECONNRESET';
      });
    };
    const { ended, abort } = relay();
    await eventually(() => expect(instance.requests).toHaveLength(1));
    abort();
    expect((await ended).error?.message).toBe('given up');
    await eventually(() => expect(isReset).toBe(true));
    expect(gateway.pools[0]?.upstreams.get('i1')?.attempts).toHaveLength(0);
  });

  test('is unknown if the instance ends after it has got it', async () => {
    instance.answer = (_request, socket) => socket.resetAndDestroy();
    const { connected, error } = await relay().ended;
    expect([connected, error?.message]).toEqual([true, 'the attempt of the peer failed: empty-response']);
  });
});
