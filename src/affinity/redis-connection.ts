import type { ConnectionOptions } from 'node:tls';
import type { RedisOptions } from 'ioredis';
import { Redis } from 'ioredis';
import type { AffinityStore } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { RunScript } from './redis-scripts.ts';
import { SCRIPTS } from './redis-scripts.ts';
import type { RedisStoreOptions } from './redis-store.ts';
import { RedisStore } from './redis-store.ts';
import { RedisSubscriber } from './redis-subscriber.ts';

// Shorter than any client timeout we know of: a slow Redis must cost a request its wait for affinity, no more.
const COMMAND_TIMEOUT_MS = 100;
const CONNECT_TIMEOUT_MS = 300;
// A connection that owed an answer and heard nothing for so long is given up; must exceed the command timeout.
const SOCKET_TIMEOUT_MS = 300;
const LONGEST_RECONNECT_DELAY_MS = 500;

export interface RedisConnectionOptions {
  /** `redis://host:port/db`, or `rediss://` for TLS. */
  readonly url: string;
  /** Overrides what the URL says. */
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
  /** How long any command may take; 100 by default. */
  readonly commandTimeoutMs?: number;
  /** How long connecting may take; 300 by default. */
  readonly connectTimeoutMs?: number;
  /** Told of every change, with the reason; it is `down` before the first call. Must not throw. */
  readonly onState?: (state: 'up' | 'down', detail: string) => void;
}

/** A process's way to Redis, shared by its pools: one connection for commands, one to hear of moves. */
export interface RedisConnection {
  store(pool: string, options: RedisStoreOptions): AffinityStore;
  /** Rejects with {@link StoreUnavailable} unless Redis answers in time. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Begins to connect, and goes on trying for as long as it takes: a gateway
 * starts and serves while Redis is away. Commands never wait for a connection.
 */
export function openRedis(options: RedisConnectionOptions): RedisConnection {
  const client = new Redis(options.url, clientOptions(options));
  const subscriber = new RedisSubscriber(client.duplicate({ autoResubscribe: false }));
  for (const [name, lua] of Object.entries(SCRIPTS)) client.defineCommand(name, { lua });
  reportState(client, options.onState);

  const run: RunScript = (script, keys, args) => {
    const command = client[script as keyof Redis] as unknown as (...args: unknown[]) => Promise<unknown>;
    return available(command.call(client, keys.length, ...keys, ...args));
  };
  client.connect().catch(() => {
    // The client keeps trying by itself, and tells its `error` listener why.
  });

  return {
    store: (pool, storeOptions) => new RedisStore(pool, storeOptions, run, subscriber),
    ping: async () => void (await available(client.ping())),
    close: async () => {
      subscriber.close();
      client.disconnect();
    },
  };
}

function clientOptions(options: RedisConnectionOptions) {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
    connectTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    socketTimeout: Math.max(SOCKET_TIMEOUT_MS, 2 * (options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS)),
    retryStrategy: (attempt: number) => Math.min(attempt * 50, LONGEST_RECONNECT_DELAY_MS),
    // A master that was demoted keeps its connections: leave it, the name may lead to the new one by now.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  } satisfies RedisOptions;
}

/** ioredis rejects with plain errors of many wordings, and what to do about any of them is the same. */
async function available<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (cause) {
    throw new StoreUnavailable(`redis: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function reportState(client: Redis, onState: RedisConnectionOptions['onState']): void {
  let state: 'up' | 'down' = 'down';
  let reason = '';
  const change = (next: 'up' | 'down', detail: string): void => {
    if (state === next) return;
    state = next;
    onState?.(next, detail);
  };
  client.on('error', (error: Error) => {
    // While it is down every attempt fails in its own way; the first reason was told with the change.
    if (state === 'down' && reason !== error.message) onState?.('down', error.message);
    reason = error.message;
  });
  client.on('ready', () => {
    reason = '';
    change('up', 'connected');
  });
  client.on('close', () => change('down', reason === '' ? 'connection lost' : reason));
}
