import { Readable } from 'node:stream';

export interface StatusStreamsOptions {
  /** The status, and as text the part of it whose changes are news. */
  readonly look: () => { readonly status: unknown; readonly news: string };
  /** How often changes are looked for, and so the shortest time between two events, in milliseconds. */
  readonly everyMs?: number;
  /** The longest time between two events. */
  readonly atLeastEveryMs?: number;
  readonly most?: number;
}

// How long a client waits before it connects again; the controller may just be replaced.
const RETRY_MS = 2_000;

/**
 * Sends the status to browsers as server-sent events: at once, after each change, and every few seconds. All streams
 * share one timer and one text. A client that reads slowly misses statuses: it gets the newest one when it has taken
 * the one before, so no more than a few are held for it. One that takes nothing is cut off with all connections that do
 * not read (`keepPendingConnections`).
 */
export class StatusStreams {
  readonly #options: Required<StatusStreamsOptions>;
  readonly #streams = new Set<StatusStream>();
  #timer: NodeJS.Timeout | undefined;
  #event = '';
  #news = '';
  #sentAt = 0;
  #isClosed = false;

  constructor(options: StatusStreamsOptions) {
    this.#options = { everyMs: 500, atLeastEveryMs: 5_000, most: 50, ...options };
  }

  get count(): number {
    return this.#streams.size;
  }

  /** How much text is held for all clients together, apart from what their sockets hold. */
  get buffered(): number {
    return [...this.#streams].reduce((sum, stream) => sum + stream.buffered, 0);
  }

  /**
   * A new stream; `undefined` if there are too many.
   *
   * @param isAllowed asked before each event; the stream ends when it says no
   */
  open(isAllowed: () => boolean = () => true): Readable | undefined {
    if (this.#isClosed || this.#streams.size >= this.#options.most) return undefined;
    const stream = new StatusStream(isAllowed, () => {
      this.#streams.delete(stream);
      if (this.#streams.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
    this.#streams.add(stream);
    if (this.#timer === undefined) {
      this.#look();
      this.#timer = setInterval(() => this.#look(), this.#options.everyMs);
    }
    stream.offer(`retry: ${RETRY_MS}\n\n${this.#event}`);
    return stream;
  }

  /** Ends all streams. Clients connect again, to the next controller if there is one. */
  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams) stream.end();
  }

  #look(): void {
    const { look, atLeastEveryMs } = this.#options;
    const { status, news } = look();
    const now = performance.now();
    if (news === this.#news && now - this.#sentAt < atLeastEveryMs) return;
    this.#news = news;
    this.#sentAt = now;
    this.#event = `event: status\ndata: ${JSON.stringify(status)}\n\n`;
    for (const stream of this.#streams) stream.offer(this.#event);
  }
}

class StatusStream extends Readable {
  readonly #isAllowed: () => boolean;
  readonly #onGone: () => void;
  /** The newest event that the client has not been able to take. */
  #waiting: string | undefined;
  #mayPush = false;
  #isEnded = false;

  constructor(isAllowed: () => boolean, onGone: () => void) {
    // Its own buffer holds one event.
    super({ highWaterMark: 1, encoding: 'utf8' });
    this.#isAllowed = isAllowed;
    this.#onGone = onGone;
  }

  get buffered(): number {
    return this.readableLength + (this.#waiting?.length ?? 0);
  }

  offer(event: string): void {
    if (this.#isEnded) return;
    if (!this.#isAllowed()) {
      this.end();
      return;
    }
    this.#waiting = event;
    this.#flush();
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#waiting = undefined;
    this.push(null);
  }

  override _read(): void {
    this.#mayPush = true;
    this.#flush();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#onGone();
    done(error);
  }

  #flush(): void {
    if (!this.#mayPush || this.#waiting === undefined) return;
    const event = this.#waiting;
    this.#waiting = undefined;
    this.#mayPush = false;
    this.push(event);
  }
}
