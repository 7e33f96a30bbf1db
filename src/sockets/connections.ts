import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { networkOf } from '../core/network.ts';
import { Turns } from './turns.ts';

export interface ConnectionsOptions {
  /** How many there may be at once. */
  readonly most: number;
  /** How many one address may have; `undefined` for no such limit. */
  readonly mostOfOne?: number;
  /** The address for which a connection counts at the moment. By default, its other end. */
  readonly addressOf?: (socket: ServedSocket) => string | undefined;
  /** When its last request began, in monotonic ms; `undefined` if it had none. */
  readonly lastRequestAt?: (socket: ServedSocket) => number | undefined;
  /** Called for each new connection that is closed because no other one can give way to it. */
  readonly onRefused: (address: string) => void;
  /** Called for connections of one address that give way, before they are closed. */
  readonly onGiveWay: (address: string, sockets: readonly ServedSocket[]) => void;
}

/** The socket from which Node reads requests, with the answer that it is for at the moment. */
export type ServedSocket = Socket & {
  readonly _httpMessage?: (ServerResponse & { readonly req: IncomingMessage }) | null;
};

/** An option of `createServer`, which HTTP does not pass on. */
type Pausable = Server & { pauseOnConnect: boolean };

/** What is known of an accepted connection. */
const FACTS = Symbol('facts');
type Accepted = Socket & { [FACTS]?: Facts };
interface Facts {
  /** Where it is among those of its server. */
  place: number;
  /** The network of its other end. */
  readonly peer: string;
  readonly acceptedAt: number;
  /** With TLS, requests are read from a second socket. */
  served: ServedSocket;
}

// Looking for connections that give way visits all of them, so it makes room for several new ones at once.
const ROOM = 50;

/**
 * All connections of a server, and their limit. At the limit, connections give way to new ones: the oldest ones of the
 * address that has most of those on which the gateway waits for the client. So clients that open connections and send
 * nothing cannot keep others out, and no address has a limit of its own as long as there is room. Many new ones at once
 * are served in turns.
 *
 * To be created before the server listens, and after all other code has registered its connection listeners. Costs
 * nothing for each request.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  /** Node's own list lacks those in a TLS handshake. An array, as in `Upstream.attempts`. */
  readonly #sockets: Accepted[] = [];
  readonly #counts = new Map<string, number>();

  constructor(server: Server, options: ConnectionsOptions) {
    this.#options = options;
    // TLS and HTTP must not spend time on a connection that is refused.
    const accept = server.listeners('connection');
    server.removeAllListeners('connection');
    // What waits costs only its place: its request stays in the kernel. A TLS server would pause its second socket too.
    const isPaused = !(server instanceof TlsServer);
    (server as Pausable).pauseOnConnect = isPaused;
    // A connection that waits to be served has no request in flight yet, so it could give way at the limit.
    const turns = new Turns<Accepted>(options.most, (socket) => {
      if (socket.destroyed) return;
      // With TLS, it is read while it waits. If the client has ended it, no event will tell the listeners so.
      if (socket.readableEnded) {
        socket.destroy();
        return;
      }
      if (isPaused) beginToRead(socket);
      for (const listener of accept) listener.call(server, socket);
    });
    server.on('connection', (socket: Accepted) => {
      if (this.#admit(socket)) turns.add(factsOf(socket).peer, socket);
    });
    server.on('secureConnection', (served: Socket & { readonly _parent?: Accepted }) => {
      const facts = served._parent?.[FACTS];
      if (facts !== undefined) facts.served = served;
    });
  }

  get size(): number {
    return this.#sockets.length;
  }

  /** The sockets from which requests are read. */
  *[Symbol.iterator](): Generator<ServedSocket> {
    for (const socket of [...this.#sockets]) yield servedBy(socket);
  }

  /** Closes all at once. */
  destroyAll(): void {
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  #admit(socket: Accepted): boolean {
    const { most, mostOfOne } = this.#options;
    const peer = networkOf(socket.remoteAddress ?? '');
    const isFull = this.#sockets.length >= most && !this.#makeRoom(Math.ceil(most / ROOM));
    if (isFull || (mostOfOne !== undefined && !this.#count(peer, mostOfOne))) {
      socket.destroy();
      this.#options.onRefused(peer);
      return false;
    }
    const place = this.#sockets.push(socket) - 1;
    socket[FACTS] = { place, peer, acceptedAt: performance.now(), served: socket };
    socket.once('close', () => this.#remove(socket));
    return true;
  }

  /** Counts one more of an address. Returns false if it has too many, of which none can give way. */
  #count(peer: string, mostOfOne: number): boolean {
    if ((this.#counts.get(peer) ?? 0) >= mostOfOne && !this.#makeRoom(1, peer)) return false;
    this.#counts.set(peer, (this.#counts.get(peer) ?? 0) + 1);
    return true;
  }

  #remove(socket: Accepted): void {
    const { place, peer } = factsOf(socket);
    // It has given way before it has closed.
    if (this.#sockets[place] !== socket) return;
    const last = this.#sockets.pop() as Accepted;
    factsOf(last).place = place;
    if (last !== socket) this.#sockets[place] = last;
    if (this.#options.mostOfOne === undefined) return;
    const left = (this.#counts.get(peer) ?? 1) - 1;
    if (left === 0) this.#counts.delete(peer);
    else this.#counts.set(peer, left);
  }

  /**
   * Closes up to `room` connections. Returns false if none can give way.
   *
   * @param only the address that has too many; `undefined` for that which has most
   */
  #makeRoom(room: number, only?: string): boolean {
    const waiting = new Map<string, Accepted[]>();
    for (const socket of this.#sockets) {
      if (!waitsForClient(servedBy(socket))) continue;
      const address = this.#addressOf(socket);
      if (only !== undefined && address !== only) continue;
      const others = waiting.get(address);
      if (others === undefined) waiting.set(address, [socket]);
      else others.push(socket);
    }
    let [most] = waiting;
    for (const one of waiting) if (one[1].length > (most?.[1].length ?? 0)) most = one;
    if (most === undefined) return false;
    const [address, sockets] = most;
    const oldest = this.#oldest(sockets, room);
    this.#options.onGiveWay(address, oldest.map(servedBy));
    for (const socket of oldest) {
      this.#remove(socket);
      socket.destroy();
    }
    return true;
  }

  #addressOf(socket: Accepted): string {
    const address = this.#options.addressOf?.(servedBy(socket));
    return address === undefined ? factsOf(socket).peer : networkOf(address);
  }

  #oldest(sockets: readonly Accepted[], count: number): readonly Accepted[] {
    const times = sockets.map(
      (socket) => this.#options.lastRequestAt?.(servedBy(socket)) ?? factsOf(socket).acceptedAt,
    );
    const last = Float64Array.from(times).sort()[Math.min(count, times.length) - 1] as number;
    return sockets.filter((_socket, i) => (times[i] as number) <= last).slice(0, count);
  }
}

/** Leaves the socket as Node accepts it without `pauseOnConnect`. */
function beginToRead(socket: Socket): void {
  (socket as { readableFlowing: boolean | null }).readableFlowing = null;
  socket.read(0);
}

function factsOf(socket: Accepted): Facts {
  return socket[FACTS] as Facts;
}

function servedBy(socket: Accepted): ServedSocket {
  return factsOf(socket).served;
}

/**
 * Is it the client that has to act? It is idle, it sends a request that has not arrived yet, or it does not read an
 * answer that is complete.
 */
function waitsForClient({ _httpMessage: answer }: ServedSocket): boolean {
  return answer == null || !answer.req.complete || answer.writableEnded;
}
