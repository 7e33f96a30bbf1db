import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Probe } from '../../src/health/probe.ts';
import { createProbe } from '../../src/health/probe.ts';
import { instanceClient, instanceConnector } from '../../src/proxy/instance-connector.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';

const TIMEOUT_MS = 300;

let connector: SimulatedConnector;
let probe: Probe;

beforeEach(async () => {
  connector = await startConnector({ name: 'a' });
  const url = new URL(connector.url);
  const connect = instanceConnector(url, {}, TIMEOUT_MS);
  probe = createProbe(
    {
      path: '/health',
      host: undefined,
      open: () => instanceClient(url.origin, { pipelining: 1 }, connect),
    },
    {
      timeoutMs: TIMEOUT_MS,
      status: (status) => status === 200,
      bodyMatches: undefined,
      bodyRejects: undefined,
      incarnation: (page) => /"incarnation":"([^"]+)"/.exec(page)?.[1],
      emptyMatches: /"sessions":0/,
    },
    (incarnation) => incarnation,
  );
});

afterEach(() => connector.close());

describe('a probe', () => {
  test('returns the values on the page of a healthy instance', async () => {
    expect(await probe()).toEqual({ passed: true, incarnation: connector.incarnation, isEmpty: true });
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
      const { passed, hasTimedOut = false, reason: given } = await probe();
      expect([passed, hasTimedOut]).toEqual([false, late]);
      expect(given).toContain(reason);
    },
  );
});
