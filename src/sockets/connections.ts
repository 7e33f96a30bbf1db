import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { networkOf } from '../core/network.ts';
import type { AcceptedHandle } from './accepted-handles.ts';
import { takeAccepted } from './accepted-handles.ts';
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
  /** Called for a connection that gives way, before it is closed. Without `socket`, it has waited to be served. */
  readonly onGiveWay: (address: string, socket?: ServedSocket) => void;
}

/** The socket from which Node reads requests, with the answer that it is for at the moment. */
export type ServedSocket = Socket & {
  readonly _httpMessage?: (ServerResponse & { readonly req: IncomingMessage }) | null;
};

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

// Above this share of the limit, what waits gives way first: it costs least to close.
const WAITING_SHARE = 0.5;
// Looking for connections that give way visits all of them, so what it finds serves for several new ones.
const FOUND_SHARE = 0.1;
const FOUND_FOR_MS = 100;

/** A connection that may give way, and since when the gateway has waited for its client. */
interface Found {
  readonly socket: Accepted;
  readonly address: string;
  readonly since: number;
}

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

  /** Connections that were accepted and are not served yet. What waits costs little: its request stays in the kernel. */
  readonly #turns: Turns<AcceptedHandle>;
  #arrivals = 0;
  /** The next one that gives way is the last. */
  #found: Found[] = [];
  #foundAt = 0;

  constructor(server: Server, options: ConnectionsOptions) {
    this.#options = options;
    const { most } = options;
    // TLS and HTTP must not spend time on a connection that is refused.
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Accepted) => {
      this.#arrivals += 1;
      if (!this.#admit(socket)) return;
      for (const listener of listeners) listener.call(server, socket);
    });
    server.on('secureConnection', (served: Socket & { readonly _parent?: Accepted }) => {
      const facts = served._parent?.[FACTS];
      if (facts !== undefined) facts.served = served;
    });
    const serve = takeAccepted(server, (accepted) => {
      this.#arrivals += 1;
      const isFull = this.#sockets.length + this.#turns.size >= most;
      if (isFull && this.#turns.size < most * WAITING_SHARE) this.#makeRoom();
      this.#turns.add(peerOf(accepted), accepted);
    });
    this.#turns = new Turns<AcceptedHandle>({
      room: () => most - this.#sockets.length,
      serve,
      drop: (accepted, address) => {
        options.onGiveWay(address);
        accepted.close();
      },
    });
  }

  /** Grows with each connection that is accepted, and with each that begins to be served. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** How many are accepted and not served yet. */
  get waiting(): number {
    return this.#turns.size;
  }

  /** The sockets from which requests are read. */
  *[Symbol.iterator](): Generator<ServedSocket> {
    for (const socket of [...this.#sockets]) yield servedBy(socket);
  }

  /** Closes all at once. */
  destroyAll(): void {
    for (const accepted of this.#turns.takeAll()) accepted.close();
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  #admit(socket: Accepted): boolean {
    const { most, mostOfOne } = this.#options;
    const peer = networkOf(socket.remoteAddress ?? '');
    const isFull = this.#sockets.length >= most && !this.#makeRoom();
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
    if ((this.#counts.get(peer) ?? 0) >= mostOfOne && !this.#giveWay(this.#look(1, peer)[0])) return false;
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

  /** Closes a connection. Returns false if none can give way. */
  #makeRoom(): boolean {
    if (performance.now() - this.#foundAt > FOUND_FOR_MS) this.#found = [];
    for (;;) {
      const found = this.#found.pop();
      if (found === undefined) break;
      if (this.#stillWaits(found)) return this.#giveWay(found);
    }
    this.#found = this.#look(Math.ceil(this.#options.most * FOUND_SHARE));
    this.#foundAt = performance.now();
    return this.#giveWay(this.#found.pop());
  }

  #giveWay(found: Found | undefined): boolean {
    if (found === undefined) return false;
    const { address, socket } = found;
    this.#options.onGiveWay(address, servedBy(socket));
    this.#remove(socket);
    socket.destroy();
    return true;
  }

  #stillWaits({ socket, since }: Found): boolean {
    return (
      this.#sockets[factsOf(socket).place] === socket &&
      waitsForClient(servedBy(socket)) &&
      this.#waitsSince(socket) === since
    );
  }

  /**
   * Finds up to `count` connections that can give way, all of one address. The oldest is the last.
   *
   * @param only the address that has too many; `undefined` for that which has most
   */
  #look(count: number, only?: string): Found[] {
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
    if (most === undefined) return [];
    const [address, sockets] = most;
    const found = sockets.map((socket) => ({ socket, address, since: this.#waitsSince(socket) }));
    return found.sort((a, b) => b.since - a.since).slice(-count);
  }

  #addressOf(socket: Accepted): string {
    const address = this.#options.addressOf?.(servedBy(socket));
    return address === undefined ? factsOf(socket).peer : networkOf(address);
  }

  #waitsSince(socket: Accepted): number {
    return this.#options.lastRequestAt?.(servedBy(socket)) ?? factsOf(socket).acceptedAt;
  }
}

function peerOf(accepted: AcceptedHandle): string {
  const peer: { address?: string } = {};
  accepted.getpeername?.(peer);
  return networkOf(peer.address ?? '');
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
