import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { namePeer } from './client-connection.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** What happened to a new connection. The first four are served, the others closed. */
export type ProxyOutcome =
  /** The header named the client. */
  | 'named'
  /** The header named no client: a health check of the balancer itself. */
  | 'unnamed'
  /** Not from a balancer, without a header. */
  | 'plain'
  /** Not from a balancer, with a header, which was dropped. */
  | 'ignored'
  /** Not from a balancer, and such connections are refused. */
  | 'untrusted'
  /** From a balancer, without a header. */
  | 'missing'
  /** The beginning was that of a header, but the rest was invalid. */
  | 'malformed'
  /** The header did not arrive in time. */
  | 'late'
  /** The other end closed the connection before the header was complete. */
  | 'departed';

export interface ProxyProtocolOptions {
  /** How to treat connections that are not from a balancer. */
  readonly others: 'serve' | 'refuse';
  /** The balancers. A connection from one of them must begin with a header. */
  readonly from: TrustedProxies;
  readonly timeoutMs: number;
  /**
   * Called once for each connection. `peer` is its other end, never the client that a header names; `undefined` if it
   * has already left.
   */
  readonly onOutcome: (outcome: ProxyOutcome, peer: string | undefined) => void;
}

/**
 * Reads a PROXY header at the beginning of each new connection, before HTTP or TLS sees it. To be called before the
 * server listens, and before anything but Node itself listens to its event "connection".
 *
 * Only the sender's address decides whether there must be a header. Guessing would let clients that reach the port
 * directly name themselves (section 2 of the specification). A header from any other sender is dropped, or its
 * connection is refused.
 *
 * From then on, the named address counts as the other end of the connection, also for trust. `X-Forwarded-For` counts
 * if that address is a trusted proxy, not if the balancer is one. A balancer for TCP passes on whatever its clients
 * write, so trusting the balancer would mean trusting its clients.
 */
export function acceptProxyProtocol(server: HttpServer | HttpsServer, options: ProxyProtocolOptions): void {
  // Node documents for HTTP and TLS that sockets may be handed to a server with its event "connection".
  const serve = server.listeners('connection') as ((this: unknown, socket: Socket) => void)[];
  const handOver = (socket: Socket): void => {
    for (const listener of serve) listener.call(server, socket);
  };
  const names = server instanceof TlsServer ? nameOverTls(server) : namePeer;
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const peer = socket.remoteAddress;
    if (peer === undefined) {
      options.onOutcome('departed', undefined);
      socket.destroy();
      return;
    }
    const fromBalancer = options.from.includes(peer);
    if (!fromBalancer && options.others === 'refuse') {
      options.onOutcome('untrusted', peer);
      socket.destroy();
      return;
    }
    readHeader(socket, options.timeoutMs, (outcome, source) => {
      const told = fromBalancer ? outcome : OF_OTHERS[outcome];
      options.onOutcome(told, peer);
      if (!SERVED.has(told)) {
        socket.destroy();
        return;
      }
      if (told === 'named') names(socket, source as string);
      handOver(socket);
    });
  });
}

type HeaderOutcome = 'named' | 'unnamed' | 'missing' | 'malformed' | 'late' | 'departed';

const SERVED: ReadonlySet<ProxyOutcome> = new Set(['named', 'unnamed', 'plain', 'ignored']);
const OF_OTHERS: Readonly<Record<HeaderOutcome, ProxyOutcome>> = {
  named: 'ignored',
  unnamed: 'ignored',
  missing: 'plain',
  malformed: 'malformed',
  late: 'late',
  departed: 'departed',
};

/** Removes the header, if there is one, from the beginning of the connection, and leaves the rest to be read. */
function readHeader(
  socket: Socket,
  timeoutMs: number,
  done: (outcome: HeaderOutcome, source?: string) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const end = (outcome: HeaderOutcome, source?: string): void => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('end', onDeparted).off('close', onDeparted);
    done(outcome, source);
  };
  const onReadable = (): void => {
    for (;;) {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const header = readProxyHeader(bytes);
      if (header.kind === 'partial') continue;
      const rest = header.kind === 'header' ? bytes.subarray(header.length) : bytes;
      if (rest.length > 0) socket.unshift(rest);
      if (header.kind === 'malformed') end('malformed');
      else if (header.kind === 'absent') end('missing');
      else if (header.source === undefined) end('unnamed');
      else end('named', header.source);
      return;
    }
  };
  const onDeparted = (): void => end('departed');
  const timer = setTimeout(end, timeoutMs, 'late');
  socket.on('readable', onReadable).on('end', onDeparted).on('close', onDeparted);
  // An error is followed by "close". This listener stays, because a socket that is being destroyed can still emit one.
  socket.on('error', () => undefined);
}

/**
 * Requests over TLS have a socket of their own. It shows only the two ends of the connection below, which identify the
 * connection: no two open connections have the same ends.
 */
function nameOverTls(server: TlsServer): (socket: Socket, address: string) => void {
  const addresses = new Map<string, string>();
  // Prepended, so that it runs before HTTP starts to read requests.
  server.prependListener('secureConnection', (socket) => {
    const address = addresses.get(endsOf(socket));
    if (address !== undefined) namePeer(socket, address);
  });
  return (socket, address) => {
    const ends = endsOf(socket);
    addresses.set(ends, address);
    socket.once('close', () => addresses.delete(ends));
  };
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
