import type { buildConnector, Dispatcher } from 'undici';
import { Pool } from 'undici';
import type { InstanceId } from '../core/instance.ts';
import { WaitingRoom } from './waiting-room.ts';

export interface UpstreamOptions {
  readonly id: InstanceId;
  /** Scheme, host and port. */
  readonly origin: string;
  readonly connect: buildConnector.connector;
  readonly maxInFlight: number;
  readonly maxQueued: number;
  /** One connection per request instead of kept-alive ones. */
  readonly closeAfterEach: boolean;
  /** Idle connections are closed after this; must be shorter than the instance's own limit. */
  readonly idleTimeoutMs: number;
  readonly responseHeaderTimeoutMs: number;
  readonly responseIdleTimeoutMs: number;
}

/** The way to one instance: its connections, how many requests are there, and whether it gives a sign of life. */
export class Upstream {
  readonly id: InstanceId;
  readonly origin: string;
  /** The Host that names the instance itself. */
  readonly authority: string;
  readonly closeAfterEach: boolean;
  readonly queue: WaitingRoom;
  readonly #maxInFlight: number;
  readonly #pool: Pool;
  #inFlight = 0;
  #awaitingHeader = 0;
  #lastSign = 0;

  constructor(options: UpstreamOptions) {
    this.id = options.id;
    this.origin = options.origin;
    this.authority = new URL(options.origin).host;
    this.closeAfterEach = options.closeAfterEach;
    this.#maxInFlight = options.maxInFlight;
    this.queue = new WaitingRoom(options.maxQueued);
    this.#pool = new Pool(options.origin, {
      connect: options.connect,
      pipelining: 1,
      // The number is bounded by maxInFlight, before undici, whose own queue knows no deadline.
      connections: null,
      keepAliveTimeout: options.idleTimeoutMs,
      keepAliveMaxTimeout: options.idleTimeoutMs,
      headersTimeout: options.responseHeaderTimeoutMs,
      bodyTimeout: options.responseIdleTimeoutMs,
    });
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

  /** Gives the place back: to the request that has waited longest, which then has it, else to whoever comes. */
  leave(): void {
    if (!this.queue.wakeOne()) this.#inFlight -= 1;
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

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#pool.dispatch(options, handler);
  }

  /** Ends all connections at once; requests in flight fail. */
  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
