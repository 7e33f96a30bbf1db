import { lookup } from 'node:dns/promises';
import * as net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { parseAddress } from '../config/syntax.ts';
import type { SocketName } from './messages.ts';
import { SOCKET_NAMES } from './messages.ts';

/**
 * A TCP socket that is bound, and kept, without ever accepting: whoever inherits
 * its descriptor listens on it by `server.listen({ fd, backlog })`. While none of
 * them lives, connections wait in the kernel's queue.
 *
 * This is the one file that touches what node does not document; decision 0016
 * says why.
 */
export interface ListeningSocket {
  readonly fd: number;
  /** Where it is bound, such as `127.0.0.1:41234`, also where port 0 was asked for. */
  readonly address: string;
  /** Gives up this process's hold on it. Connections are refused once the others have given up theirs. */
  close(): void;
}

/** What `net.Server` itself calls to bind. A number is an error, as of libuv. */
type CreateServerHandle = (
  address: string | null,
  port: number | null,
  addressType: 4 | 6 | null,
  fd?: number,
) => ServerHandle | number;

interface ServerHandle {
  readonly fd: number;
  /** Absent where the socket is a Unix one. */
  getsockname?(out: { address?: string; family?: string; port?: number }): number;
  close(): void;
}

// See systemd's sd_listen_fds(3).
const FIRST_INHERITED_FD = 3;

/**
 * Binds `host:port`. Rejects with node's own kind of error, with `code`, `address`
 * and `port`, when it cannot. That somebody else *listens* there is seen here; of
 * two who bound it at the same moment, the later one is told when its first child
 * listens.
 */
export async function bindSocket(address: string): Promise<ListeningSocket> {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`cannot listen on ${address}: write host:port`);
  const { port } = parsed;
  const { address: host, family } = await lookup(parsed.host);
  return held(createServerHandle(host, port, family === 6 ? 6 : 4), host, port);
}

/**
 * The sockets that a service manager bound for this process, by name
 * (`FileDescriptorName=` of a systemd unit). Empty without any, or where they are
 * meant for another process. A single one needs no name: it is `data`.
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
    sockets.set(name, held(createServerHandle(null, null, null, fd), `descriptor ${fd}`, undefined));
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

function held(handle: ServerHandle | number, host: string, port: number | undefined): ListeningSocket {
  if (typeof handle === 'number') throw refusal(handle, host, port);
  const name: { address?: string; family?: string; port?: number } = {};
  // libuv keeps EADDRINUSE for the first call after the bind: this one.
  const error = handle.getsockname?.(name) ?? 0;
  if (error !== 0) {
    handle.close();
    throw refusal(error, host, port);
  }
  const shown = name.family === 'IPv6' ? `[${name.address}]` : name.address;
  return {
    fd: handle.fd,
    address: shown === undefined ? host : `${shown}:${name.port}`,
    close: () => handle.close(),
  };
}

function refusal(errno: number, address: string, port: number | undefined): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`bind ${code} ${address}${port === undefined ? '' : `:${port}`}`), {
    code,
    errno,
    syscall: 'bind',
    address,
    ...(port === undefined ? {} : { port }),
  });
}
