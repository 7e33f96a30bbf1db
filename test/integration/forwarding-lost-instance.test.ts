import { createConnection } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let connectors: SimulatedConnector[] = [];
let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
});

async function start(limits: string): Promise<void> {
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  gateway = await startTestGateway(`
pools:
  - name: ici
    mode: sticky
    health: { path: /health, interval: 200ms, fastInterval: 50ms, timeout: 200ms, fall: 2 }
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}', ${limits} }`).join(', ')}]
timeouts: { responseHeader: 3s, park: 5s }
`);
}

describe('an instance that hangs while its concurrency limit is reached', () => {
  test('keeps none of the queued requests: they are unsent and go to another instance', async () => {
    await start('maxInFlight: 2');
    const placed = await Promise.all(users(20, 'AGENT').map((user) => post(gateway.url, user)));
    const atA = placed.filter(({ connector }) => connector === 'a').map(({ user }) => user);
    expect(atA.length).toBeGreaterThan(4);
    await (connectors[0] as SimulatedConnector).behave({ mode: 'hang' });

    const outcomes = await Promise.all(atA.map((user) => post(gateway.url, user)));
    const waited = outcomes.filter(({ code }) => code !== 'GW_OUTCOME_UNKNOWN');
    expect(outcomes.length - waited.length).toBe(2);
    expect(waited.every(({ status, connector }) => status === 200 && connector === 'b')).toBe(true);
  });
});

describe('a client that sends endless requests without reading answers', () => {
  test('is not read any further, so that it does not fill the memory', async () => {
    await start('maxInFlight: 2');
    await Promise.all(connectors.map((connector) => connector.behave({ mode: 'hang', appliesTo: 'soap' })));
    const socket = createConnection(gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    try {
      socket.write('POST /ici HTTP/1.1\r\nHost: x\r\nsoapuser: U\r\nContent-Length: 0\r\n\r\n');
      // Far more than the buffers of two sockets hold.
      const endless = Buffer.alloc(64 * 1_024 * 1_024, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      socket.write(endless);
      await eventually(() => expect(socket.bytesWritten).toBeGreaterThan(endless.length));
      // Time enough to read all of it.
      for (let i = 0; i < 50; i += 1) await fetch(`${gateway.adminUrl}/livez`);
      expect(socket.writableLength).toBeGreaterThan(endless.length / 2);
    } finally {
      socket.destroy();
    }
  });
});
