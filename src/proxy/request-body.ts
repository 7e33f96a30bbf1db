import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../core/errors.ts';
import { StreamedBody } from './streamed-body.ts';

const NOTHING = Buffer.alloc(0);
// What a piece of a body takes of the memory beside its bytes, roughly. Clients may send a byte at a time.
const PIECE_BYTES = 512;

/** What the bodies that are arriving take of the memory together. */
export class ArrivingBytes {
  #bytes = 0;
  readonly #most: number;
  readonly #onTooMany: () => void;

  /** @param onTooMany is called when they take more than `most`, and may give up some of them */
  constructor(most: number, onTooMany: () => void) {
    this.#most = most;
    this.#onTooMany = onTooMany;
  }

  /** What must be given up, so that a tenth is free again; 0 or less if nothing must. */
  get excess(): number {
    return this.#bytes - this.#most * 0.9;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#most) this.#onTooMany();
  }

  remove(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/**
 * A request's body. Its beginning (the head) is held in memory, so that it can be searched, and sent again as long as
 * nothing was sent. The rest streams. Of a small body, the head is everything.
 */
export class RequestBody {
  readonly #raw: IncomingMessage;
  readonly #maxBytes: number;
  /** From Content-Length; `undefined` for a chunked body. */
  readonly #length: number | undefined;
  #head: Buffer = NOTHING;
  #complete: boolean;
  /** What the last attempt sends, if it is not all in the head. */
  #streamed: StreamedBody | undefined;
  #arriving = 0;
  readonly #all: ArrivingBytes;
  #stopCollecting: ((error: Error) => void) | undefined;

  /** @param maxBytes a longer body is refused with `GW_BODY_TOO_LARGE`, at once if its length is announced */
  constructor(
    raw: IncomingMessage,
    contentLength: number | undefined,
    chunked: boolean,
    maxBytes: number,
    all: ArrivingBytes,
  ) {
    if (contentLength !== undefined && contentLength > maxBytes) throw new GatewayError('GW_BODY_TOO_LARGE');
    this.#raw = raw;
    this.#maxBytes = maxBytes;
    this.#length = contentLength;
    this.#all = all;
    this.#complete = !chunked && (contentLength ?? 0) === 0;
  }

  /** What {@link collect} has read. */
  get head(): Buffer {
    return this.#head;
  }

  /** What it takes of the memory while it is collected. */
  get arriving(): number {
    return this.#arriving;
  }

  /** True if the head is the whole body. */
  get complete(): boolean {
    return this.#complete;
  }

  /** True if the body is known to fit into `bytes`, or to be of unknown length. */
  mayFit(bytes: number): boolean {
    return this.#length === undefined || this.#length <= bytes;
  }

  /** The Content-Length to send with a streamed body of known length; undici computes that of other bodies. */
  get declaredLength(): number | undefined {
    return this.#complete ? undefined : this.#length;
  }

  /**
   * Reads until the end, or until at least `bytes` have arrived, also of a body that was read in part. Rejects with `GW_BODY_TOO_LARGE`, or with the
   * connection's error if the client leaves or the chunks are malformed. Reads nothing once a stream has begun.
   */
  collect(bytes: number): Promise<void> {
    if (this.#complete || this.#head.length >= bytes) return Promise.resolve();
    // The rest belongs to the attempt that sends it.
    if (this.#streamed?.hasBegun === true) return Promise.resolve();
    const raw = this.#raw;
    // It would emit no more events.
    if (raw.destroyed) return Promise.reject(new Error('the client left while it sent the body'));
    const chunks: Buffer[] = this.#head.length === 0 ? [] : [this.#head];
    let size = this.#head.length;
    return new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => {
        if (this.#stopCollecting === undefined) return;
        // Listeners of a complete body will not be called for another one, and removing them takes time.
        if (!this.#complete)
          raw.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
        this.#stopCollecting = undefined;
        this.#all.remove(this.#arriving);
        this.#arriving = 0;
        this.#head = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onData = (chunk: Buffer): void => {
        chunks.push(chunk);
        size += chunk.length;
        this.#arriving += chunk.length + PIECE_BYTES;
        this.#all.add(chunk.length + PIECE_BYTES);
        // It may have been given up.
        if (this.#stopCollecting === undefined) return;
        if (size > this.#maxBytes) {
          settle(new GatewayError('GW_BODY_TOO_LARGE'));
        } else if (size >= bytes && size !== this.#length) {
          raw.pause();
          settle();
        }
      };
      const onEnd = (): void => {
        this.#complete = true;
        settle();
      };
      const onError = (error: Error): void => settle(error);
      const onClose = (): void => {
        // It comes after a whole body too, and an error takes longer than all the rest.
        if (!this.#complete) settle(new Error('the client left while it sent the body'));
      };
      this.#stopCollecting = settle;
      raw.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
      raw.resume();
    });
  }

  /** For how long a stream has been waiting for the client to send a worthwhile piece, in ms. */
  stalledMs(now: number): number {
    return this.#streamed?.stalledMs(now) ?? 0;
  }

  /** Ends {@link collect} with this error if it is running, because the rest of the body will not come. */
  abandon(error: GatewayError): void {
    this.#stopCollecting?.(error);
  }

  /**
   * The body for one attempt. The rest is read only when the attempt starts to send, so that another attempt can follow
   * one that sent nothing.
   */
  payload(): Buffer | StreamedBody | null {
    if (this.#complete) return this.#head.length === 0 ? null : this.#head;
    if (this.#streamed?.hasBegun === true) throw new Error('a streamed body can be sent only once');
    this.#streamed = new StreamedBody(this.#raw, () => this.#takeHead(), this.#maxBytes);
    return this.#streamed;
  }

  /** Its memory is free when it has been sent. */
  #takeHead(): Buffer {
    const head = this.#head;
    this.#head = NOTHING;
    return head;
  }
}
