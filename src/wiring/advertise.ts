import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { isLoopback } from '../core/loopback.ts';
import { urlOf } from './addresses.ts';

/**
 * The URL at which other hosts reach the admin plane; `null` if it listens on a loopback address or a Unix socket.
 *
 * @param configured the operator knows better, for example with a balancer or a port mapping in between
 */
export function advertisedUrl(
  configured: string | undefined,
  scheme: 'http' | 'https',
  listening: AddressInfo | string | null,
): string | null {
  if (configured !== undefined) return configured;
  if (listening === null || typeof listening === 'string') return null;
  const { address, port } = listening;
  if (isLoopback(address)) return null;
  const isEvery = address === '0.0.0.0' || address === '::';
  return isEvery ? `${scheme}://${hostname()}:${port}` : urlOf(scheme, listening);
}
