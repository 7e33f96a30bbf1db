import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { AbstractConnector, Cluster, Redis } from 'ioredis';

// A connection that owed an answer and heard nothing for so long is given up; must exceed the command timeout.
const SOCKET_TIMEOUT_MS = 1_000;
const BACKSTOP_MS = 400;
const LONGEST_RECONNECT_DELAY_MS = 500;
const SENTINEL_RETRY_MS = 200;
// Of a command, within its time: to the node that has the slot now, and once more should that have failed.
const MAX_REDIRECTIONS = 4;
const REDIRECT_DELAY_MS = 20;

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is. */
export type RedisAddress =
  /** One server: `redis://host:port/db`, or `rediss://` for TLS. */
  | { readonly url: string }
  /** The server that these Sentinels call the master of this name. */
  | {
      readonly sentinels: readonly RedisNode[];
      readonly masterName: string;
      readonly sentinelUsername?: string;
      readonly sentinelPassword?: string;
    }
  /** Some nodes of a Redis Cluster; the others are learnt from them. */
  | { readonly cluster: readonly RedisNode[] };

export interface RedisLogin {
  /** Overrides what a URL says. */
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
  /** How long any command may take. */
  readonly commandTimeoutMs: number;
  /** How long connecting may take. */
  readonly connectTimeoutMs: number;
}

export type ClientOptions = RedisAddress & RedisLogin;

export type CommandClient = Redis | Cluster;

/** @param onReadOnly told when the server turns out to be a replica; the client reconnects by itself */
export function commandClient(options: ClientOptions, onReadOnly: (error: Error) => boolean): CommandClient {
  const common = { ...commonOptions(options), reconnectOnError: onReadOnly };
  if ('cluster' in options) return new Cluster([...options.cluster], clusterOptions(common));
  return 'url' in options
    ? new Redis(options.url, { ...common, retryStrategy })
    : new Redis({ ...common, ...sentinelOptions(options), retryStrategy });
}

/**
 * For hearing only. Any node of a cluster passes on what was published at another.
 *
 * @param retryStrategy how long to wait before the next attempt to connect, in ms
 */
export function subscriberClient(options: ClientOptions, retryStrategy: () => number): Redis {
  // By which its heartbeat tells that it is dead: nothing else is asked on it.
  const commandTimeout = options.commandTimeoutMs + BACKSTOP_MS;
  const common = { ...commonOptions(options), commandTimeout, retryStrategy };
  if ('url' in options) return new Redis(options.url, common);
  if ('sentinels' in options) return new Redis({ ...common, ...sentinelOptions(options) });
  return new Redis({
    ...common,
    Connector: nodesInTurn(options.cluster, options.tls, common.disconnectTimeout),
  });
}

function commonOptions(options: RedisLogin) {
  const socketTimeout = Math.max(SOCKET_TIMEOUT_MS, options.commandTimeoutMs + BACKSTOP_MS);
  const connectTimeout = options.connectTimeoutMs;
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // RedisSubscriber subscribes itself, for it has to tell when it is done.
    autoResubscribe: false,
    // Beyond the life of a connection that is silent: an answer may come until then, however late, and be used.
    commandTimeout: socketTimeout + BACKSTOP_MS,
    connectTimeout,
    // A server that hangs does not answer a goodbye either.
    disconnectTimeout: connectTimeout,
    socketTimeout,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  } satisfies RedisOptions;
}

function sentinelOptions(options: Extract<ClientOptions, { sentinels: unknown }>) {
  const { sentinels, masterName, sentinelUsername, sentinelPassword, tls } = options;
  return {
    sentinels: [...sentinels],
    name: masterName,
    // A Sentinel tells of a new master before the old one is noticed to be gone, or wakes up and still answers.
    failoverDetector: true,
    sentinelCommandTimeout: options.connectTimeoutMs,
    sentinelRetryStrategy: () => SENTINEL_RETRY_MS,
    sentinelReconnectStrategy: () => SENTINEL_RETRY_MS,
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
  } satisfies RedisOptions;
}

function clusterOptions({
  lazyConnect,
  enableOfflineQueue,
  ...redisOptions
}: ReturnType<typeof commonOptions>) {
  return {
    lazyConnect,
    enableOfflineQueue,
    redisOptions,
    clusterRetryStrategy: retryStrategy,
    clusterNodeRetryStrategy: retryStrategy,
    slotsRefreshTimeout: redisOptions.connectTimeout,
    slotsRefreshInterval: SOCKET_TIMEOUT_MS,
    maxRedirections: MAX_REDIRECTIONS,
    retryDelayOnFailover: REDIRECT_DELAY_MS,
    retryDelayOnClusterDown: REDIRECT_DELAY_MS,
    retryDelayOnTryAgain: REDIRECT_DELAY_MS,
  } satisfies ClusterOptions;
}

function retryStrategy(attempt: number): number {
  return Math.min(attempt * 50, LONGEST_RECONNECT_DELAY_MS);
}

/** Each connection goes to the next of the nodes, so that one that is gone is passed over. */
function nodesInTurn(nodes: readonly RedisNode[], tls: ConnectionOptions | undefined, closeWithinMs: number) {
  let turn = Math.floor(Math.random() * nodes.length);
  return class NodesInTurn extends AbstractConnector {
    constructor() {
      super(closeWithinMs);
    }

    async connect(): Promise<Socket | TLSSocket> {
      const node = nodes[turn++ % nodes.length] as RedisNode;
      this.connecting = true;
      const stream = tls === undefined ? connectTcp(node) : connectTls({ ...node, ...tls });
      stream.once('error', (error: Error) => {
        this.firstError = error;
      });
      this.stream = stream;
      return stream;
    }
  };
}
