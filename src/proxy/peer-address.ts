import type { Socket } from 'node:net';

/** Addresses of clients by the socket that their requests come on, where a balancer named them. */
const named = new WeakMap<Socket, string>();

/** From here on the socket's peer is who the balancer says it is, since Node lets no address of a socket be set. */
export function namePeer(socket: Socket, address: string): void {
  named.set(socket, address);
}

/**
 * Who the connection is from: the client that a balancer in front has named by the PROXY protocol, else the other
 * end. Empty where the client has left before anybody asked.
 */
export function peerAddress(socket: Socket): string {
  return named.get(socket) ?? socket.remoteAddress ?? '';
}
