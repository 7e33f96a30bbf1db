import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import { redisCommand } from './redis-command.ts';
import type { RedisServer } from './redis-server.ts';
import { findRedisProgram, freePort, startRedis } from './redis-server.ts';

/** A master, a replica, and three Sentinels that promote it, as processes. */
export interface RedisSentinel {
  readonly masterName: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  /** The two servers; the master may change. */
  readonly servers: readonly RedisServer[];
  /** The port of the current master, according to the Sentinels. */
  masterPort(): Promise<number>;
  /** Kills or stops the current master; returns it, so that the test can start or continue it. */
  killMaster(): Promise<RedisServer>;
  pauseMaster(): Promise<RedisServer>;
  /** Resolves once the Sentinels have another master than that one, and it accepts writes. */
  promoted(before: RedisServer): Promise<RedisServer>;
  stop(): Promise<void>;
}

const MASTER_NAME = 'gw';
const QUORUM = 2;
// Send replicas their copy at once, instead of waiting for more replicas.
const SERVER_ARGS = ['--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0'];
// Sentinels check and publish often; by default that takes 10 s and would slow down the tests.
const PERIODS = ['info-period', '100', 'publish-period', '100', 'ask-period', '100'];
// Otherwise a Sentinel that got no processor for two seconds does nothing for the next thirty.
const TILT = ['tilt-trigger', '60000'];
// How long a master must be silent before a failover: without an action of a test, silence only means a busy machine.
const PATIENT_MS = '60000';
const IMPATIENT_MS = '500';

export async function startSentinel(): Promise<RedisSentinel> {
  const first = await startRedis({ args: SERVER_ARGS });
  const second = await startRedis({ args: [...SERVER_ARGS, '--replicaof', `127.0.0.1 ${first.port}`] });
  const servers = [first, second];
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-sentinel-'));
  const nodes = await Promise.all(
    [0, 1, 2].map(async () => ({ port: await freePort(), id: randomBytes(20).toString('hex') })),
  );
  const children = nodes.map((node) => {
    const others = nodes.filter((other) => other !== node);
    const file = join(directory, `${node.port}.conf`);
    // They know each other from the start, because discovery would take seconds.
    const lines = [
      `port ${node.port}`,
      'bind 127.0.0.1',
      `dir ${directory}`,
      `sentinel myid ${node.id}`,
      `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${first.port} ${QUORUM}`,
      `sentinel down-after-milliseconds ${MASTER_NAME} ${PATIENT_MS}`,
      `sentinel failover-timeout ${MASTER_NAME} 2000`,
      `sentinel known-replica ${MASTER_NAME} 127.0.0.1 ${second.port}`,
      ...others.map(({ port, id }) => `sentinel known-sentinel ${MASTER_NAME} 127.0.0.1 ${port} ${id}`),
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return spawn(findRedisProgram() ?? '', [file, '--sentinel'], { stdio: 'ignore' });
  });
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(end));
    for (const server of servers) {
      server.resume();
      await server.stop();
    }
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (const { port } of nodes) await watches(port);
    await eventually(async () => {
      expect(await redisCommand(first.port, 'INFO', 'replication')).toMatch(/state=online/);
    });
  } catch (error) {
    await stop();
    throw error;
  }

  /** Skips a Sentinel that hangs. */
  const masterPort = async (): Promise<number> => {
    const replies = nodes.map(({ port }) =>
      redisCommand(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME),
    );
    return Number((await Promise.any(replies)).split('\r\n')[4]);
  };
  const master = async (): Promise<RedisServer> => {
    const port = await masterPort();
    const server = servers.find((one) => one.port === port);
    if (server === undefined) throw new Error(`no server has the port of the master, ${port}`);
    return server;
  };
  const giveUpAfter = async (ms: string): Promise<void> => {
    const told = nodes.map(({ port }) =>
      redisCommand(port, 'SENTINEL', 'SET', MASTER_NAME, 'down-after-milliseconds', ms),
    );
    for (const reply of await Promise.all(told)) expect(reply).toBe('+OK');
  };
  return {
    masterName: MASTER_NAME,
    sentinels: nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    servers,
    masterPort,
    killMaster: async () => {
      const server = await master();
      await server.kill();
      await giveUpAfter(IMPATIENT_MS);
      return server;
    },
    pauseMaster: async () => {
      const server = await master();
      server.pause();
      await giveUpAfter(IMPATIENT_MS);
      return server;
    },
    promoted: async (before) => {
      const promoted = await eventually(
        async () => {
          const server = await master();
          expect(server).not.toBe(before);
          expect(await redisCommand(server.port, 'ROLE')).toMatch(/master/);
          return server;
        },
        { within: 30_000 },
      );
      await giveUpAfter(PATIENT_MS);
      return promoted;
    },
    stop,
  };
}

/** Resolves once the Sentinel at the port knows the other two, and a replica that is up to date. */
async function watches(port: number): Promise<void> {
  await eventually(() => redisCommand(port, 'SENTINEL', 'DEBUG', ...PERIODS, ...TILT), { within: 10_000 });
  await eventually(
    async () => {
      expect(await redisCommand(port, 'SENTINEL', 'CKQUORUM', MASTER_NAME)).toMatch(/OK 3/);
      const replicas = await redisCommand(port, 'SENTINEL', 'REPLICAS', MASTER_NAME);
      expect(replicas).toMatch(/master-link-status\r\n\$2\r\nok/);
    },
    { within: 10_000 },
  );
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}
