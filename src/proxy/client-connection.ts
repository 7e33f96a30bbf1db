import type { Socket } from 'node:net';
import type { TrustedProxies } from './trusted-proxies.ts';

// How long a refused client may go on sending, so that it can read the answer.
const LINGER_MS = 1_000;
// No client needs to pipeline more requests than this, but Node would accept any number.
const MOST_PIPELINED = 32;

/** The client addresses that balancers sent by the PROXY protocol, by the socket of the requests. */
const named = new WeakMap<Socket, string>();

/** Sets the address of the socket's client, because Node does not allow setting it on the socket. */
export function namePeer(socket: Socket, address: string): void {
  named.set(socket, address);
}

/** A client's connection: the facts that hold for all of its requests, and how it ends. */
export class ClientConnection {
  /**
   * The client that a balancer named by the PROXY protocol, else the other end of the connection. Empty if the client
   * has already left.
   */
  readonly peer: string;
  /** The peer is a trusted proxy, so its forwarding headers count. */
  readonly isTrusted: boolean;
  /** It is kept open only so that its client can read the last answer. */
  isLingering = false;
  readonly #socket: Socket;
  /** The number of requests that wait for the answers to earlier ones. */
  #pipelined = 0;

  constructor(socket: Socket, trustedProxies: TrustedProxies) {
    this.#socket = socket;
    this.peer = named.get(socket) ?? socket.remoteAddress ?? '';
    this.isTrusted = trustedProxies.includes(this.peer);
  }

  /** Counts a request that must wait for the answers to earlier ones; false if there are too many of them. */
  enqueue(): boolean {
    this.#pipelined += 1;
    return this.#pipelined <= MOST_PIPELINED;
  }

  dequeue(): void {
    this.#pipelined -= 1;
  }

  /**
   * Closes the connection in two steps. Closing it with unread bytes would reset it, and the client could lose the
   * answer (RFC 9112 §9.6). So the gateway closes its own side first, then reads and drops what arrives for a moment.
   */
  linger(): void {
    this.isLingering = true;
    const socket = this.#socket;
    // Node calls this when a response that ends the connection is complete.
    socket.destroySoon = () => {
      socket.end();
      socket.resume();
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    };
  }
}
