import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '../core/errors.ts';
import { networkOf } from '../core/network.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

// How long a refused client may go on sending, so that it can read the answer.
const LINGER_MS = 1_000;
// No client needs to pipeline more requests than this. More are read only when earlier ones are answered.
const MOST_PIPELINED = 32;
// One piece of input can hold thousands of small requests, and the parser reads it to its end. This bounds the memory
// that such requests take together.
const MOST_BEYOND = 10_000;

/** The number of requests of all connections beyond `MOST_PIPELINED`. */
let beyond = 0;

/** The client addresses that balancers sent by the PROXY protocol, by the socket of the requests. */
const named = new WeakMap<Socket, string>();

/** Sets the address of the socket's client, because Node does not allow setting it on the socket. */
export function namePeer(socket: Socket, address: string): void {
  named.set(socket, address);
}

/** The client that a balancer named, else the other end of the connection. Empty if the client has already left. */
export function peerOf(socket: Socket): string {
  return named.get(socket) ?? socket.remoteAddress ?? '';
}

/** Node's own mark of a connection that is not read. */
type Pausable = Socket & { _paused?: boolean };

/** A client's connection: the facts that hold for all of its requests, and how it ends. */
export class ClientConnection {
  /**
   * The client that a balancer named by the PROXY protocol, else the other end of the connection. Empty if the client
   * has already left.
   */
  readonly peer: string;
  /** What counts as one client together with the peer. */
  readonly network: string;
  /** The peer is a trusted proxy, so its forwarding headers count. */
  readonly isTrusted: boolean;
  /** It is kept open only so that its client can read the last answer. */
  isLingering = false;
  /** The parser has refused input, so nothing that follows is read. */
  isRefused = false;
  /** What is wrong with the last request, if that is known before it is its turn. */
  faultOfLast: ErrorCode | undefined;
  /** The answer to the last request that the parser has delivered. */
  lastResponse: ServerResponse | undefined;
  /** The line that is being read, if it may be a request line. */
  line = '';
  lineIsComplete = false;
  /** The input since the piece with the end of the last request's header mentions RTSP. */
  mentionsRtsp = false;
  /** The piece of input that the parser is reading has been looked at. */
  isPieceNoted = false;
  /** Before that piece, the body of a request was being read. */
  isInBody = false;
  /** Of the piece of input that was read last, as many as the name of a protocol has. */
  lastBytes = '';
  readonly #socket: Socket;
  /** The number of requests that wait for the answers to earlier ones. */
  #pipelined = 0;
  /** Requests of this connection may be among those in `beyond`. */
  #isCounted = false;

  constructor(socket: Socket, trustedProxies: TrustedProxies) {
    this.#socket = socket;
    this.peer = peerOf(socket);
    this.network = networkOf(this.peer);
    this.isTrusted = trustedProxies.includes(this.peer);
  }

  /** Requests wait for the answers to earlier ones, or input that is no request does. */
  get hasMore(): boolean {
    return this.#pipelined > 0 || this.isRefused;
  }

  /** Counts a request that must wait for the answers to earlier ones. Stops reading when there are many. */
  enqueue(): void {
    this.#pipelined += 1;
    if (this.#pipelined <= MOST_PIPELINED) return;
    const socket: Pausable = this.#socket;
    if (!this.#isCounted) socket.once('close', () => this.#forgetPipelined());
    this.#isCounted = true;
    beyond += 1;
    if (beyond > MOST_BEYOND) socket.destroy();
    if (socket._paused !== false) return;
    // As Node does while a client does not read its answers.
    socket._paused = true;
    socket.pause();
  }

  dequeue(): void {
    if (this.#pipelined > MOST_PIPELINED) beyond -= 1;
    this.#pipelined -= 1;
    // Makes Node read on if it has stopped.
    if (this.#pipelined === MOST_PIPELINED) this.#socket.emit('drain');
  }

  #forgetPipelined(): void {
    beyond -= Math.max(0, this.#pipelined - MOST_PIPELINED);
    this.#pipelined = 0;
  }

  /**
   * Closes the connection in two steps. Closing it with unread bytes would reset it, and the client could lose the
   * answer (RFC 9112 §9.6). So the gateway closes its own side first, then reads and drops what arrives for a moment.
   */
  linger(): void {
    this.isLingering = true;
    const socket: Pausable = this.#socket;
    // Node calls this when a response that ends the connection is complete.
    socket.destroySoon = () => {
      socket.end();
      socket._paused = false;
      socket.resume();
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    };
  }
}
