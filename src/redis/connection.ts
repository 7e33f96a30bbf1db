import { StoreUnavailable } from '../core/ports.ts';
import type { Wait } from '../core/shared-timer.ts';
import { SharedTimer } from '../core/shared-timer.ts';
import { BackOff } from './back-off.ts';
import type { ClientOptions, CommandClient } from './clients.ts';
import { commandClient, subscriberClient } from './clients.ts';
import { SharedWrites } from './shared-writes.ts';
import { RedisSubscriber } from './subscriber.ts';
import { isDemoted, unavailable } from './unavailable.ts';

const RECONNECT_AFTER_END_MS = 50;
// Only operators and the cache warmer wait for a listing.
const LISTING_TIMEOUT_MS = 2_000;
// A timer that is this late means a busy process or machine, not a slow Redis.
const LATE_TIMER_MS = 20;
// For how long after that a closed connection is blamed on this process.
const LATE_TIMER_RELEVANT_MS = 2_000;
// Nothing was sent, so no answer will come.
const NEVER: Promise<never> = Promise.reject(new Error('not sent'));
NEVER.catch(() => {});

/**
 * The connections of a process to Redis. Commands and scripts are in `affinity/redis` and `coordination/redis`.
 * `claims` carries commands that requests wait for. `ledger` carries those of the view store, on which leases depend,
 * so they must not queue behind claims. `listings` carries long commands that are not urgent. `hearing` receives
 * published messages.
 */
export type RedisLink = 'claims' | 'ledger' | 'listings' | 'hearing';

/** @param detail the reason, as ioredis words it */
export type StateListener = (link: RedisLink, state: 'up' | 'down', detail: string) => void;

export type RedisConnectionOptions = ClientOptions & {
  /** Called when a connection is established or lost, and once if the first attempt fails. Must not throw. */
  readonly onState?: StateListener;
  /** The time-out of commands on the `ledger` connection; that of other commands if not given. */
  readonly viewStoreTimeoutMs?: number;
};

/** A connection for commands. It always rejects with `StoreUnavailable`. */
export interface RedisCommands {
  /** Defines scripts by name. A script that is already defined stays. */
  define(scripts: Readonly<Record<string, string>>): void;
  /** Runs a defined script. */
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Runs a script, and waits until this many replicas have its writes, or half of a command's time-out has passed. */
  runConfirmed(
    script: string,
    keys: readonly string[],
    args: readonly string[],
    replicas: number,
  ): Promise<{ readonly reply: unknown; readonly confirmations: number }>;
  /** Rejects unless Redis answers in time. */
  ping(): Promise<void>;
  /** The version of the server; of one server in a cluster. */
  version(): Promise<string>;
}

/** The connections of a process to Redis, shared by its pools. */
export interface RedisConnection {
  readonly claims: RedisCommands;
  readonly viewStore: RedisCommands;
  /** Has a longer time-out than the others. */
  readonly listings: RedisCommands;
  readonly subscriber: RedisSubscriber;
  /** Rejects with `StoreUnavailable` unless Redis answers in time on all connections for commands. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts to connect, and retries without limit: a gateway starts and serves even while Redis is away. Commands never
 * wait for a connection.
 */
export function openRedis(options: RedisConnectionOptions): RedisConnection {
  const clients: CommandClient[] = [];
  let closed = false;
  const watch = <Client extends CommandClient>(link: RedisLink, client: Client): Client => {
    reportState(client, (state, detail) => {
      if (!closed) options.onState?.(link, state, detail);
    });
    // ioredis stops retrying for good if a Sentinel announces a new master while it looks for the old one.
    client.on('end', () => {
      setTimeout(() => {
        if (!closed) begin(client);
      }, RECONNECT_AFTER_END_MS).unref();
    });
    clients.push(client);
    return client;
  };
  // All other connections lead to the same demoted server, and would not notice before their next write.
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
    // Leases depend on the others, and listings are few.
    const writes = link === 'claims' ? new SharedWrites(client) : undefined;
    return commandsOf(new Answers(client, answerLimitMs, writes), commandTimeoutMs);
  };
  const limitMs = options.commandTimeoutMs;
  const claims = openCommands('claims', limitMs);
  const viewStore = openCommands('ledger', limitMs, Math.max(limitMs, options.viewStoreTimeoutMs ?? 0));
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
    // The client retries by itself; its `error` listener gets the reason.
  });
}

type Script = (...args: readonly (string | number)[]) => unknown;

function commandsOf(answers: Answers, commandMs: number): RedisCommands {
  const { client } = answers;
  return {
    define: (scripts) => {
      for (const [name, lua] of Object.entries(scripts)) {
        if (!(name in client)) client.defineCommand(name, { lua });
      }
    },
    run: (script, keys, args) => {
      const command = client[script as keyof CommandClient] as unknown as Script;
      return answers.to(() => command.call(client, keys.length, ...keys, ...args) as Promise<unknown>);
    },
    runConfirmed: async (script, keys, args, replicas) => {
      // One pipeline, so that in a cluster the script and WAIT go to the same node.
      const pipeline = client.pipeline();
      const command = pipeline[script as keyof typeof pipeline] as unknown as Script;
      command.call(pipeline, keys.length, ...keys, ...args);
      pipeline.wait(replicas, Math.ceil(commandMs / 2));
      const replies = (await answers.to(() => pipeline.exec())) ?? [];
      for (const [error] of replies) if (error !== null) throw unavailable(error);
      const [reply, confirmations] = replies.map(([, result]) => result);
      return { reply, confirmations: Number(confirmations) };
    },
    ping: async () => void (await answers.to(() => client.ping())),
    version: async () => {
      const text = await answers.to(() => client.info('server'));
      const versions = text.matchAll(/^(redis|valkey)_version:(\S+)/gm);
      return Array.from(versions, ([, name, version]) => `${name} ${version}`).join(', ');
    },
  };
}

/** The answers to the commands of one connection. */
class Answers {
  readonly client: CommandClient;
  readonly #limitMs: number;
  readonly #limits: SharedTimer;
  readonly #writes: SharedWrites | undefined;

  /** @param writes set if the commands of one turn of the event loop share a write */
  constructor(client: CommandClient, limitMs: number, writes: SharedWrites | undefined) {
    this.client = client;
    this.#limitMs = limitMs;
    this.#limits = new SharedTimer(limitMs);
    this.#writes = writes;
  }

  /**
   * Rejects if the answer takes longer than the limit, but first reads what has arrived. After a pause of this process,
   * timers run before sockets are read. ioredis's own time-out would then blame a Redis that answered long ago.
   */
  to<T>(send: () => Promise<T>): Promise<T> {
    this.#writes?.hold();
    const answer = send();
    return new Promise((resolve, reject) => {
      const calledAt = performance.now();
      let limit: Wait | undefined;
      let isOver = false;
      const begin = (): void => {
        if (isOver) return;
        // A turn of this process that delays the write says as little about Redis as one that delays the timer.
        const heldMs = performance.now() - calledAt;
        limit = this.#limits.start((lateMs) => this.#overdue(answer, lateMs + heldMs, reject));
      };
      const end = (): void => {
        isOver = true;
        limit?.stop();
      };
      // The limit counts from when Redis can read the command.
      if (this.#writes === undefined) begin();
      else this.#writes.afterWrite(begin);
      answer.then(
        (reply) => {
          end();
          resolve(reply);
        },
        (cause) => {
          end();
          reject(failureOf(this.client, cause));
        },
      );
    });
  }

  #overdue(answer: Promise<unknown>, lateMs: number, reject: (error: StoreUnavailable) => void): void {
    const wasLate = lateMs > LATE_TIMER_MS;
    if (wasLate) lateTimerAt = performance.now();
    // Runs after the sockets have been read.
    setImmediate(() => {
      const message = `redis: no answer within ${this.#limitMs} ms`;
      reject(new StoreUnavailable(message, undefined, { wasLate, answer }));
    });
  }
}

/** When a timer of this process was last late, in monotonic ms. */
let lateTimerAt = Number.NEGATIVE_INFINITY;

/** The reason why each lost connection was lost, if it is known. */
const reasons = new WeakMap<CommandClient, string>();

// ioredis closed the connection, or ended the attempt, by its own timer, which may have been late.
const CLOSED_BY_TIMER = /Socket timeout|Command timed out|ETIMEDOUT|connection lost/;

/** The failure of a command. Without a connection, it names the reason why the connection was lost. */
function failureOf(client: CommandClient, cause: unknown): StoreUnavailable {
  const isUnconnected =
    cause instanceof Error &&
    /Stream isn't writeable|max retries per request|Cluster isn't ready/.test(cause.message);
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

/** Reports the state of a connection. Its `error` listener also keeps ioredis from writing to the console. */
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
  client.on('error', (error: Error & { readonly lastNodeError?: unknown }) => {
    // Of a cluster it says only that all nodes failed.
    if (error.lastNodeError === undefined) reason = error.message;
    reasons.set(client, reason);
    // If the error ends an established connection, `close` follows and reports it.
    if (!up) reportLoss();
  });
  client.on('node error', (error: Error, node: string) => {
    const isSilent = /^(Connection is closed|timeout)/.test(error.message);
    // What closed the connection came before, if it was more than a node that refuses connections.
    if (isSilent && reasons.has(client)) return;
    reason = isSilent ? `the node ${node} does not answer` : error.message;
    reasons.set(client, reason);
  });
  client.on('close', () => {
    if (!up) return;
    up = false;
    reportLoss();
  });
}
