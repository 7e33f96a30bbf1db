import type { AddressInfo } from 'node:net';
import { parseAddress } from '../config/syntax.ts';

export function bindOptions(address: string): { host: string; port: number } {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`cannot listen on ${address}: write host:port`);
  return parsed;
}

export function urlOf(scheme: string, { address, port, family }: AddressInfo): string {
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
