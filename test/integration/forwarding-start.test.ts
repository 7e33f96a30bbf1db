import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Gateway } from '../../src/wiring/gateway.ts';
import { startGateway } from '../../src/wiring/gateway.ts';
import { eventually } from '../support/eventually.ts';
import { ENVELOPE, OK, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/**
 * Right after its start a gateway knows no instance. If it routed requests then, it
 * would use the first instance that answered, and other gateways another one.
 */

let healthy: WireUpstream;
let silent: WireUpstream;
let stateDir: string;
let gateway: Gateway | undefined;
let answerProbes: () => void;

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'ici-gateway-start-'));
  healthy = await WireUpstream.start();
  answerProbes = () => undefined;
  // Accepts its first probe, and answers it when the test says so.
  silent = await WireUpstream.start({
    onConnection: (socket) => {
      const before = answerProbes;
      answerProbes = () => {
        before();
        OK({} as never, socket);
      };
      return true;
    },
  });
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  await healthy.close();
  await silent.close();
  rmSync(stateDir, { recursive: true, force: true });
});

async function start(settleTimeout: string, park: string): Promise<number> {
  const { config } = loadConfig({
    text: `listen: { address: '127.0.0.1:0' }
admin: { address: '127.0.0.1:0' }
affinity: { stateDir: ${stateDir} }
timeouts: { park: ${park} }
${poolOf([silent.url, healthy.url]).replace('timeout: 500ms', `timeout: 5s, settleTimeout: ${settleTimeout}`)}`,
    env: {},
  });
  gateway = await startGateway(config, pino({ level: 'silent' }));
  return Number(new URL(gateway.url).port);
}

const healthOf = (index: number): string | undefined => gateway?.status().pools[0]?.instances[index]?.health;

describe('before the first round of probes is over', () => {
  test('no request is routed, although one instance is up; afterwards they are', async () => {
    const port = await start('10s', '5s');
    const client = (await WireClient.open(port)).send(soapPost('/', ENVELOPE));
    await eventually(() => {
      expect(healthOf(1)).toBe('up');
      expect(gateway?.status().pools[0]?.parked).toBe(1);
    });
    expect(gateway?.status().state).toBe('Starting');
    expect(healthy.requests).toHaveLength(0);
    silent.onConnection = undefined;
    answerProbes();
    expect((await client.response()).status).toBe(200);
    client.leave();
    await eventually(() => expect(gateway?.status().state).toBe('Running'));
  });

  test('a request that was held too long gets an error', async () => {
    const port = await start('10s', '100ms');
    const client = (await WireClient.open(port)).send(soapPost('/', ENVELOPE));
    const response = await client.response();
    client.leave();
    expect(response.status).toBe(503);
    expect(response.body.toString()).toContain('GW_STARTING');
    expect(healthy.requests).toHaveLength(0);
  });

  test('the gateway serves after its time limit without the instances that have not answered', async () => {
    const port = await start('200ms', '5s');
    const client = (await WireClient.open(port)).send(soapPost('/', ENVELOPE));
    expect((await client.response()).status).toBe(200);
    client.leave();
    expect(healthOf(0)).toBe('unknown');
    expect(healthy.requests).toHaveLength(1);
  });
});
