import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { post, users } from '../support/load.ts';
import { childrenOf, sendSignal } from '../support/processes.ts';
import { startRedis } from '../support/redis-server.ts';

const AGENTS = users(60, 'POWER');

test('all gateways and Redis are killed, and Redis is empty: no agent moves', { tags: 'long' }, async () => {
  const redis = await startRedis();
  const connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
  const stateDirs = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'ici-gateway-power-')));
  let gateways: GatewayProcess[] = [];
  const start = async (): Promise<void> => {
    gateways = await Promise.all(
      stateDirs.map((stateDir) =>
        startGatewayProcess({
          workers: 2,
          pools: [
            {
              name: 'ici',
              mode: 'sticky',
              balancer: 'random',
              health: { path: '/health', incarnation: '"incarnation":"([^"]+)"' },
              instances: connectors.map(({ name, url }) => ({ id: name, url })),
            },
          ],
          affinity: { stateDir, redis: { url: redis.url } },
          coordination: { lease: '1s' },
        }),
      ),
    );
  };
  const killAll = async (): Promise<void> => {
    // All processes at once, as when the power fails.
    for (const { pid } of gateways)
      for (const child of [pid, ...childrenOf(pid).map((one) => one.pid)]) sendSignal(child, 'SIGKILL');
    await redis.kill();
    await Promise.all(gateways.map((gateway) => gateway.close()));
  };
  const places = async (): Promise<(string | undefined)[][]> =>
    Promise.all(
      AGENTS.map(async (agent) =>
        (await Promise.all(gateways.map(({ url }) => post(url, agent)))).map(({ connector }) => connector),
      ),
    );
  try {
    await start();
    const before = await places();
    expect(before.filter(([one, two]) => one === undefined || one !== two)).toEqual([]);
    await eventually(() => {
      for (const stateDir of stateDirs) {
        const text = readFileSync(join(stateDir, 'snapshot/ici.bindings'), 'utf8');
        expect(AGENTS.filter((agent) => !text.includes(`"u${agent}"`))).toEqual([]);
      }
    });
    await killAll();
    await redis.start();
    await start();
    expect(await places()).toEqual(before);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await Promise.all(connectors.map((connector) => connector.close()));
    await redis.stop();
    for (const stateDir of stateDirs) rmSync(stateDir, { recursive: true, force: true });
  }
});
