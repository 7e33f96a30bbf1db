import { lookup } from 'node:dns/promises';
import * as net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { parseAddress } from '../config/syntax.ts';
import type { SocketName } from './messages.ts';
import { SOCKET_NAMES } from './messages.ts';

/**
 * A TCP socket that this process binds and keeps, but never accepts on. A child
 * inherits its descriptor and listens with `server.listen({ fd, backlog })`. While no
 * child is alive, connections wait in the kernel's queue.
 *
 * This is the only file of this folder that uses undocumented parts of Node; decision 0016
 * says why.
 */
export interface ListeningSocket {
  readonly fd: number;
  /** The bound address, such as `127.0.0.1:41234`, with the real port even if port 0 was requested. */
  readonly address: string;
  /** Closes this process's descriptor. The kernel refuses connections once the children have closed theirs too. */
  close(): void;
}

/** The internal function that `net.Server` calls to bind. A returned number is a libuv error. */
type CreateServerHandle = (
  address: string | null,
  port: number | null,
  addressType: 4 | 6 | null,
  fd?: number,
) => ServerHandle | number;

interface ServerHandle {
  readonly fd: number;
  /** Absent for a Unix socket. */
  getsockname?(out: { address?: string; family?: string; port?: number }): number;
  close(): void;
}

// See systemd's sd_listen_fds(3).
const FIRST_INHERITED_FD = 3;

/**
 * Binds `host:port`. Rejects with an error like Node's own, with `code`, `address`
 * and `port`. It detects another process that already *listens* there. If two
 * processes bind at the same moment, the later one fails when its first child listens.
 */
export async function bindSocket(address: string): Promise<ListeningSocket> {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`cannot listen on ${address}: write host:port`);
  const { port } = parsed;
  const { address: host, family } = await lookup(parsed.host);
  return boundSocket(createServerHandle(host, port, family === 6 ? 6 : 4), host, port);
}

/**
 * The sockets that a service manager bound for this process, by name
 * (`FileDescriptorName=` of a systemd unit). Empty if there are none or if they are
 * meant for another process. A single socket needs no name: it is `data`.
 */
export function inheritedSockets(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): Map<SocketName, ListeningSocket> {
  const sockets = new Map<SocketName, ListeningSocket>();
  if (Number(env['LISTEN_PID']) !== pid) return sockets;
  const count = Number(env['LISTEN_FDS'] ?? 0);
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  for (let i = 0; i < count; i += 1) {
    const given = names[i] ?? '';
    const name = SOCKET_NAMES.find((known) => known === given) ?? (count === 1 ? 'data' : undefined);
    if (name === undefined || sockets.has(name)) {
      throw new Error(
        `the service manager passed a socket named "${given}": give each a name of its own with FileDescriptorName= in its .socket unit, one of ${SOCKET_NAMES.join(', ')}`,
      );
    }
    const fd = FIRST_INHERITED_FD + i;
    sockets.set(name, boundSocket(createServerHandle(null, null, null, fd), `descriptor ${fd}`, undefined));
  }
  return sockets;
}

function createServerHandle(...args: Parameters<CreateServerHandle>): ServerHandle | number {
  const { _createServerHandle: create } = net as unknown as { _createServerHandle?: CreateServerHandle };
  if (create === undefined) {
    throw new Error(
      `node ${process.version} cannot bind a socket without accepting on it: use workers: 0, socket activation of systemd, or node 20 to 24`,
    );
  }
  return create(...args);
}

function boundSocket(handle: ServerHandle | number, host: string, port: number | undefined): ListeningSocket {
  if (typeof handle === 'number') throw bindError(handle, host, port);
  const name: { address?: string; family?: string; port?: number } = {};
  // libuv keeps EADDRINUSE for the first call after the bind: this one.
  const error = handle.getsockname?.(name) ?? 0;
  if (error !== 0) {
    handle.close();
    throw bindError(error, host, port);
  }
  const shown = name.family === 'IPv6' ? `[${name.address}]` : name.address;
  return {
    fd: handle.fd,
    address: shown === undefined ? host : `${shown}:${name.port}`,
    close: () => handle.close(),
  };
}

function bindError(errno: number, address: string, port: number | undefined): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`bind ${code} ${address}${port === undefined ? '' : `:${port}`}`), {
    code,
    errno,
    syscall: 'bind',
    address,
    ...(port === undefined ? {} : { port }),
  });
}
