import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Probe } from '../../src/health/probe.ts';
import { createProbe } from '../../src/health/probe.ts';
import { instanceConnector } from '../../src/proxy/instance-connector.ts';
import { InstanceClient } from '../../src/proxy/upstream.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';

/** Short for a probe that is to time out; all others have time enough on a busy machine. */
const TIMEOUT_MS = 300;
const PATIENT_MS = 30_000;

let connector: SimulatedConnector;

beforeEach(async () => {
  connector = await startConnector({ name: 'a' });
});

afterEach(() => connector.close());

function probeWithin(timeoutMs: number): Probe {
  const url = new URL(connector.url);
  const connect = instanceConnector(url, {}, timeoutMs);
  return createProbe(
    {
      path: '/health',
      host: undefined,
      headers: [],
      via: 'ici-gateway',
      open: () => new InstanceClient(url.origin, { pipelining: 1 }, connect),
    },
    {
      timeoutMs,
      status: (status) => status === 200,
      bodyMatches: undefined,
      bodyRejects: undefined,
      incarnation: (page) => /"incarnation":"([^"]+)"/.exec(page)?.[1],
      emptyMatches: /"sessions":0/,
    },
    { text: String, compact: (incarnation) => incarnation },
  );
}

describe('a probe', () => {
  test('returns the values on the page of a healthy instance', async () => {
    expect(await probeWithin(PATIENT_MS)()).toEqual({
      passed: true,
      incarnation: connector.incarnation,
      isEmpty: true,
    });
  });

  test.each([
    ['does not answer', 'hang', true, 'no answer within 300 ms'],
    ['answers another status', 'unavailable', false, 'health page answered status 503'],
    ['ends the connection', 'reset', false, 'ECONNRESET'],
    ['does not listen', 'refuse', false, 'ECONNREFUSED'],
  ] as const)(
    'of an instance that %s reports that, and whether it was a time-out',
    async (_, mode, late, reason) => {
      await connector.behave({ mode });
      const probe = probeWithin(late ? TIMEOUT_MS : PATIENT_MS);
      const { passed, hasTimedOut = false, reason: given } = await probe();
      expect([passed, hasTimedOut]).toEqual([false, late]);
      expect(given).toContain(reason);
    },
  );
});
