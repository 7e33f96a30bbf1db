import { LRUCache } from 'lru-cache';
import type { ErrorCode } from '../core/errors.ts';
import { FAILURES } from '../core/failure.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AgentAct } from '../core/recent-requests.ts';
import type { NameSource, UnnamedReason } from '../core/seen-names.ts';
import { storedForm } from '../core/stored-name.ts';
import { BodySearch } from '../soap/body-search.ts';
import { ElementLister } from '../soap/element-lister.ts';
import type { ScanResult } from '../soap/scan-result.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { headersOf } from './agent-operations.ts';
import type { IgnoredValue, RequestContext, RouteDecision } from './request-context.ts';

export interface AccessLogOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly logRequests: boolean;
  /** Converts a user name for the log; `undefined` if names are logged unchanged. */
  readonly showName: ((name: string) => string) | undefined;
  /** Keeps the last requests for operators. */
  readonly recent: RequestRing;
}

/** What is known of input that Node's parser refused. */
export interface RefusedInput {
  readonly requestId: string;
  readonly client: string;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly status: number;
  readonly error: ErrorCode;
  /** In the parser's words. */
  readonly reason: string | undefined;
}

/** The logged status of a request whose client closed the connection before the answer, as in nginx. */
const CLIENT_CLOSED = 499;
const NONE: readonly IgnoredValue[] = [];
const CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'];
// The hashes of this many sessions are cached, which covers a full pool.
const REMEMBERED_SESSIONS = 10_000;
const LOGGED_DIGEST = 12;
// Clients choose it.
const LOGGED_OPERATION = 100;
const LISTED = { maxBytes: 64 * 1_024, maxDepth: 0 };

interface LoggedFacts extends Pick<RequestFacts, 'pool' | 'user' | 'source' | 'status' | 'durationMs'> {
  /** Of the session. */
  readonly digest: string | undefined;
  readonly instanceMs: number | undefined;
}

/** Writes one log line, updates the counters and keeps the facts for each request when it has ended. */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #elements = new BodySearch([], LISTED, new ElementLister());
  readonly #sessions = new LRUCache<string, string>({ max: REMEMBERED_SESSIONS });

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  ended(context: RequestContext): void {
    // Balancers poll the state all the time; that is not a pool's traffic.
    if (context.isStatePoll) return;
    const { metrics, logger, logRequests } = this.#options;
    const { response } = context;
    const pool = context.pool?.name ?? '';
    const durationMs = context.elapsedMs;
    const status = response.headersSent ? response.statusCode : CLIENT_CLOSED;

    metrics.requests.inc(pool, context.decision, CLASSES[Math.floor(status / 100)] ?? '0xx');
    metrics.requestDuration.observe(pool, durationMs / 1_000);
    if (pool !== '') metrics.seconds.ended(pool, status, durationMs, context.error);
    for (const { source, reason } of context.ignored ?? NONE) metrics.names.ignored(pool, source, reason);
    const source = context.isIdentified ? sourceOf(context) : undefined;
    if (source === 'none') this.#unnamed(context, pool);
    else if (source !== undefined) metrics.names.named(pool, source);
    if (context.found !== undefined) metrics.names.searched(pool, context.found);
    if (context.passedOver !== undefined) this.#passedOver(context, pool, context.passedOver);
    if (context.error !== undefined) metrics.errors.inc({ code: context.error });
    const user = context.user ?? userOf(context);
    const { session } = context;
    const digest = session === undefined ? undefined : this.#digestOf(session);
    const instanceMs = instanceMsOf(context);
    this.#options.recent.add({
      requestId: context.request.id,
      client: context.client,
      pool,
      user,
      session: digest,
      source,
      instance: context.instance,
      decision: context.decision,
      operation: context.operation,
      act: context.act ?? (context.isLogon === true ? 'logon' : undefined),
      status,
      code: context.error,
      attempts: context.attempts,
      durationMs,
      instanceMs,
      waitedMs: context.parkedMs,
    });
    if (logRequests && logger.isLevelEnabled('info'))
      this.#write(context, { pool, user, digest, source, status, durationMs, instanceMs });
  }

  /** Counts and logs input that was refused before it became a request. */
  refused(facts: RefusedInput): void {
    const { metrics, logger, logRequests } = this.#options;
    metrics.requests.inc('', 'refused', CLASSES[Math.floor(facts.status / 100)] ?? '0xx');
    metrics.errors.inc({ code: facts.error });
    this.#options.recent.add({ ...NOTHING_KNOWN, ...facts, code: facts.error });
    if (logRequests) logger.info({ ...facts, pool: '', decision: 'refused' }, 'request');
  }

  /** Counts a request that names no agent, and now and then lists the elements of its body. */
  #unnamed(context: RequestContext, pool: string): void {
    const { names } = this.#options.metrics;
    const { operation, body } = context;
    names.unnamed(pool, reasonOf(context), operation);
    // A body that was streamed is gone.
    if (context.found === undefined || body === undefined || body.head.length === 0) return;
    if (!names.wantsElements(pool, operation)) return;
    const headers = headersOf(context);
    const listed = this.#elements.search(body.head, headers, body.complete);
    const take = ({ elements = [] }: ScanResult): void => names.elements(pool, operation, elements);
    if (listed instanceof Promise) void listed.then(take);
    else take(listed);
  }

  /** Counts and logs that a name found in the body is bound elsewhere, and that another name decided. */
  #passedOver(
    { request, user, session, operation, instance }: RequestContext,
    pool: string,
    at: InstanceId,
  ): void {
    const { metrics, logger } = this.#options;
    metrics.names.ignored(pool, 'body', 'found');
    metrics.names.conflict(pool, operation);
    if (!logger.isLevelEnabled('debug')) return;
    logger.debug(
      {
        requestId: request.id,
        pool,
        operation,
        user: user === undefined ? undefined : this.#shown(user),
        session: session === undefined ? undefined : shortened(this.#digestOf(session)),
        instance,
        passedOver: at,
      },
      'a name found in the body is bound to another instance and was ignored',
    );
  }

  /**
   * Uses pino's normal call, which escapes every value. A template of our own would save 0.7 µs of processor time of 2.3
   * µs (median of 7 interleaved rounds of 30,000 lines), less than 1 % of a request.
   */
  #write(context: RequestContext, facts: LoggedFacts): void {
    const { attempt, parkedMs, failure, error } = context;
    const { pool, user, digest, source, status, durationMs, instanceMs } = facts;
    const sent = attempt?.isUnsent === false;
    this.#options.logger.info(
      {
        requestId: context.request.id,
        client: context.client,
        method: context.raw.method,
        path: context.path,
        status,
        pool,
        decision: context.decision,
        instance: context.instance,
        user: user === undefined ? undefined : this.#shown(user),
        session: digest === undefined ? undefined : shortened(digest),
        operation: context.operation?.slice(0, LOGGED_OPERATION),
        identitySource: source,
        identityReason: source === 'none' ? reasonOf(context) : undefined,
        epoch: context.epoch,
        attempts: context.attempts,
        relayedBy: context.route === 'direct' ? undefined : context.route.peer,
        durationMs: hundredths(durationMs),
        instanceMs: instanceMs === undefined ? undefined : hundredths(instanceMs),
        parkedMs: parkedMs === 0 ? undefined : hundredths(parkedMs),
        responseBytes: attempt?.responseBytes,
        clientEnded: context.clientHasEnded ? true : undefined,
        failure,
        sent: failure === undefined ? undefined : sent,
        // It is unknown whether the instance has acted on the request.
        outcomeUnknown: failure !== undefined && sent && !FAILURES[failure].mayRetry ? true : undefined,
        error,
      },
      'request',
    );
  }

  #shown(user: string): string {
    const { showName } = this.#options;
    return showName === undefined ? user : showName(user);
  }

  /** Only a digest is shown, because a session value lets everyone who reads it use the session. */
  #digestOf(session: string): string {
    let digest = this.#sessions.get(session);
    if (digest === undefined) {
      digest = storedForm({ kind: 'session', value: session }).value;
      this.#sessions.set(session, digest);
    }
    return digest;
  }
}

// Behind the mark of a digest.
function shortened(digest: string): string {
  return digest.slice(1, 1 + LOGGED_DIGEST);
}

function instanceMsOf({ attempt }: RequestContext): number | undefined {
  const { sentAt, headerAt } = attempt ?? {};
  return sentAt === undefined || headerAt === undefined ? undefined : headerAt - sentAt;
}

/** Where the name that decides was found: the user before the session, and both before the address. */
function sourceOf({ user, session, address, userIsInBody, sessionIsInBody }: RequestContext): NameSource {
  if (user !== undefined) return userIsInBody ? 'body' : 'header';
  if (session !== undefined) return sessionIsInBody ? 'body' : 'cookie';
  return address === undefined ? 'none' : 'address';
}

/** Why the request names no agent. */
function reasonOf({ unnamedBecause, ignored }: RequestContext): UnnamedReason {
  if (unnamedBecause !== undefined) return unnamedBecause;
  if (ignored === undefined) return 'no-name';
  return ignored.some(({ reason }) => reason === 'shared') ? 'shared' : 'refused';
}

/** The user of the binding to which the session leads, for a request that names no user. */
function userOf({ target }: RequestContext): string | undefined {
  return target?.root?.kind === 'user' ? target.root.value : undefined;
}

/** Rounds to hundredths of a millisecond; the rest is noise. */
function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** What is kept of a request. */
export interface RequestFacts {
  readonly requestId: string;
  readonly client: string | undefined;
  /** Empty if no pool serves it. */
  readonly pool: string;
  readonly user: string | undefined;
  /** Its digest. */
  readonly session: string | undefined;
  readonly source: NameSource | undefined;
  readonly instance: InstanceId | undefined;
  readonly decision: RouteDecision;
  readonly operation: string | undefined;
  readonly act: AgentAct | undefined;
  readonly status: number;
  readonly code: ErrorCode | undefined;
  readonly attempts: number;
  readonly durationMs: number;
  readonly instanceMs: number | undefined;
  readonly waitedMs: number;
}

const NOTHING_KNOWN = {
  pool: '',
  user: undefined,
  session: undefined,
  source: undefined,
  instance: undefined,
  decision: 'refused',
  operation: undefined,
  act: undefined,
  attempts: 0,
  durationMs: 0,
  instanceMs: undefined,
  waitedMs: 0,
} as const;

// In each worker.
const KEPT_REQUESTS = 16_384;
const TEXT_BYTES = 2 * 1_024 * 1_024;
// Names and ids of clients are at most as long.
const MOST_CHARACTERS = 256;
// Five texts of UTF-8 with their separators.
const LONGEST_TEXT = 4_096;

/**
 * The last requests of this process, in memory of a fixed size: each overwrites the oldest ones. Texts of requests are
 * copied as bytes, because a string may be a part of a whole body and would keep that alive. `proxy/recent-requests.ts`
 * reads it.
 */
export class RequestRing {
  readonly size: number;
  readonly textBytes: number;
  /** How many requests were recorded. The one with number n stands at n % size. */
  recorded = 0;
  /** Where the texts of the next request begin, counted without end; they stand at the remainder by `textBytes`. */
  textEnd = 0;
  readonly text: Buffer;
  readonly textStart: Float64Array;
  readonly textLength: Uint16Array;
  /** In milliseconds since the Unix epoch. */
  readonly endedAt: Float64Array;
  readonly durationMs: Float32Array;
  /** NaN if there was no answer. */
  readonly instanceMs: Float32Array;
  readonly waitedMs: Float32Array;
  readonly status: Uint16Array;
  readonly attempts: Uint8Array;
  /** 1: a log-on; 2: a log-off. */
  readonly act: Uint8Array;
  // Words of small sets, which live as long as the configuration.
  readonly pool: string[];
  readonly instance: (InstanceId | undefined)[];
  readonly decision: RouteDecision[];
  readonly source: (NameSource | undefined)[];
  readonly code: (ErrorCode | undefined)[];

  constructor(size = KEPT_REQUESTS, textBytes = TEXT_BYTES) {
    this.size = size;
    this.textBytes = textBytes;
    this.text = Buffer.alloc(textBytes);
    this.textStart = new Float64Array(size);
    this.textLength = new Uint16Array(size);
    this.endedAt = new Float64Array(size);
    this.durationMs = new Float32Array(size);
    this.instanceMs = new Float32Array(size);
    this.waitedMs = new Float32Array(size);
    this.status = new Uint16Array(size);
    this.attempts = new Uint8Array(size);
    this.act = new Uint8Array(size);
    this.pool = new Array(size).fill('');
    this.instance = new Array(size).fill(undefined);
    this.decision = new Array(size).fill('refused');
    this.source = new Array(size).fill(undefined);
    this.code = new Array(size).fill(undefined);
  }

  add(facts: RequestFacts): void {
    const at = this.recorded % this.size;
    let start = this.textEnd;
    const left = this.textBytes - (start % this.textBytes);
    // The texts of one request stand together.
    if (left < LONGEST_TEXT) start += left;
    const length = this.text.write(textOf(facts), start % this.textBytes);
    this.textStart[at] = start;
    this.textLength[at] = length;
    this.textEnd = start + length;
    this.endedAt[at] = Date.now();
    this.durationMs[at] = facts.durationMs;
    this.instanceMs[at] = facts.instanceMs ?? Number.NaN;
    this.waitedMs[at] = facts.waitedMs;
    this.status[at] = facts.status;
    this.attempts[at] = facts.attempts;
    this.act[at] = facts.act === undefined ? 0 : facts.act === 'logon' ? 1 : 2;
    this.pool[at] = facts.pool;
    this.instance[at] = facts.instance;
    this.decision[at] = facts.decision;
    this.source[at] = facts.source;
    this.code[at] = facts.code;
    this.recorded += 1;
  }
}

/** One line each. */
function textOf({ session = '', user = '', requestId, client = '', operation = '' }: RequestFacts): string {
  return `${session}\n${cut(user)}\n${cut(requestId)}\n${cut(client)}\n${cut(operation)}\n`;
}

function cut(text: string): string {
  return text.length > MOST_CHARACTERS ? text.slice(0, MOST_CHARACTERS) : text;
}
