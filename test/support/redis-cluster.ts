import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import { redisCommand } from './redis-command.ts';
import type { RedisServer } from './redis-server.ts';
import { freePort, startRedis } from './redis-server.ts';

/** Three masters that share the slots, as processes. */
export interface RedisCluster {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly servers: readonly RedisServer[];
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const MASTERS = 3;

export async function startCluster(): Promise<RedisCluster> {
  const masters = await Promise.all(
    Array.from({ length: MASTERS }, async () => {
      const busPort = await freePort();
      const args = [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(busPort),
        '--cluster-require-full-coverage',
        'no',
        '--cluster-node-timeout',
        '2000',
      ];
      return { server: await startRedis({ args }), busPort };
    }),
  );
  const servers = masters.map(({ server }) => server);
  const stop = async (): Promise<void> => {
    for (const server of servers) await server.stop();
  };
  try {
    await join(masters);
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes: servers.map(({ port }) => ({ host: '127.0.0.1', port })), servers, stop };
}

interface Master {
  readonly server: RedisServer;
  readonly busPort: number;
}

/** Resolves once all nodes know each other and every slot is served. */
async function join(masters: readonly Master[]): Promise<void> {
  const [first] = masters as [Master];
  for (const [index, { server, busPort }] of masters.entries()) {
    const from = Math.floor((index * SLOTS) / MASTERS);
    const to = Math.floor(((index + 1) * SLOTS) / MASTERS) - 1;
    await redisCommand(server.port, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    // Each node must know that its information about its slots is as new as that of the others.
    await redisCommand(server.port, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await redisCommand(
      first.server.port,
      'CLUSTER',
      'MEET',
      '127.0.0.1',
      String(server.port),
      String(busPort),
    );
  }
  for (const {
    server: { port },
  } of masters) {
    await eventually(
      async () => {
        const info = await redisCommand(port, 'CLUSTER', 'INFO');
        expect(info).toMatch(/cluster_state:ok/);
        expect(info).toMatch(/cluster_known_nodes:3/);
      },
      { within: 15_000 },
    );
  }
}
