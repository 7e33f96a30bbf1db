import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { Transform } from 'node:stream';
import type { Address } from './fault-proxy.ts';

export interface Backend {
  readonly address: Address;
  /** Answers 2xx while the backend wants new connections. */
  readonly readyUrl: string;
}

/** A balancer in front of several gateways that forwards TCP connections without reading them. */
export interface Balancer {
  readonly url: string;
  /** From now on every piece of data of a new connection arrives so many ms later, in both directions. */
  delay(ms: number): void;
  /** Why it reset connections of clients, and when, on the clock of `performance.now()`. */
  readonly resets: readonly { readonly at: number; readonly why: string }[];
  close(): Promise<void>;
}

const CHECK_EVERY_MS = 500;
const FALL = 2;
/** Like `timeout connect` of a balancer on the same network. */
const CONNECT_MS = 500;
const TOO_LATE = new Error('connect timeout');

/**
 * New connections go to the backends in turn, except those that two checks
 * in a row found unready. A backend that refuses the connection is passed over, since
 * nothing was sent to it; data that was sent is not sent again.
 */
export async function startBalancer(backends: readonly Backend[]): Promise<Balancer> {
  const failures = backends.map(() => 0);
  const sockets = new Set<Socket>();
  let turn = 0;
  let delayMs = 0;
  const resets: { at: number; why: string }[] = [];
  const reset = (client: Socket, why: string): void => {
    if (!client.destroyed) resets.push({ at: performance.now(), why });
    client.resetAndDestroy();
  };

  const inTurn = (): Backend[] => {
    turn += 1;
    const order = backends.map((_, i) => (turn + i) % backends.length);
    const ready = order.filter((i) => (failures[i] ?? 0) < FALL);
    // If none is ready, any will do.
    return (ready.length > 0 ? ready : order).map((i) => backends[i] as Backend);
  };
  const check = async (i: number): Promise<void> => {
    const { readyUrl } = backends[i] as Backend;
    try {
      const answer = await fetch(readyUrl, {
        signal: AbortSignal.timeout(CHECK_EVERY_MS),
        headers: { connection: 'close' },
      });
      await answer.arrayBuffer();
      failures[i] = answer.ok ? 0 : (failures[i] ?? 0) + 1;
    } catch {
      failures[i] = (failures[i] ?? 0) + 1;
    }
  };
  const timer = setInterval(() => {
    for (const i of backends.keys()) void check(i);
  }, CHECK_EVERY_MS);

  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  };
  const forward = (client: Socket, [first, ...others]: readonly Backend[]): void => {
    if (first === undefined || client.destroyed) {
      reset(client, 'no gateway took the connection');
      return;
    }
    const server = connect({ ...first.address, noDelay: true, allowHalfOpen: true });
    track(server);
    // First what has arrived: this program may have stood still meanwhile.
    const giveUp = (): void => void setImmediate(() => server.connecting && server.destroy(TOO_LATE));
    const late = setTimeout(giveUp, CONNECT_MS);
    const passOver = (): void => {
      clearTimeout(late);
      forward(client, others);
    };
    server.once('error', passOver);
    server.once('connect', () => {
      clearTimeout(late);
      server.off('error', passOver);
      server.on('error', ({ message }) => reset(client, `${first.address.host}: ${message}`));
      client.on('error', () => server.resetAndDestroy());
      client.once('close', () => server.destroy());
      if (delayMs > 0) {
        client.pipe(later(delayMs)).pipe(server);
        server.pipe(later(delayMs)).pipe(client);
      } else {
        client.pipe(server);
        server.pipe(client);
      }
    });
  };
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (client) => {
    track(client);
    forward(client, inTurn());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ port: 0, host: '127.0.0.1', backlog: 1_024 }, resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    resets,
    delay: (ms) => {
      delayMs = ms;
    },
    close: async () => {
      clearInterval(timer);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function later(ms: number): Transform {
  return new Transform({
    transform: (chunk, _encoding, pass) => {
      setTimeout(() => pass(null, chunk), ms);
    },
  });
}
