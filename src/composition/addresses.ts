import type { AddressInfo, Server } from 'node:net';
import { parseAddress } from '../config/syntax.ts';
import type { InheritedSocket, Init, SocketName } from '../process/messages.ts';

/** Connections that the kernel holds for a process that does not come round to accepting them. */
export const BACKLOG = 4_096;

/**
 * Listens on a socket that another process has bound and keeps. Not by the
 * framework, which passes no backlog on to a descriptor, and would have the
 * kernel's queue shortened to node's default.
 */
export function listenOn(server: Server, { fd }: InheritedSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, BACKLOG, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

export function socketOf({ id, sockets }: Init, name: SocketName): InheritedSocket {
  const socket = sockets[name];
  if (socket === undefined) throw new Error(`${id} was given no socket for ${name}`);
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
