import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from 'vitest';
import { EFFECT_MS } from '../../src/admin/pool-acts.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import { AnswerContract } from '../support/answer-contract.ts';
import { startBareReplica } from '../support/bare-replica.ts';
import { eventually } from '../support/eventually.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, TOKEN, writeTokenFile } from '../support/operator.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const IDS = ['a', 'b'];
/** How long a change waits for the other gateways here, and for how much longer one of them holds its leases. */
const WAITS_MS = 500;
const SILENT_MS = 10_000;

let token: TokenFile;
let connectors: readonly SimulatedConnector[];
let gateway: TestGateway;
let peer: RedisConnection;

/** A gateway with another one that holds its leases and does not answer any more. */
beforeAll(async () => {
  token = writeTokenFile();
  connectors = await Promise.all(IDS.map((name) => startConnector({ name })));
  const instances = connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ');
  const pool = (name: string, rest: string): string =>
    `{ name: ${name}, ${rest}, health: { path: /health }, instances: [${instances}] }`;
  const keyPrefix = uniquePrefix();
  const silence = async (name: string, mode: 'sticky' | 'failover'): Promise<void> => {
    const replica = await startBareReplica(peer, {
      id: 'silent-1',
      pool: name,
      mode,
      keyPrefix,
      instances: IDS,
      leaseMs: SILENT_MS,
      joinMs: 300,
    });
    await eventually(() => expect([replica.isEffective, replica.leaseRemaining > 0]).toEqual([true, true]));
  };
  gateway = await startTestGateway(
    `
pools: [${pool('ici', 'mode: sticky')}, ${pool('presence', 'mode: failover, match: { paths: [/presence] }')}]
affinity: { keyPrefix: ${keyPrefix}, redis: { url: '${inject('redisUrl')}' } }
coordination: { lease: 900ms }
`,
    { env: token.env },
  );
  peer = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl') });
  await eventually(() => peer.ping());
  await Promise.all([silence('ici', 'sticky'), silence('presence', 'failover')]);
  await peer.close();
});

afterAll(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
  token.remove();
});

test('a change that not every gateway has acknowledged in time is answered 202, as described', async () => {
  const WHY = { why: 'the contract' };
  const { setTimeout: start } = globalThis;
  const shortened = vi
    .spyOn(globalThis, 'setTimeout')
    .mockImplementation((run, ms, ...args) => start(run, ms === EFFECT_MS ? WAITS_MS : ms, ...args));
  onTestFinished(() => shortened.mockRestore());
  const document = await ask(gateway.adminUrl, 'GET', '/openapi.json');
  const contract = new AnswerContract(document.body);
  const changes = [
    ['POST /pools/{pool}/instances/{instance}/drain', '/pools/ici/instances/a/drain', WHY],
    ['POST /pools/{pool}/instances/{instance}/disable', '/pools/presence/instances/a/disable', WHY],
    ['POST /pools/{pool}/instances/{instance}/enable', '/pools/ici/instances/b/enable', WHY],
    ['POST /pools/{pool}/activate', '/pools/presence/activate', { ...WHY, instance: 'b' }],
  ] as const;
  await Promise.all(
    changes.map(async ([route, path, body]) => {
      const answer = await fetch(`${gateway.adminUrl}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      expect([answer.status, JSON.parse(text).inEffect], `${route}: ${text}`).toEqual([202, false]);
      const type = answer.headers.get('content-type') ?? '';
      expect(contract.problems(route, { status: 202, type, text })).toEqual([]);
    }),
  );
});
