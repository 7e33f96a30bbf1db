import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Child } from '../../src/simulator/child.ts';
import { eventually } from '../support/eventually.ts';
import { findRedisProgram, freePort } from '../support/redis-server.ts';
import type { Address } from './fault-proxy.ts';
import type { Host, Network } from './network.ts';

export interface RedisNode {
  readonly host: Host;
  readonly address: Address;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again at the same address, without its data. */
  start(): Promise<void>;
}

/** A master, a replica and three sentinels, each a process on a separate host. */
export interface WatchedRedis {
  readonly masterName: string;
  readonly nodes: readonly [RedisNode, RedisNode];
  readonly sentinels: readonly RedisNode[];
  /** The address of the master, according to a majority of the sentinels. */
  master(): Promise<Address>;
  /** Rejects unless the sentinels agree on a master, which has the other node as its replica. */
  requireWhole(): Promise<void>;
  /** Removes all data of the master. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

const MASTER_NAME = 'main';
/** The silence after which a sentinel takes a master for down. */
const DOWN_AFTER_MS = 1_000;
const READY_MS = 15_000;
const ANSWER_MS = 500;

export async function startWatchedRedis(network: Network): Promise<WatchedRedis> {
  const program = findRedisProgram();
  if (program === undefined) {
    throw new Error('no redis-server found: install it, e.g. apt-get install redis-server');
  }
  const directory = mkdtempSync(join(tmpdir(), 'ici-chaos-redis-'));
  const started: RedisNode[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(started.map((node) => node.kill()));
    rmSync(directory, { recursive: true, force: true });
  };

  const startNode = async (
    name: string,
    args: (host: Host, port: number) => string[],
  ): Promise<RedisNode> => {
    const host = await network.host(name);
    const address = { host: host.address, port: await freePort() };
    let child: Child | undefined;
    const node: RedisNode = {
      host,
      address,
      signal: (signal) => child?.signal(signal),
      kill: async () => child?.kill(),
      start: async () => {
        const sentinel = new Child({
          program: [...host.prefix, program],
          args: args(host, address.port),
          // Redis uses no IPC channel; `group` keeps a Ctrl-C from it, which this program handles.
          bond: 'group',
          onLine: () => undefined,
        });
        const answers = eventually(() => ask(address, 'PING'), { within: READY_MS });
        child = sentinel;
        await sentinel.until(answers, READY_MS, name);
      },
    };
    started.push(node);
    await node.start();
    return node;
  };
  const server = (of: Address | undefined) => (host: Host, port: number) => [
    ...['--bind', host.address, '--port', String(port), '--dir', directory],
    ...['--save', '', '--appendonly', 'no', '--protected-mode', 'no', '--repl-diskless-sync-delay', '0'],
    ...(of === undefined ? [] : ['--replicaof', of.host, String(of.port)]),
  ];
  const sentinel = (name: string, master: Address) => (host: Host, port: number) => {
    const file = join(directory, `${name}.conf`);
    const lines = [
      `bind ${host.address}`,
      `port ${port}`,
      `dir ${directory}`,
      'protected-mode no',
      `sentinel monitor ${MASTER_NAME} ${master.host} ${master.port} 2`,
      `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${MASTER_NAME} 5000`,
    ];
    // A sentinel keeps there what it has learned.
    if (!existsSync(file)) writeFileSync(file, `${lines.join('\n')}\n`);
    return [file, '--sentinel'];
  };

  try {
    const master = await startNode('r1', server(undefined));
    const replica = await startNode('r2', server(master.address));
    const sentinels = await Promise.all(
      ['s1', 's2', 's3'].map((name) => startNode(name, sentinel(name, master.address))),
    );
    const nodes = [master, replica] as const;
    const requireWhole = async (): Promise<void> => {
      const { port } = await masterOf(sentinels);
      for (const node of nodes) {
        const info = String(await ask(node.address, 'INFO', 'replication'));
        const wanted = node.address.port === port ? 'role:master' : 'master_link_status:up';
        if (!info.includes(wanted)) throw new Error(`${node.host.name} does not say ${wanted}`);
      }
      for (const { address } of sentinels) {
        const known = String(await ask(address, 'INFO', 'sentinel'));
        if (!/status=ok,.*slaves=1,sentinels=3/.test(known)) throw new Error(`sentinel: ${known}`);
      }
    };
    await eventually(requireWhole, { within: READY_MS, every: 50 });
    return {
      masterName: MASTER_NAME,
      nodes,
      sentinels,
      master: () => masterOf(sentinels),
      requireWhole,
      empty: async () => {
        await ask(await masterOf(sentinels), 'FLUSHALL');
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function masterOf(sentinels: readonly RedisNode[]): Promise<Address> {
  const said = await Promise.all(
    sentinels.map(({ address }) =>
      ask(address, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME).catch(() => ''),
    ),
  );
  const answers = said.map(String);
  const agreed = answers.find((one) => answers.filter((other) => other === one).length > said.length / 2);
  const [host = '', port] = (agreed ?? '').split(',');
  if (host === '') throw new Error('the sentinels do not agree on a master');
  return { host, port: Number(port) };
}

/** Sends one command over a separate connection. */
async function ask(address: Address, command: string, ...args: string[]): Promise<unknown> {
  const client = new Redis({
    ...address,
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: ANSWER_MS,
    commandTimeout: ANSWER_MS,
  });
  // The command fails too, with the reason.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}
