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
  /** Idle connections are closed after this; must be shorter than the instance's own limit. */
  readonly idleTimeoutMs: number;
  /** A connection that is older takes no more requests. */
  readonly maxAgeMs: number;
  readonly responseHeaderTimeoutMs: number;
  readonly responseIdleTimeoutMs: number;
}

/** What an upstream knows of an attempt that was handed to one of its connections. */
export interface SentAttempt {
  readonly request: { readonly target: Target };
  /** Its instance is lost. */
  giveUp(): void;
}

/** The way to one instance: its connections, how many requests are there, and whether it gives a sign of life. */
export class Upstream {
  readonly id: InstanceId;
  readonly origin: string;
  /** The Host that names the instance itself. */
  readonly authority: string;
  readonly closeAfterEach: boolean;
  readonly queue: WaitQueue;
  /** Those that were handed to a connection and are not over. */
  readonly attempts = new Set<SentAttempt>();
  readonly #maxInFlight: number;
  readonly #options: UpstreamOptions;
  #connections: Connections;
  readonly #retired = new Set<Connections>();
  /** Where connections go to; undefined while that is left to the system's resolver. */
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

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Takes a place for one attempt, or returns false where all are taken. */
  tryEnter(): boolean {
    if (this.#inFlight >= this.#maxInFlight) return false;
    this.#inFlight += 1;
    return true;
  }

  /** Gives the place back: to the request that has waited longest, or to the next one that comes. */
  leave(): void {
    // Requests wait only while all places are taken.
    const isAwaited = this.#inFlight >= this.#maxInFlight && this.queue.wakeOne();
    if (!isAwaited) this.#inFlight -= 1;
  }

  /** A request was handed to a connection. */
  sent(now: number): void {
    if (this.#awaitingHeader === 0) this.#lastSign = now;
    this.#awaitingHeader += 1;
  }

  /** A response header came, or will come no more. */
  headerEnded(now: number, came: boolean): void {
    this.#awaitingHeader -= 1;
    if (came) this.#lastSign = now;
  }

  /** Since when requests have been waiting without any response from the instance, in ms; 0 if none waits. */
  silence(now: number): number {
    return this.#awaitingHeader === 0 ? 0 : now - this.#lastSign;
  }

  /** What {@link isCurrent} is asked with later. */
  get connections(): object {
    return this.#connections;
  }

  /** False where the connections that an attempt was dispatched to are retired by now. */
  isCurrent(connections: object): boolean {
    return connections === this.#connections;
  }

  /**
   * Sends nothing more over the present connections: idle ones end at once, others with the answer that they wait for.
   *
   * @param reset the instance is lost: what the kernel still holds for it is not to arrive
   */
  retire(reset: boolean): void {
    const retired = this.#connections;
    this.#connections = this.#open();
    this.#retired.add(retired);
    void retired.retire(reset).then(() => this.#retired.delete(retired));
  }

  /** The instance is at these addresses from now on: no request goes to another one. */
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
    const connect: InstanceConnector = (isOwed) =>
      options.connect(
        () => this.#resets || isOwed(),
        () => addresses,
      );
    this.pool = new Pool(options.origin, {
      factory: (origin, given) => instanceClient(origin, given as Client.Options, connect),
      pipelining: 1,
      // The number is bounded by maxInFlight, before undici, whose own queue knows no deadline.
      connections: null,
      clientTtl: options.maxAgeMs,
      keepAliveTimeout: options.idleTimeoutMs,
      keepAliveMaxTimeout: options.idleTimeoutMs,
      headersTimeout: options.responseHeaderTimeoutMs,
      bodyTimeout: options.responseIdleTimeoutMs,
    });
  }

  /** Resolves once none is left. Never rejects. */
  async retire(reset: boolean): Promise<void> {
    this.#resets = reset;
    await this.pool.close().catch(() => {
      // Destroyed meanwhile, which is an end too.
    });
  }
}
