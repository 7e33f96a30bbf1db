import type { Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import { Client, Pool } from 'undici';
import type { InstanceId } from '../core/instance.ts';
import { AnswerHeads } from './headers.ts';
import type { CurrentAddresses, InstanceConnector } from './instance-connector.ts';
import type { SentAttempt, UpstreamOptions } from './upstream-options.ts';
import { WaitQueue } from './wait-queue.ts';

// Clients are servers in the same data centre: a healthy one is not waited for that long.
const STALLED_MS = 1_000;
const RELIEVE_EVERY_MS = 250;

/** One instance as the proxy sees it: its connections, the number of its requests, and how long it has been silent. */
export class Upstream {
  readonly id: InstanceId;
  readonly origin: string;
  /** The Host header of the instance itself. */
  readonly authority: string;
  readonly closeAfterEach: boolean;
  readonly queue: WaitQueue;
  /**
   * The attempts that were handed to a connection and have not ended. An array, because V8 replaces the table of a `Set`
   * again and again, and each old table keeps its last members alive until the old generation is collected: that doubled
   * the time for the garbage of a request.
   */
  readonly #attempts: SentAttempt[] = [];
  readonly #places: Places;
  readonly #options: UpstreamOptions;
  #connections: Connections;
  readonly #retired = new Set<Connections>();
  /** The addresses for new connections; undefined means that the system's resolver is used. */
  #addresses: readonly string[] | undefined;
  #relief: NodeJS.Timeout | undefined;
  #awaitingHeader = 0;
  #lastSign = 0;
  #lastSent = performance.now();

  constructor(options: UpstreamOptions) {
    this.id = options.id;
    this.origin = options.origin;
    this.authority = new URL(options.origin).host;
    this.closeAfterEach = options.closeAfterEach;
    this.#places = new Places(options.maxInFlight);
    this.queue = new WaitQueue(options.maxQueued);
    this.#options = options;
    this.#connections = this.#open();
  }

  /** A copy, because an attempt that is given up may end at once. */
  get attempts(): readonly SentAttempt[] {
    return [...this.#attempts];
  }

  /** Does nothing if the attempt has begun: undici may hand it to a second connection. */
  begin(attempt: SentAttempt): void {
    if (attempt.place >= 0) return;
    attempt.place = this.#attempts.push(attempt) - 1;
  }

  /** Does nothing if the attempt has not begun. */
  end(attempt: SentAttempt): void {
    const { place } = attempt;
    if (place < 0) return;
    const last = this.#attempts.pop() as SentAttempt;
    last.place = place;
    if (last !== attempt) this.#attempts[place] = last;
    attempt.place = -1;
  }

  get inFlight(): number {
    return this.#places.taken;
  }

  /** Takes a place for one attempt, or returns false if there is none for this client. */
  tryEnter(client: string): boolean {
    return this.#places.tryTake(client);
  }

  /** Would {@link tryEnter} give it one? */
  hasPlaceFor(client: string): boolean {
    return this.#places.mayTake(client);
  }

  /** Releases a place that the client has taken. It goes to the next waiting request whose client may take it. */
  leave(client: string): void {
    // Requests wait only while places are scarce.
    const isAwaited = this.#places.areScarce;
    this.#places.release(client);
    if (isAwaited) this.queue.wakeOne((waiting) => this.#places.tryTake(waiting));
  }

  /**
   * To be called when a request waits for a place. Attempts that wait for slow clients give way, one for each request in
   * the queue.
   */
  relieve(): void {
    if (this.#relief !== undefined || this.queue.size === 0) return;
    const now = performance.now();
    const stalled = this.#attempts
      .map(({ request: { sender } }) => ({ sender, ms: sender.stalledMs(now) }))
      .filter(({ ms }) => ms >= STALLED_MS)
      .sort((a, b) => b.ms - a.ms)
      .slice(0, this.queue.size);
    this.#relief = setTimeout(() => {
      this.#relief = undefined;
      this.relieve();
    }, RELIEVE_EVERY_MS).unref();
    for (const { sender } of stalled) sender.giveWay();
  }

  /** To be called when a request was handed to a connection. */
  sent(now: number): void {
    if (this.#awaitingHeader === 0) this.#lastSign = now;
    this.#awaitingHeader += 1;
    this.#lastSent = now;
  }

  /** To be called when a response header has arrived, or can no longer arrive. */
  headerEnded(now: number, came: boolean): void {
    this.#awaitingHeader -= 1;
    if (came) this.#lastSign = now;
  }

  /** How long requests have been waiting without any response from the instance, in ms; 0 if none waits. */
  silence(now: number): number {
    return this.#awaitingHeader === 0 ? 0 : now - this.#lastSign;
  }

  /** Milliseconds since the last request was sent, or since the process started. */
  idle(now: number): number {
    return now - this.#lastSent;
  }

  /** Identifies the present connections, for a later call of {@link isCurrent}. */
  get connections(): object {
    return this.#connections;
  }

  /** False if these connections have been retired. */
  isCurrent(connections: object): boolean {
    return connections === this.#connections;
  }

  /**
   * Sends nothing more over the present connections. Idle ones end at once, the others after the answers they await.
   *
   * @param reset true if the instance is lost: bytes that the kernel still holds must not reach it
   */
  retire(reset: boolean): void {
    const retired = this.#connections;
    this.#connections = this.#open();
    this.#retired.add(retired);
    void retired.retire(reset).then(() => this.#retired.delete(retired));
  }

  /** Sets the addresses of the instance. From now on, no request goes to another address. */
  moveTo(addresses: readonly string[] | undefined): void {
    const isSame = addresses?.join() === this.#addresses?.join();
    this.#addresses = addresses;
    if (!isSame) this.retire(false);
  }

  #open(): Connections {
    return new Connections(this.#options, this.#addresses);
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#connections.pool.dispatch(options, handler);
  }

  /** Ends all connections at once; requests in flight fail. */
  async close(): Promise<void> {
    await Promise.all([this.#connections, ...this.#retired].map(({ pool }) => pool.destroy()));
  }
}

/**
 * A limited number of places that clients share. The last tenth is for clients that hold less than a tenth of them: one
 * that takes all it can get keeps none of the others out. Fewer than ten places have no such part.
 */
export class Places {
  readonly #limit: number;
  readonly #tenth: number;
  readonly #held = new Map<string, number>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#tenth = Math.floor(limit / 10);
  }

  get taken(): number {
    return this.#taken;
  }

  /** Those are left, at most, that are not for everyone. */
  get areScarce(): boolean {
    return this.#taken >= this.#limit - this.#tenth;
  }

  /** Takes a place, or returns false if there is none for the client. */
  tryTake(client: string): boolean {
    if (!this.mayTake(client)) return false;
    this.#held.set(client, (this.#held.get(client) ?? 0) + 1);
    this.#taken += 1;
    return true;
  }

  /** Is there a place for the client? */
  mayTake(client: string): boolean {
    if (!this.areScarce) return true;
    return this.#taken < this.#limit && (this.#held.get(client) ?? 0) < this.#tenth;
  }

  /** Gives back a place that the client has taken. */
  release(client: string): void {
    const left = (this.#held.get(client) ?? 0) - 1;
    if (left > 0) this.#held.set(client, left);
    else this.#held.delete(client);
    this.#taken -= 1;
  }
}

/** Connections to one instance that are retired together. */
class Connections {
  readonly pool: Pool;
  #resets = false;

  constructor(options: UpstreamOptions, addresses: readonly string[] | undefined) {
    const connect: InstanceConnector = (isAnswerAwaited, adapt) =>
      options.connect(
        () => this.#resets || isAnswerAwaited(),
        adapt,
        () => addresses,
      );
    this.pool = new Pool(options.origin, {
      factory: (origin, given) => new InstanceClient(origin, given as Client.Options, connect),
      pipelining: 1,
      // maxInFlight limits the number before undici does, because undici's queue has no deadline.
      connections: null,
      clientTtl: options.maxAgeMs,
      keepAliveTimeout: options.idleTimeoutMs,
      keepAliveMaxTimeout: options.idleTimeoutMs,
      maxHeaderSize: options.responseHeaderBytes,
      headersTimeout: options.responseHeaderTimeoutMs,
      bodyTimeout: options.responseIdleTimeoutMs,
    });
  }

  /** Resolves when no connection is left. Never rejects. */
  async retire(reset: boolean): Promise<void> {
    this.#resets = reset;
    await this.pool.close().catch(() => {
      // The pool was destroyed in the meantime, so no connection is left.
    });
  }
}

/** The longest header of an answer that is read, if the configuration does not allow more. */
export const ANSWER_HEADER_BYTES = 64 * 1_024;

/** A client of undici that resets a connection if it ends before the awaited answer. */
export class InstanceClient extends Client {
  readonly #heads: AnswerHeads;

  constructor(
    origin: string | URL,
    options: Client.Options,
    connect: InstanceConnector,
    addresses?: CurrentAddresses,
  ) {
    const { maxHeaderSize = ANSWER_HEADER_BYTES } = options;
    const heads = new AnswerHeads(maxHeaderSize);
    const adapt = (socket: Socket): void => {
      heads.expect();
      adaptStream(socket, heads);
    };
    super(origin, {
      ...options,
      maxHeaderSize,
      connect: connect(() => this.stats.running > 0, adapt, addresses),
    });
    this.#heads = heads;
  }

  /** Tells an attempt which answers it will get, so that it can say when it sends. */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    (handler as AwaitsHead).heads = this.#heads;
    return super.dispatch(options, handler);
  }
}

/** What sends a request calls `heads.expect()` right before the first byte. */
export interface AwaitsHead {
  heads?: AnswerHeads | undefined;
}

/** The instance reset the connection. */
class ConnectionReset extends Error {
  override readonly name = 'ConnectionReset';
}

type Written = (error?: Error | null) => void;

// What writing fails with if the peer has closed or reset the connection.
const PEER_IS_GONE: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ECONNRESET']);

/**
 * Changes what undici sees of an open connection to an instance:
 *
 * - the heads of answers, corrected by `heads`,
 * - a reset as an error that has no code. undici takes ECONNRESET for the regular end of an answer that ends with its
 *   connection, so that half an answer would count as a whole one,
 * - no error of writing if the instance no longer reads. An instance that refuses a body without reading it closes at
 *   once. Its answer has arrived, and must be read before the reset counts,
 * - no end while undici has paused an answer. At the end of an answer that ends with its connection, undici asserts that
 *   it has not, and throws where nothing can catch it, so that the process would end. The end comes when it reads on.
 */
function adaptStream(socket: Socket, heads: AnswerHeads): void {
  const push = socket.push.bind(socket);
  const end = endAfterPauses(socket, () => void push(null));
  socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null) {
      if (isReset(socket)) socket.destroy(new ConnectionReset('the instance reset the connection'));
      else end();
      return false;
    }
    const taken = heads.take(chunk);
    // To push nothing would mean that nothing can be read for now.
    return taken.length === 0 || push(taken, encoding);
  };

  const destroy = socket.destroy.bind(socket);
  socket.destroy = (error?: NodeJS.ErrnoException): Socket =>
    destroy(error?.code === 'ECONNRESET' ? new ConnectionReset(error.message, { cause: error }) : error);

  // The stream passes the same callback to every write, so one wrapper serves all of them.
  let given: Written | undefined;
  let wrapped: Written | undefined;
  const tolerant = (written: Written): Written => {
    if (wrapped !== undefined && written === given) return wrapped;
    given = written;
    wrapped = (error) => {
      const { code } = (error ?? {}) as NodeJS.ErrnoException;
      written(PEER_IS_GONE.has(code) ? null : error);
    };
    return wrapped;
  };
  const write = socket._write.bind(socket);
  socket._write = (chunk, encoding, written) => write(chunk, encoding, tolerant(written));
  const writev = socket._writev?.bind(socket);
  if (writev !== undefined) socket._writev = (chunks, written) => writev(chunks, tolerant(written));
}

/** Returns what calls `end`: at once, or after undici has resumed an answer that it has paused. */
function endAfterPauses(socket: Socket, end: () => void): () => void {
  let isPaused = false;
  let isEnding = false;
  const endUnlessPaused = (): void => {
    if (isPaused) return;
    end();
    // Tells undici, as Node does after each end.
    socket.read(0);
  };
  // undici gives back what it has not read when it pauses, even if that is nothing, and reads when it resumes.
  const unshift = socket.unshift.bind(socket);
  socket.unshift = (rest: Buffer): void => {
    isPaused = true;
    unshift(rest);
  };
  const read = socket.read.bind(socket);
  socket.read = (size?: number): unknown => {
    // Node itself asks for 0 bytes when something has arrived.
    if (isPaused && size === undefined) {
      isPaused = false;
      if (isEnding) process.nextTick(endUnlessPaused);
    }
    return read(size);
  };
  return () => {
    isEnding = true;
    endUnlessPaused();
  };
}

/**
 * At the end of the data, was the connection reset rather than closed? libuv reports an end for a reset that arrives
 * together with data. Only a connection that was closed by one side still has a peer. This works once, because Node
 * keeps the address of a peer.
 */
function isReset(socket: Socket): boolean {
  return socket.remoteAddress === undefined;
}
