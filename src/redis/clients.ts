import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { AbstractConnector, Cluster, Redis } from 'ioredis';

// A connection that receives nothing for this long while an answer is due is closed. Exceeds the command time-out.
const SOCKET_TIMEOUT_MS = 1_000;
const BACKSTOP_MS = 400;
const LONGEST_RECONNECT_DELAY_MS = 500;
const SENTINEL_RETRY_MS = 200;
// Redirections of one command within its time-out: to the node that has the slot now, and again if that one fails.
const MAX_REDIRECTIONS = 4;
const REDIRECT_DELAY_MS = 20;

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** How to find Redis. */
export type RedisAddress =
  /** One server: `redis://host:port/db`, or `rediss://` for TLS. */
  | { readonly url: string }
  /** The server that these Sentinels name as the current master. */
  | {
      readonly sentinels: readonly RedisNode[];
      readonly masterName: string;
      readonly sentinelUsername?: string;
      readonly sentinelPassword?: string;
    }
  /** Some nodes of a Redis Cluster, which tell of the others. */
  | { readonly cluster: readonly RedisNode[] };

export interface RedisLogin {
  /** Overrides the one in the URL. */
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
  /** The time limit of every command. */
  readonly commandTimeoutMs: number;
  /** The time limit for connecting. */
  readonly connectTimeoutMs: number;
}

export type ClientOptions = RedisAddress & RedisLogin;

export type CommandClient = Redis | Cluster;

/** @param onReadOnly called when the server turns out to be a replica; the client reconnects by itself */
export function commandClient(options: ClientOptions, onReadOnly: (error: Error) => boolean): CommandClient {
  const common = { ...commonOptions(options), reconnectOnError: onReadOnly };
  if ('cluster' in options) return new Cluster([...options.cluster], clusterOptions(common));
  return 'url' in options
    ? new Redis(options.url, { ...common, retryStrategy })
    : new Redis({ ...common, ...sentinelOptions(options), retryStrategy });
}

/**
 * A client that only subscribes. In a cluster it may connect to any node, because every node passes on all messages.
 *
 * @param retryStrategy returns the delay before the next attempt to connect, in ms
 */
export function subscriberClient(options: ClientOptions, retryStrategy: () => number): Redis {
  // The heartbeat is the only command on this connection, and this time-out detects that the connection is dead.
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
    // RedisSubscriber subscribes itself, because it must know when that is done.
    autoResubscribe: false,
    connectTimeout,
    // A server that hangs does not answer QUIT either.
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
    // Sentinels announce a new master before this client notices that the old one is gone, or before it answers again.
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
    // A node without a connection keeps its commands. Longer than a silent connection stays open, so that even a late
    // answer can be used.
    redisOptions: { ...redisOptions, commandTimeout: redisOptions.socketTimeout + BACKSTOP_MS },
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

/** Every new connection goes to the next node in the list, which skips a node that is gone. */
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
