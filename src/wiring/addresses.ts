import type { AddressInfo, Server } from 'node:net';
import { parseAddress } from '../config/syntax.ts';
import type { InheritedSocket, Init, SocketName } from '../process/messages.ts';
import { isOneProcess } from '../process/messages.ts';

/** Connections that the kernel holds for a process that does not come round to accepting them. */
const BACKLOG = 4_096;

/**
 * Listens at an address, or on a socket that another process has bound and keeps. Not by the framework: it passes no
 * backlog on to a descriptor, and for `localhost` it opens a second server, which has none of the limits and guards of
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

/** The socket that the supervisor keeps for it, or, in a gateway that is one process, the configured address. */
export function whereToListen(
  init: Init,
  name: SocketName,
  address: string,
): InheritedSocket | { readonly host: string; readonly port: number } {
  if (isOneProcess(init)) return bindOptions(address);
  const socket = init.sockets[name];
  if (socket === undefined) throw new Error(`${init.id} was given no socket for ${name}`);
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
