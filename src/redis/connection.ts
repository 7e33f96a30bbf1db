import type { ConnectionOptions } from 'node:tls';
import type { RedisOptions } from 'ioredis';
import { Redis } from 'ioredis';
import { StoreUnavailable } from '../core/ports.ts';
import { RedisSubscriber } from './subscriber.ts';

// Shorter than any client timeout we know of: a slow Redis must cost a request its wait for affinity, no more.
const COMMAND_TIMEOUT_MS = 100;
const CONNECT_TIMEOUT_MS = 300;
// A connection that owed an answer and heard nothing for so long is given up; must exceed the command timeout.
const SOCKET_TIMEOUT_MS = 1_000;
const COMMAND_BACKSTOP = 5;
const LONGEST_RECONNECT_DELAY_MS = 500;

/**
 * The connections of a process. `claims` carries what requests wait for,
 * `ledger` what leases depend on and must not queue behind claims, and on
 * `hearing` news and moves are heard.
 */
export type RedisLink = 'claims' | 'ledger' | 'hearing';

/** @param detail the reason, as ioredis words it */
export type StateListener = (link: RedisLink, state: 'up' | 'down', detail: string) => void;

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
  /** Told when a connection comes and goes, and once if it does not come at first. Must not throw. */
  readonly onState?: StateListener;
}

/** A connection for commands. What it rejects with is always {@link StoreUnavailable}, whatever the reason. */
export interface RedisCommands {
  /** Makes scripts known by name; those known already stay. */
  define(scripts: Readonly<Record<string, string>>): void;
  /** Runs a script that was defined. */
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Rejects unless Redis answers in time. */
  ping(): Promise<void>;
}

/** A process's way to Redis, shared by its pools. */
export interface RedisConnection {
  readonly claims: RedisCommands;
  readonly ledger: RedisCommands;
  readonly subscriber: RedisSubscriber;
  /** Rejects with {@link StoreUnavailable} unless Redis answers on both connections for commands in time. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Begins to connect, and goes on trying for as long as it takes: a gateway
 * starts and serves while Redis is away. Commands never wait for a connection.
 */
export function openRedis(options: RedisConnectionOptions): RedisConnection {
  const limitMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
  const clients: Redis[] = [];
  let closed = false;
  const open = (link: RedisLink): Redis => {
    const client = new Redis(options.url, clientOptions(options));
    reportState(client, (state, detail) => {
      if (!closed) options.onState?.(link, state, detail);
    });
    clients.push(client);
    return client;
  };
  const openCommands = (link: RedisLink): RedisCommands => {
    const client = open(link);
    client.connect().catch(() => {
      // The client keeps trying by itself, and tells its `error` listener why.
    });
    return commandsOf(client, limitMs);
  };
  const claims = openCommands('claims');
  const ledger = openCommands('ledger');
  const subscriber = new RedisSubscriber(open('hearing'));

  return {
    claims,
    ledger,
    subscriber,
    ping: async () => void (await Promise.all([claims.ping(), ledger.ping()])),
    close: async () => {
      closed = true;
      subscriber.close();
      for (const client of clients) client.disconnect();
    },
  };
}

function commandsOf(client: Redis, limitMs: number): RedisCommands {
  return {
    define: (scripts) => {
      for (const [name, lua] of Object.entries(scripts)) {
        if (!(name in client)) client.defineCommand(name, { lua });
      }
    },
    run: (script, keys, args) => {
      const command = client[script as keyof Redis] as unknown as (...args: unknown[]) => Promise<unknown>;
      return available(command.call(client, keys.length, ...keys, ...args), limitMs);
    },
    ping: async () => void (await available(client.ping(), limitMs)),
  };
}

function clientOptions(options: RedisConnectionOptions) {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // RedisSubscriber subscribes itself, for it has to tell when it is done.
    autoResubscribe: false,
    // Far beyond our own limit, for the connection's own handshake commands.
    commandTimeout: COMMAND_BACKSTOP * (options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS),
    connectTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    socketTimeout: Math.max(
      SOCKET_TIMEOUT_MS,
      COMMAND_BACKSTOP * (options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS),
    ),
    retryStrategy: (attempt: number) => Math.min(attempt * 50, LONGEST_RECONNECT_DELAY_MS),
    // A master that was demoted keeps its connections: leave it, the name may lead to the new one by now.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  } satisfies RedisOptions;
}

/** ioredis rejects with plain errors of many wordings, and what to do about any of them is the same. */
async function available<T>(reply: Promise<T>, limitMs: number): Promise<T> {
  try {
    return await inTime(reply, limitMs);
  } catch (cause) {
    throw new StoreUnavailable(`redis: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

/**
 * Rejects when the reply takes longer than the limit. When the time is up, what
 * has arrived is read before the verdict: after a pause of this process, timers
 * run first, and would call a Redis slow that has answered long ago. ioredis's
 * own limit does.
 */
function inTime<T>(reply: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      // Runs after the next look at the sockets.
      setImmediate(() => reject(new Error(`no answer within ${limitMs} ms`)));
    }, limitMs);
    reply.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Also the `error` listener without which ioredis writes to the console. */
function reportState(client: Redis, onState: (state: 'up' | 'down', detail: string) => void): void {
  let up = false;
  let toldOfLoss = false;
  let reason = 'connection lost';
  const tellOfLoss = (): void => {
    if (toldOfLoss) return;
    toldOfLoss = true;
    onState('down', reason);
  };
  client.on('ready', () => {
    up = true;
    toldOfLoss = false;
    reason = 'connection lost';
    onState('up', 'connected');
  });
  client.on('error', (error: Error) => {
    reason = error.message;
    // On a connection that is up, `close` follows if the error ends it.
    if (!up) tellOfLoss();
  });
  client.on('close', () => {
    if (!up) return;
    up = false;
    tellOfLoss();
  });
}
