import type { AddressInfo, Server } from 'node:net';
import { parseAddress } from '../config/syntax.ts';
import type { InheritedSocket, Init, SocketName } from '../process/messages.ts';
import { isOneProcess } from '../process/messages.ts';

/** How many connections the kernel holds while the process is too busy to accept them. */
const BACKLOG = 4_096;

/**
 * Listens at an address, or on a socket that another process has bound and keeps. It does not use Fastify's `listen`:
 * that sets no backlog on a descriptor, and for `localhost` it opens a second server without the limits and guards of
 * the first.
 */
export function listenOn(
  server: Server,
  where: InheritedSocket | { readonly host: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen('fd' in where ? { fd: where.fd } : where, BACKLOG, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** The socket that the supervisor keeps; in a gateway of a single process the configured address. */
export function whereToListen(
  init: Init,
  name: SocketName,
  address: string,
): InheritedSocket | { readonly host: string; readonly port: number } {
  if (isOneProcess(init)) return bindOptions(address);
  const socket = init.sockets[name];
  if (socket === undefined) throw new Error(`the supervisor passed no ${name} socket to ${init.id}`);
  return socket;
}

export function bindOptions(address: string): { host: string; port: number } {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`cannot listen on ${address}: write host:port`);
  return parsed;
}

export function urlOf(scheme: string, { address, port, family }: AddressInfo): string {
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
