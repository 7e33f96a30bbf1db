import type { Client, Dispatcher } from 'undici';
import { Pool } from 'undici';
import type { InstanceId } from '../core/instance.ts';
import type { Target } from '../core/target.ts';
import type { InstanceConnector } from './instance-connector.ts';
import { instanceClient } from './instance-connector.ts';
import { WaitQueue } from './wait-queue.ts';

export interface UpstreamOptions {
  readonly id: InstanceId;
  /** Scheme, host and port. */
  readonly origin: string;
  readonly connect: InstanceConnector;
  readonly maxInFlight: number;
  readonly maxQueued: number;
  /** One connection per request instead of kept-alive ones. */
  readonly closeAfterEach: boolean;
  /** Idle connections are closed after this time. It must be shorter than the instance's own limit. */
  readonly idleTimeoutMs: number;
  /** Older connections get no more requests. */
  readonly maxAgeMs: number;
  readonly responseHeaderTimeoutMs: number;
  readonly responseIdleTimeoutMs: number;
}

/** The part of an attempt that the upstream needs after sending. */
export interface SentAttempt {
  readonly request: { readonly target: Target };
  /** Its place among {@link Upstream.attempts}, which the upstream keeps here; -1 if it is not among them. */
  place: number;
  /** To be called when its instance is lost. */
  giveUp(): void;
}

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
  readonly #maxInFlight: number;
  readonly #options: UpstreamOptions;
  #connections: Connections;
  readonly #retired = new Set<Connections>();
  /** The addresses for new connections; undefined means that the system's resolver is used. */
  #addresses: readonly string[] | undefined;
  #inFlight = 0;
  #awaitingHeader = 0;
  #lastSign = 0;

  constructor(options: UpstreamOptions) {
    this.id = options.id;
    this.origin = options.origin;
    this.authority = new URL(options.origin).host;
    this.closeAfterEach = options.closeAfterEach;
    this.#maxInFlight = options.maxInFlight;
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
    return this.#inFlight;
  }

  /** Takes a place for one attempt, or returns false if all are taken. */
  tryEnter(): boolean {
    if (this.#inFlight >= this.#maxInFlight) return false;
    this.#inFlight += 1;
    return true;
  }

  /** Releases a place, which goes to the request that has waited longest, if there is one. */
  leave(): void {
    // Requests wait only while all places are taken.
    const isAwaited = this.#inFlight >= this.#maxInFlight && this.queue.wakeOne();
    if (!isAwaited) this.#inFlight -= 1;
  }

  /** To be called when a request was handed to a connection. */
  sent(now: number): void {
    if (this.#awaitingHeader === 0) this.#lastSign = now;
    this.#awaitingHeader += 1;
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

/** Connections to one instance that are retired together. */
class Connections {
  readonly pool: Pool;
  #resets = false;

  constructor(options: UpstreamOptions, addresses: readonly string[] | undefined) {
    const connect: InstanceConnector = (isAnswerAwaited) =>
      options.connect(
        () => this.#resets || isAnswerAwaited(),
        () => addresses,
      );
    this.pool = new Pool(options.origin, {
      factory: (origin, given) => instanceClient(origin, given as Client.Options, connect),
      pipelining: 1,
      // maxInFlight limits the number before undici does, because undici's queue has no deadline.
      connections: null,
      clientTtl: options.maxAgeMs,
      keepAliveTimeout: options.idleTimeoutMs,
      keepAliveMaxTimeout: options.idleTimeoutMs,
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
