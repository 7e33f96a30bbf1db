import type { Server } from 'node:http';
import { networkOf } from '../core/network.ts';
import type { ServedSocket } from '../sockets/connections.ts';
import { Connections } from '../sockets/connections.ts';
import type { ClientConnection } from './client-connection.ts';
import { peerOf } from './client-connection.ts';
import type { Carrier } from './forwarder.ts';
import { REQUEST_CONTEXT } from './forwarder.ts';
import { ArrivingBytes } from './request-body.ts';
import type { RequestContext } from './request-context.ts';

export interface ClientSharesOptions {
  readonly connections: number;
  readonly inFlight: number;
  /** What bodies that are arriving may take of the memory together. */
  readonly arrivingBytes: number;
  readonly onDropped: () => void;
  readonly onGivenUp: (client: string) => void;
}

/** The facts of a connection, kept in its socket: a `WeakMap` would keep them until the old generation is collected. */
export const CONNECTION = Symbol('connection');
type Client = ServedSocket & { readonly [CONNECTION]?: ClientConnection };

// Counting visits all connections, so its result serves for a while.
const COUNT_EVERY_MS = 100;

/**
 * Shares what the gateway has, among the addresses of its clients. SAP callers are a handful of application servers, so
 * none of them has a limit of its own. Only when a limit of all is reached, the address with the largest share gives
 * way. Costs nothing for each request.
 *
 * The address is the one that logs name: behind a balancer that of the PROXY header; behind a trusted proxy that of
 * `X-Forwarded-For` while a request arrives, and that of the proxy while its connection is idle.
 */
export class ClientShares {
  readonly connections: Connections;
  readonly arriving: ArrivingBytes;
  readonly #options: ClientSharesOptions;
  #counts = new Map<string, number>();
  #countedAt = Number.NEGATIVE_INFINITY;

  /** To be created before the server listens, and after its other connection listeners. */
  constructor(server: Server, options: ClientSharesOptions) {
    const { connections: most, onDropped, onGivenUp } = options;
    this.#options = options;
    this.arriving = new ArrivingBytes(options.arrivingBytes, () => this.#giveUpBodies());
    this.connections = new Connections(server, {
      most,
      addressOf,
      lastRequestAt: (socket) => lastContext(socket)?.startedAt,
      onRefused: onDropped,
      onGiveWay: (client, socket) => {
        onGivenUp(client);
        const context = socket && arrivingAt(socket);
        if (context !== undefined) context.error = 'GW_OVERLOADED';
      },
    });
  }

  /** Has this client a tenth of all requests that may be in flight? */
  hasTenth(client: string): boolean {
    return this.#inFlightOf(client) >= this.#options.inFlight / 10;
  }

  #inFlightOf(client: string): number {
    const now = performance.now();
    if (now - this.#countedAt > COUNT_EVERY_MS) {
      this.#countedAt = now;
      this.#counts = new Map();
      for (const socket of this.connections) {
        const answer = socket._httpMessage;
        if (answer == null || !answer.req.complete || answer.headersSent) continue;
        const address = networkOf(addressOf(socket));
        this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1);
      }
    }
    return this.#counts.get(networkOf(client)) ?? 0;
  }

  /** Gives up the oldest bodies of the address whose bodies take most, until a tenth of the limit is free. */
  #giveUpBodies(): void {
    const bodies = new Map<string, { bytes: number; contexts: RequestContext[] }>();
    for (const socket of this.connections) {
      const context = arrivingAt(socket);
      const bytes = context?.body?.arriving ?? 0;
      if (context === undefined || bytes === 0) continue;
      const address = networkOf(addressOf(socket));
      const those = bodies.get(address) ?? { bytes: 0, contexts: [] };
      those.bytes += bytes;
      those.contexts.push(context);
      bodies.set(address, those);
    }
    for (const { contexts } of [...bodies.values()].sort((a, b) => b.bytes - a.bytes)) {
      for (const context of contexts.sort((a, b) => a.startedAt - b.startedAt)) {
        if (this.arriving.excess <= 0) return;
        context.abandon('GW_OVERLOADED');
      }
    }
  }
}

/** The client of the request that arrives, or the other end of the connection. */
function addressOf(socket: Client): string {
  return contextOf(socket._httpMessage)?.client ?? peerOf(socket);
}

function contextOf(answer: unknown): RequestContext | undefined {
  return (answer as Carrier | null | undefined)?.[REQUEST_CONTEXT];
}

function lastContext(socket: Client): RequestContext | undefined {
  return contextOf(socket[CONNECTION]?.lastResponse);
}

/** The request whose body is arriving. */
function arrivingAt(socket: Client): RequestContext | undefined {
  const answer = socket._httpMessage;
  return answer == null || answer.req.complete ? undefined : contextOf(answer);
}
