import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

// How long a client that was refused may go on sending, so that it can read why.
const LINGER_MS = 1_000;

const lingering = new WeakSet<object>();

/** True once the connection is only kept open so that its client can read the last answer. */
export function isLingering(socket: object): boolean {
  return lingering.has(socket);
}

/**
 * Makes the end of the connection a gentle one. A connection that is closed with
 * unread bytes is reset, and the client may lose the answer that told it why
 * (RFC 9112 §9.6). So its own side is closed first, and what still comes is read
 * and dropped for a moment.
 */
export function lingerAtEnd(socket: Socket): void {
  lingering.add(socket);
  // What Node calls when a response that ends the connection is complete.
  socket.destroySoon = () => {
    socket.end();
    socket.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
}

const ending = new WeakSet<Server>();

/** From now on each answer of the server is the last of its connection. */
export function endWithAnswer(server: Server): void {
  ending.add(server);
}

/** Makes this the last response of its connection where the gateway is about to end. */
export function closeIfEnding(response: ServerResponse): void {
  const server = (response.socket as (Socket & { readonly server?: Server }) | null)?.server;
  if (server !== undefined && ending.has(server)) response.shouldKeepAlive = false;
}
