import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { SharedKey } from '../sockets/shared-key.ts';
import type { InnerHandler } from './attempt.ts';
import { instanceConnector } from './instance-connector.ts';
import type { RelayedRequestHead, RelayOrder } from './relay-message.ts';
import {
  encodeHead,
  isAnswerHead,
  ORDER_FIELD,
  OUTCOME_FIELD,
  orderToField,
  outcomeFromField,
  RELAY_PATH,
  splitHead,
} from './relay-message.ts';
import { NotRelayed, RelayFailed } from './relay-outcome.ts';

export interface RelayClientOptions {
  readonly key: SharedKey;
  /** Time for a peer to accept a connection, and then to say 100, in ms. Nothing was sent until then. */
  readonly judgeMs: number;
  /** How long a peer that has the request may say nothing, in ms: while it waits for the instance, it says so. */
  readonly silentMs: number;
  /** The longest gap between bytes of an answer, in ms. */
  readonly idleMs: number;
}

// The longest head of an answer, as JSON.
const HEAD_BYTES = 1_024 * 1_024;

/** Hands requests to peers. Each has a connection of its own, which is reset if the request is given up. */
export class RelayClient {
  readonly #options: RelayClientOptions;

  constructor(options: RelayClientOptions) {
    this.#options = options;
  }

  /**
   * Sends a request through the peer. `handler` gets the calls that undici would make: `onConnect` right before the
   * first byte. An error before it, or a {@link NotRelayed} later, proves that the instance has got nothing.
   */
  dispatch(
    peer: string,
    order: RelayOrder,
    head: RelayedRequestHead,
    body: Buffer | null,
    handler: InnerHandler,
  ): void {
    new Exchange(this.#options, peer, handler).begin(
      order,
      body === null ? encodeHead(head) : Buffer.concat([encodeHead(head), body]),
    );
  }
}

/** One request on its way through a peer. */
class Exchange {
  readonly #options: RelayClientOptions;
  readonly #peer: URL;
  readonly #handler: InnerHandler;
  #request: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isSent = false;
  #isOver = false;
  #isPaused = false;
  /** The start of the answer, until its head is complete. */
  #begun: Buffer | undefined = Buffer.alloc(0);

  constructor(options: RelayClientOptions, peer: string, handler: InnerHandler) {
    this.#options = options;
    this.#peer = new URL(`https://${peer}`);
    this.#handler = handler;
  }

  begin(order: RelayOrder, message: Buffer): void {
    const { key, judgeMs } = this.#options;
    const connector = instanceConnector(this.#peer, key.client, judgeMs);
    const connect = connector(
      // It is reset whenever it ends early.
      () => !this.#isOver || this.#answer?.complete !== true,
      () => {},
    );
    const { port, host } = this.#peer;
    // Without the brackets of an IPv6 address.
    const hostname = this.#peer.hostname.replace(/^\[|\]$/g, '');
    const request = httpRequest({
      method: 'POST',
      path: RELAY_PATH,
      headers: {
        host,
        connection: 'close',
        expect: '100-continue',
        'content-type': 'application/octet-stream',
        'content-length': String(message.length),
        [ORDER_FIELD]: orderToField(order),
      },
      createConnection: (_options, done) => {
        connect({ hostname, port, host, protocol: 'https:' }, (error, socket) =>
          done(error, socket as unknown as Socket),
        );
        return undefined;
      },
    });
    this.#request = request;
    this.#wait(2 * judgeMs, 'the peer did not accept the request in time');
    request
      .on('continue', () => this.#send(message))
      .on('information', ({ statusCode }) => {
        if (statusCode === 102) this.#timer?.refresh();
      })
      .on('response', (answer) => this.#answered(answer))
      .on('error', (error) => this.#fail(error))
      .on('close', () => this.#fail(new Error('the peer closed the connection')));
    request.flushHeaders();
  }

  #send(message: Buffer): void {
    if (this.#isOver || this.#isSent) return;
    this.#wait(this.#options.silentMs, 'the peer went silent');
    // It may abort, and then nothing may be written.
    this.#handler.onConnect((reason) => this.#fail(reason ?? new Error('aborted')), {});
    if (this.#isOver) return;
    this.#isSent = true;
    this.#request?.end(message);
  }

  #answered(answer: IncomingMessage): void {
    const outcome = outcomeFromField(answer.headers[OUTCOME_FIELD]);
    if (outcome === 'answered' && this.#isSent) {
      this.#answer = answer;
      this.#wait(this.#options.idleMs, 'the answer stalled');
      answer
        .on('data', (chunk: Buffer) => this.#took(chunk))
        .on('end', () => this.#complete())
        .on('error', (error) => this.#fail(error));
      return;
    }
    answer.resume();
    if (outcome === undefined || outcome === 'answered')
      this.#fail(new Error(`the peer answered ${answer.statusCode} without an outcome`));
    else this.#fail(outcome === 'unsent' ? new NotRelayed() : new RelayFailed(outcome));
  }

  #took(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#timer?.refresh();
    let rest = chunk;
    if (this.#begun !== undefined) {
      const begun = Buffer.concat([this.#begun, chunk]);
      const split = splitHead(begun);
      this.#begun = begun;
      if (split === undefined && begun.length <= HEAD_BYTES) return;
      if (split === undefined || !isAnswerHead(split.head)) {
        this.#fail(new Error('the answer of the peer has another form'));
        return;
      }
      this.#begun = undefined;
      const { status, statusText, headers } = split.head;
      const raw = headers.map((text) => Buffer.from(text, 'latin1'));
      if (!this.#handler.onHeaders(status, raw, () => this.#resume(), statusText)) this.#pause();
      ({ rest } = split);
    }
    if (rest.length > 0 && !this.#isOver && !this.#handler.onData(rest)) this.#pause();
  }

  #pause(): void {
    this.#isPaused = true;
    this.#answer?.pause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#timer?.refresh();
    this.#answer?.resume();
  }

  #complete(): void {
    if (this.#isOver) return;
    if (this.#answer?.complete === true && this.#begun === undefined) {
      this.#end();
      this.#handler.onComplete([]);
    } else this.#fail(new Error('the answer of the peer broke off'));
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#request?.destroy();
    this.#handler.onError(error);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #wait(ms: number, message: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Then the client is the one that stalls.
      if (this.#isPaused) this.#timer?.refresh();
      else this.#fail(new Error(message));
    }, ms);
  }
}
