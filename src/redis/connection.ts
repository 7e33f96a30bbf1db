import { StoreUnavailable } from '../core/ports.ts';
import { BackOff } from './back-off.ts';
import type { ClientOptions, CommandClient } from './clients.ts';
import { commandClient, subscriberClient } from './clients.ts';
import { RedisSubscriber } from './subscriber.ts';
import { isDemoted, unavailable } from './unavailable.ts';

const RECONNECT_AFTER_END_MS = 50;
// Only operators and the cache warmer wait for a listing.
const LISTING_TIMEOUT_MS = 2_000;
// A timer that fires so late tells of a busy process or machine, not of a slow Redis.
const LATE_TIMER_MS = 20;
// For how long that says something about a connection that was given up.
const LATE_TIMER_RELEVANT_MS = 2_000;
// Nothing was sent, so nothing will be answered.
const NEVER: Promise<never> = Promise.reject(new Error('not sent'));
NEVER.catch(() => {});

/**
 * The connections of a process. `claims` carries what requests wait for. `ledger` carries what leases depend on, which
 * must not queue behind claims. `listings` carries what is long and not urgent. `hearing` receives news and moves.
 */
export type RedisLink = 'claims' | 'ledger' | 'listings' | 'hearing';

/** @param detail the reason, as ioredis words it */
export type StateListener = (link: RedisLink, state: 'up' | 'down', detail: string) => void;

export type RedisConnectionOptions = ClientOptions & {
  /** Told when a connection comes and goes, and once if it does not come at first. Must not throw. */
  readonly onState?: StateListener;
  /** How long an answer on the `ledger` connection is worth anything; a command's time where nothing is given. */
  readonly ledgerTimeoutMs?: number;
};

/** A connection for commands. What it rejects with is always `StoreUnavailable`, whatever the reason. */
export interface RedisCommands {
  /** Makes scripts known by name; those known already stay. */
  define(scripts: Readonly<Record<string, string>>): void;
  /** Runs a script that was defined. */
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /**
   * The same, and waits until so many replicas have what was written, or half of
   * a command's time is over.
   */
  runConfirmed(
    script: string,
    keys: readonly string[],
    args: readonly string[],
    replicas: number,
  ): Promise<{ readonly reply: unknown; readonly confirmations: number }>;
  /** Rejects unless Redis answers in time. */
  ping(): Promise<void>;
}

/** A process's way to Redis, shared by its pools. */
export interface RedisConnection {
  readonly claims: RedisCommands;
  readonly viewStore: RedisCommands;
  /** More patient than the others. */
  readonly listings: RedisCommands;
  readonly subscriber: RedisSubscriber;
  /** Rejects with `StoreUnavailable` unless Redis answers on all connections for commands in time. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Begins to connect, and goes on trying for as long as it takes: a gateway
 * starts and serves while Redis is away. Commands never wait for a connection.
 */
export function openRedis(options: RedisConnectionOptions): RedisConnection {
  const clients: CommandClient[] = [];
  let closed = false;
  const watch = <Client extends CommandClient>(link: RedisLink, client: Client): Client => {
    reportState(client, (state, detail) => {
      if (!closed) options.onState?.(link, state, detail);
    });
    // ioredis gives up for good where a Sentinel tells of a new master while it is looking for the old one.
    client.on('end', () => {
      setTimeout(() => {
        if (!closed) begin(client);
      }, RECONNECT_AFTER_END_MS).unref();
    });
    clients.push(client);
    return client;
  };
  // The other connections lead to the same server, and may not write for a long time.
  const onReadOnly = (error: Error): boolean => {
    if (!isDemoted(error.message)) return false;
    for (const client of clients) if (client.status === 'ready') client.disconnect(true);
    return true;
  };
  const openCommands = (
    link: RedisLink,
    commandTimeoutMs: number,
    answerLimitMs = commandTimeoutMs,
  ): RedisCommands => {
    const client = watch(link, commandClient({ ...options, commandTimeoutMs }, onReadOnly));
    begin(client);
    return commandsOf(client, commandTimeoutMs, answerLimitMs);
  };
  const limitMs = options.commandTimeoutMs;
  const claims = openCommands('claims', limitMs);
  const viewStore = openCommands('ledger', limitMs, Math.max(limitMs, options.ledgerTimeoutMs ?? 0));
  const listings = openCommands('listings', Math.max(limitMs, LISTING_TIMEOUT_MS));
  const backOff = new BackOff();
  const hearing = watch(
    'hearing',
    subscriberClient(options, () => backOff.next()),
  );
  const subscriber = new RedisSubscriber(hearing, backOff, (state, detail) =>
    options.onState?.('hearing', state, detail),
  );

  return {
    claims,
    viewStore,
    listings,
    subscriber,
    ping: async () => void (await Promise.all([claims.ping(), viewStore.ping(), listings.ping()])),
    close: async () => {
      closed = true;
      subscriber.close();
      for (const client of clients) client.disconnect();
    },
  };
}

function begin(client: CommandClient): void {
  client.connect().catch(() => {
    // The client keeps trying by itself, and tells its `error` listener why.
  });
}

type Script = (...args: readonly (string | number)[]) => unknown;

function commandsOf(client: CommandClient, commandMs: number, limitMs: number): RedisCommands {
  return {
    define: (scripts) => {
      for (const [name, lua] of Object.entries(scripts)) {
        if (!(name in client)) client.defineCommand(name, { lua });
      }
    },
    run: (script, keys, args) => {
      const command = client[script as keyof CommandClient] as unknown as Script;
      return available(
        client,
        command.call(client, keys.length, ...keys, ...args) as Promise<unknown>,
        limitMs,
      );
    },
    runConfirmed: async (script, keys, args, replicas) => {
      // One pipeline, so that on a cluster both go to the same node.
      const pipeline = client.pipeline();
      const command = pipeline[script as keyof typeof pipeline] as unknown as Script;
      command.call(pipeline, keys.length, ...keys, ...args);
      pipeline.wait(replicas, Math.ceil(commandMs / 2));
      const replies = (await available(client, pipeline.exec(), limitMs)) ?? [];
      for (const [error] of replies) if (error !== null) throw unavailable(error);
      const [reply, confirmations] = replies.map(([, result]) => result);
      return { reply, confirmations: Number(confirmations) };
    },
    ping: async () => void (await available(client, client.ping(), limitMs)),
  };
}

/**
 * Rejects when the reply takes longer than the limit. When the time is up, what
 * has arrived is read before the verdict: after a pause of this process, timers
 * run first, and would call a Redis slow that has answered long ago. ioredis's
 * own limit does.
 */
function available<T>(client: CommandClient, reply: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const begunAt = performance.now();
    const timer = setTimeout(() => {
      const wasLate = performance.now() - begunAt > limitMs + LATE_TIMER_MS;
      if (wasLate) lateTimerAt = performance.now();
      // Runs after the next look at the sockets.
      setImmediate(() => {
        const message = `redis: no answer within ${limitMs} ms`;
        reject(new StoreUnavailable(message, undefined, { wasLate, answer: reply }));
      });
    }, limitMs);
    reply.then(resolve, (cause) => reject(failureOf(client, cause))).finally(() => clearTimeout(timer));
  });
}

/** When a timer of this process was late the last time, in monotonic ms. */
let lateTimerAt = Number.NEGATIVE_INFINITY;

/** Why each connection that is not there is not there, as far as it is known. */
const reasons = new WeakMap<CommandClient, string>();

// ioredis gave the connection or the attempt up by its own timers, which may have been late.
const CLOSED_BY_TIMER = /Socket timeout|Command timed out|ETIMEDOUT|connection lost/;

/** The failure of a command, in the words of what took the connection away where there is none. */
function failureOf(client: CommandClient, cause: unknown): StoreUnavailable {
  const isUnconnected =
    cause instanceof Error && /Stream isn't writeable|max retries per request/.test(cause.message);
  if (!isUnconnected) return unavailable(cause);
  const reason = reasons.get(client) ?? 'connection lost';
  const wasLate = CLOSED_BY_TIMER.test(reason) && performance.now() - lateTimerAt < LATE_TIMER_RELEVANT_MS;
  const { message } = unavailable(new Error(reason));
  return new StoreUnavailable(
    `${message}: not connected`,
    cause,
    wasLate ? { wasLate, answer: NEVER } : undefined,
  );
}

/** Also the `error` listener without which ioredis writes to the console. */
function reportState(client: CommandClient, onState: (state: 'up' | 'down', detail: string) => void): void {
  let up = false;
  let hasReportedLoss = false;
  let reason = 'connection lost';
  const reportLoss = (): void => {
    if (hasReportedLoss) return;
    hasReportedLoss = true;
    onState('down', reason);
  };
  client.on('ready', () => {
    up = true;
    hasReportedLoss = false;
    reason = 'connection lost';
    reasons.delete(client);
    onState('up', 'connected');
  });
  client.on('error', (error: Error) => {
    reason = error.message;
    reasons.set(client, reason);
    // On a connection that is up, `close` follows if the error ends it.
    if (!up) reportLoss();
  });
  client.on('close', () => {
    if (!up) return;
    up = false;
    reportLoss();
  });
}
