import type { AddressInfo } from 'node:net';
import { parseAddress } from '../config/syntax.ts';
import type { InheritedSocket, Init, SocketName } from '../process/messages.ts';
import { isOneProcess } from '../process/messages.ts';

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
