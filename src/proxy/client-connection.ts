import type { Socket } from 'node:net';
import type { TrustedProxies } from './trusted-proxies.ts';

// How long a client that was refused may go on sending, so that it can read why.
const LINGER_MS = 1_000;
// No client needs to send so many requests ahead of their answers, and Node would take in any number of them.
const MOST_PIPELINED = 32;

/** Addresses of clients by the socket that their requests come on, where a balancer named them. */
const named = new WeakMap<Socket, string>();

/** From here on the balancer says who the socket's peer is: Node lets no address of a socket be set. */
export function namePeer(socket: Socket, address: string): void {
  named.set(socket, address);
}

/** A client's connection: what holds for all of its requests is found out once, and how it ends. */
export class ClientConnection {
  /**
   * The client that a balancer in front has named by the PROXY protocol, else the other end. Empty where the client had
   * left already.
   */
  readonly peer: string;
  /** The peer is a proxy whose word on the client is believed. */
  readonly isTrusted: boolean;
  /** It is only kept open so that its client can read the last answer. */
  isLingering = false;
  readonly #socket: Socket;
  /** Requests that came before their turn to be answered. */
  #pipelined = 0;

  constructor(socket: Socket, trustedProxies: TrustedProxies) {
    this.#socket = socket;
    this.peer = named.get(socket) ?? socket.remoteAddress ?? '';
    this.isTrusted = trustedProxies.includes(this.peer);
  }

  /** Counts a request that came before its turn; false where there are too many of them. */
  enqueue(): boolean {
    this.#pipelined += 1;
    return this.#pipelined <= MOST_PIPELINED;
  }

  dequeue(): void {
    this.#pipelined -= 1;
  }

  /**
   * Makes the end of the connection a gentle one. A connection that is closed with
   * unread bytes is reset, and the client may lose the answer that told it why
   * (RFC 9112 §9.6). So the gateway closes its own side first, then reads and drops
   * what still comes, for a moment.
   */
  linger(): void {
    this.isLingering = true;
    const socket = this.#socket;
    // What Node calls when a response that ends the connection is complete.
    socket.destroySoon = () => {
      socket.end();
      socket.resume();
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    };
  }
}
