import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';
import { chunked, REFUSED } from './framing-support.ts';

/** Requests that ask for an upgrade. The gateway ignores that, but Node's parser expects another protocol behind them. */

const UPGRADE = ['Connection: keep-alive, Upgrade', 'Upgrade: h2c'];
const upgrading = (request: string): string =>
  request.replace('Host: a\r\n', `${UPGRADE.join('\r\n')}\r\nHost: a\r\n`);
const CHUNKED = REFUSED.filter(([, , request]) => /Transfer-Encoding: chunked\r\n\r\n/.test(request));

let upstream: WireUpstream;
let gateway: TestGateway;
let client: WireClient;

beforeAll(async () => {
  upstream = await WireUpstream.start();
  gateway = await startTestGateway(
    `${poolOf([upstream.url])}limits: { headerBytes: 4KB, bodyBytes: 4KB, identityBytes: 1KB }\n`,
  );
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});
beforeEach(() => {
  upstream.requests.length = 0;
});

async function refused(status: number, send: (client: WireClient) => unknown): Promise<void> {
  const logged = gateway.requests().length;
  client = await WireClient.open(gateway.port);
  await send(client);
  await client.untilEnd();
  client.leave();
  expect(client.text).toContain(`HTTP/1.1 ${status} `);
  expect(upstream.requests).toHaveLength(0);
  await eventually(() =>
    expect(gateway.requests().slice(logged)).toMatchObject([
      { status, decision: 'refused', error: expect.stringMatching(/^GW_/) },
    ]),
  );
}

async function countedErrors(): Promise<number> {
  const { values } = (await gateway.metrics.registry.getSingleMetric('gateway_errors_total')?.get()) ?? {};
  return (values ?? []).reduce((sum, { value }) => sum + value, 0);
}

describe('a malformed body of such a request is refused at once', () => {
  test.each(CHUNKED)('for %s', async (_why, status, request) => {
    await refused(status, (one) => one.send(upgrading(request)));
  });

  test('and counted, also if the malformed chunk comes later', async () => {
    const before = await countedErrors();
    await refused(400, (one) => one.sendByteByByte(upgrading(chunked('5\r\nhello\r\nxyz\r\n'))));
    expect(await countedErrors()).toBe(before + 1);
  });
});

test('such a request is the last of its connection: Node reads nothing behind it', async () => {
  client = await WireClient.open(gateway.port);
  client.send(`${soapPost('/a', ENVELOPE, UPGRADE)}${soapPost('/b', ENVELOPE)}`);
  const answer = await client.response();
  expect(answer.status).toBe(200);
  expect(answer.get('connection')).toBe('close');
  await client.end();
  expect(upstream.requests.map(({ target }) => target)).toEqual(['/a']);
});

test('such a request with chunks is forwarded', async () => {
  client = await WireClient.open(gateway.port);
  client.send(upgrading(chunked('5\r\nhello\r\n0\r\n\r\n')));
  expect((await client.response()).status).toBe(200);
  expect(upstream.requests[0]?.body.toString()).toBe('hello');
  await client.end();
});
