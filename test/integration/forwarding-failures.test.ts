import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { halt } from '../support/processes.ts';
import { stopwatch } from '../support/processor-wait.ts';
import { LISTENING, tcpConnections } from '../support/tcp-table.ts';
import type { LogLine, TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { WireResponse } from '../support/wire.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/**
 * Proves what counts as unsent. For each way in which an instance can fail: what the
 * client gets, what the log says, and how often the instance received the
 * request, which is never twice.
 */

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function instance(...[options]: Parameters<typeof WireUpstream.start>): Promise<WireUpstream> {
  const upstream = await WireUpstream.start(options);
  opened.push(upstream);
  return upstream;
}

async function gatewayTo(urls: readonly string[], rest = ''): Promise<TestGateway> {
  const gateway = await startTestGateway(
    `${poolOf(urls)}timeouts: { connect: 150ms, park: 100ms, responseHeader: 300ms${rest} }\n`,
  );
  opened.push({
    close: async () => {
      await eventually(() => expect(gateway.status().inFlight).toBe(0));
      for (const { inFlight } of gateway.status().pools[0]?.instances ?? []) expect(inFlight).toBe(0);
      const tookMs = stopwatch();
      await gateway.close();
      expect(tookMs()).toBeLessThan(1_500);
    },
  });
  return gateway;
}

async function call(gateway: TestGateway, bytes = soapPost('/', ENVELOPE)): Promise<WireResponse> {
  const client = await WireClient.open(gateway.port);
  client.send(bytes);
  const response = await client.response();
  client.leave();
  return response;
}

async function lastLine(gateway: TestGateway, count = 1): Promise<LogLine> {
  return await eventually(() => {
    const lines = gateway.requests();
    expect(lines).toHaveLength(count);
    return lines.at(-1) as LogLine;
  });
}

function rst(socket: Socket): void {
  socket.resetAndDestroy();
}

describe('nothing was sent: answered 503', () => {
  test('when the instance refuses connections', async () => {
    const upstream = await instance();
    const gateway = await gatewayTo([upstream.url]);
    await upstream.refuse();
    const response = await call(gateway);
    expect(response.status).toBe(503);
    expect(response.body.toString()).toMatch(/GW_UPSTREAM_UNREACHABLE|GW_NO_INSTANCE/);
    expect(response.body.toString()).toContain('SOAP-ENV:Server');
    // ECONNREFUSED names the address; the answer must not.
    expect(response.body.toString()).not.toContain(String(upstream.port));
    expect(response.body.toString()).not.toContain('ECONNREFUSED');
    expect(await lastLine(gateway)).toMatchObject({ failure: 'connect-failure', sent: false, status: 503 });
    expect(upstream.requests).toHaveLength(0);
  });

  test('when the instance does not accept and its queue of connections is full', async () => {
    const { port, stop } = await stoppableInstance();
    const gateway = await gatewayTo([`http://127.0.0.1:${port}`]);
    await stop();
    const response = await call(gateway);
    expect(response.status).toBe(503);
    expect(await lastLine(gateway)).toMatchObject({ failure: 'connect-failure', sent: false, status: 503 });
  });
});

const BACKLOG = 1;

/** An instance in a process of its own, which can stop accepting without closing. */
async function stoppableInstance(): Promise<{ port: number; stop: () => Promise<void> }> {
  const child = spawn(
    process.execPath,
    [
      '-e',
      `require('node:http').createServer((_, r) => r.end('ok')).listen({ port: 0, host: '127.0.0.1', backlog: ${BACKLOG} }, function () { console.log(this.address().port) })`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const gone = once(child, 'exit');
  opened.push({
    close: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  });
  const [first] = await once(child.stdout, 'data');
  const port = Number(String(first));
  const stop = async (): Promise<void> => {
    await halt(child.pid as number);
    // The kernel takes one more than the backlog (listen(2) of Linux); further connections get no answer.
    const queued = Array.from({ length: BACKLOG + 1 }, () =>
      connect(port, '127.0.0.1').on('error', () => undefined),
    );
    opened.push({
      close: async () => {
        for (const socket of queued) socket.destroy();
      },
    });
    // One of them may wait for ever, because a probe can have taken its place.
    await eventually(() => expect(queueOf(port)).toBe(BACKLOG + 1));
  };
  return { port, stop };
}

/** The number of connections that wait to be accepted at a port of this host. */
function queueOf(port: number): number {
  const listening = tcpConnections(readFileSync('/proc/net/tcp', 'latin1')).find(
    ({ localPort, state }) => localPort === port && state === LISTENING,
  );
  if (listening === undefined) throw new Error(`no process listens on port ${port}`);
  return listening.receiveQueue;
}

type Misdeed = readonly [
  how: string,
  status: number,
  failure: string,
  code: string,
  treat: (socket: Socket) => void,
];

const MISDEEDS: readonly Misdeed[] = [
  ['resets after the request', 502, 'empty-response', 'GW_OUTCOME_UNKNOWN', (socket: Socket) => rst(socket)],
  [
    'closes after the request',
    502,
    'empty-response',
    'GW_OUTCOME_UNKNOWN',
    (socket: Socket) => void socket.end(),
  ],
  [
    'answers garbage',
    502,
    'junk-response',
    'GW_UPSTREAM_INVALID',
    (socket: Socket) => void socket.end('\x00\x01 not HTTP\r\n\r\n'),
  ],
  [
    'ends in mid-header',
    502,
    'empty-response',
    'GW_OUTCOME_UNKNOWN',
    (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nX-A: 1\r\n'),
  ],
  [
    'resets in the middle of a short answer',
    502,
    'response-aborted',
    'GW_OUTCOME_UNKNOWN',
    (socket: Socket) =>
      void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => rst(socket)),
  ],
  ['never answers', 504, 'response-timeout', 'GW_UPSTREAM_TIMEOUT', () => undefined],
];

describe('sent, and the outcome is unknown: answered once, never repeated', () => {
  test.each(MISDEEDS)('when the instance %s', async (_how, status, failure, code, treat) => {
    const upstream = await instance((_request, socket) => treat(socket));
    // Another instance that could be tried, and must not be.
    const other = await instance((_request, socket) => treat(socket));
    const gateway = await gatewayTo([upstream.url, other.url]);
    const response = await call(gateway);
    expect(response.status).toBe(status);
    expect(response.body.toString()).toContain(code);
    expect(response.body.toString()).toContain('SOAP-ENV:Server');
    expect(response.body.toString()).not.toContain(String(upstream.port));
    expect(await lastLine(gateway)).toMatchObject({
      status,
      failure,
      error: code,
      sent: true,
      outcomeUnknown: true,
      attempts: 1,
    });
    expect(upstream.requests.length + other.requests.length).toBe(1);
  });

  test('when a long answer breaks off, the client’s connection is cut, because its status was already sent', async () => {
    const upstream = await instance((_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
      socket.write(Buffer.alloc(300_000), () => rst(socket));
    });
    const gateway = await gatewayTo([upstream.url]);
    const client = await WireClient.open(gateway.port);
    client.send(soapPost('/', ENVELOPE));
    await client.untilEnd();
    client.leave();
    expect(client.text).toMatch(/^HTTP\/1.1 200 OK/);
    expect(client.bytes.length).toBeLessThan(1_000_000);
    expect(await lastLine(gateway)).toMatchObject({ status: 200, failure: 'response-aborted', sent: true });
    expect(upstream.requests).toHaveLength(1);
  });

  test('when the instance accepts and resets before it reads, because the request may have arrived', async () => {
    const upstream = await instance();
    const gateway = await gatewayTo([upstream.url]);
    // Probes must not meet this: the instance stays up.
    upstream.onConnection = (socket) => {
      socket.once('data', (first: Buffer) => {
        if (first.toString().startsWith('GET /health ')) OK({} as never, socket);
        else rst(socket);
      });
      return true;
    };
    const response = await call(gateway);
    expect(response.status).toBe(502);
    expect(await lastLine(gateway)).toMatchObject({ failure: 'empty-response', sent: true, attempts: 1 });
  });
});

describe('an instance that fails', () => {
  test('with a reset is judged by what was sent, not by the error', async () => {
    const upstream = await instance();
    const gateway = await gatewayTo([upstream.url]);
    upstream.onConnection = (socket) => {
      rst(socket);
      return true;
    };
    const answers = await Promise.all(Array.from({ length: 5 }, () => call(gateway)));
    const lines = await eventually(() => {
      expect(gateway.requests()).toHaveLength(5);
      return gateway.requests();
    });
    for (const line of lines) expect(line['status']).toBe(line['sent'] === true ? 502 : 503);
    const unknown = answers.filter(({ status }) => status === 502).length;
    expect(lines.filter(({ sent, attempts }) => sent === true && attempts === 1)).toHaveLength(unknown);
    expect(upstream.requests).toHaveLength(0);
  });

  test('does not affect requests at other instances', async () => {
    const dying = await instance((_request, socket) => rst(socket));
    const healthy = await instance();
    const gateway = await gatewayTo([dying.url, healthy.url]);
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (await call(gateway, soapPost(`/${i}`, ENVELOPE))).status),
    );
    const broken = statuses.filter((status) => status === 502).length;
    expect(broken).toBe(dying.requests.length);
    expect(statuses.filter((status) => status === 200).length).toBe(healthy.requests.length);
    expect(broken + healthy.requests.length).toBe(20);
  });

  test('by closing an idle connection fails no request: the next one uses a new connection', async () => {
    const upstream = await instance();
    const gateway = await gatewayTo([upstream.url]);
    expect((await call(gateway)).status).toBe(200);
    const [idle] = upstream.trafficSockets;
    idle?.destroy();
    await eventually(() => expect(upstream.sockets.has(idle as Socket)).toBe(false));
    for (let i = 0; i < 5; i += 1) expect((await call(gateway)).status).toBe(200);
    expect(upstream.requests).toHaveLength(6);
  });

  test('keeps its connections between requests', async () => {
    const upstream = await instance();
    const gateway = await gatewayTo([upstream.url]);
    for (let i = 0; i < 10; i += 1) await call(gateway);
    expect(upstream.trafficSockets.size).toBe(1);
  });
});
