import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { namePeer } from './client-connection.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** What became of a new connection: the first four are served, the others closed. */
export type ProxyOutcome =
  /** Its header named the client. */
  | 'named'
  /** Its header named no client: a health check of the balancer itself. */
  | 'unnamed'
  /** Came from elsewhere, without a header. */
  | 'plain'
  /** Came from elsewhere, with a header, which was dropped. */
  | 'ignored'
  /** Came from elsewhere, where connections are not served. */
  | 'untrusted'
  /** Came from a balancer, without a header. */
  | 'missing'
  /** Began as a header and was none. */
  | 'malformed'
  /** Did not send its header in time. */
  | 'late'
  /** Left before its header was complete. */
  | 'departed';

export interface ProxyProtocolOptions {
  /** What to do with a connection from elsewhere. */
  readonly others: 'serve' | 'refuse';
  /** The balancers. A connection from one of them must begin with a header. */
  readonly from: TrustedProxies;
  readonly timeoutMs: number;
  /** Told once for each connection. `peer` is its other end, never the client that a header names. */
  readonly onOutcome: (outcome: ProxyOutcome, peer: string) => void;
}

/**
 * Has each new connection of the server begin with a PROXY header, before HTTP or TLS sees anything of it. Call it
 * before the server listens, and before anything but Node's own listens to its event "connection".
 *
 * Whether a header has to be there depends on where the connection comes from alone: guessing would let clients who
 * reach the port on another way name themselves (section 2 of the specification). A header from elsewhere is either
 * dropped unread, or not looked at because other senders are not served.
 *
 * The address that it names stands for the connection's other end in everything that comes later, trust included:
 * `X-Forwarded-For` is believed where that address is a trusted proxy, not because the balancer is one. A balancer
 * that passes on TCP hands through whatever its clients write, so its own trust would be theirs.
 */
export function acceptProxyProtocol(server: HttpServer | HttpsServer, options: ProxyProtocolOptions): void {
  // Node documents for both HTTP and TLS that sockets may be handed to a server by its event "connection".
  const serve = server.listeners('connection') as ((this: unknown, socket: Socket) => void)[];
  const handOver = (socket: Socket): void => {
    for (const listener of serve) listener.call(server, socket);
  };
  const names = server instanceof TlsServer ? nameOverTls(server) : namePeer;
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const peer = socket.remoteAddress;
    if (peer === undefined) {
      options.onOutcome('departed', '');
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

/** Takes the header, if there is one, off the start of the connection, and leaves all else to be read. */
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
  // It ends in "close", before the header and after; this one stays, for a socket that is being destroyed.
  socket.on('error', () => undefined);
}

/**
 * Requests over TLS come on a socket of their own, which shows only the ends of the connection that it runs over; by
 * these it is found again. No two open connections have the same.
 */
function nameOverTls(server: TlsServer): (socket: Socket, address: string) => void {
  const addresses = new Map<string, string>();
  // Before HTTP begins to read requests from it.
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
