import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * A TCP relay that stands for the network between two hosts.
 *
 * Unlike a network it answers every handshake, so bytes can be sent into a
 * silence that a lost SYN would have prevented: the harder case for a gateway that
 * has to decide whether a request was sent.
 */
export interface FaultProxy extends Address {
  /** Resets every connection, and each new one. */
  cut(): void;
  /** Stops all data without closing a connection. */
  silence(): void;
  /** Passes everything again; after a silence, also the data held back meanwhile. */
  heal(): void;
  /** Delays the data of the target from now on by so many ms: at least, and at most. It stays in order. */
  delay(leastMs: number, mostMs: number): void;
  close(): Promise<void>;
}

type State = 'open' | 'cut' | 'silent';

/** @param target called for each connection; the client waits for its promise */
export async function startFaultProxy(target: () => Address | Promise<Address>): Promise<FaultProxy> {
  let state: State = 'open';
  const pairs = new Set<Pair>();
  const waiting = new Set<Socket>();
  let delays: readonly [number, number] = [0, 0];
  const delayMs = (): number => delays[0] + Math.random() * (delays[1] - delays[0]);

  const relay = async (client: Socket): Promise<void> => {
    let address: Address;
    try {
      address = await target();
    } catch {
      client.resetAndDestroy();
      return;
    }
    // It may have changed meanwhile.
    if (state === 'cut') client.resetAndDestroy();
    else if (state === 'silent') waiting.add(client);
    if (client.destroyed || state !== 'open') return;
    const pair = new Pair(client, connect(address), delayMs);
    pairs.add(pair);
    pair.onEnd = () => pairs.delete(pair);
  };
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (client) => {
    // An error of a connection ends it; the other end notices that by itself.
    client.on('error', () => undefined);
    if (state === 'cut') client.resetAndDestroy();
    else if (state === 'silent') waiting.add(client);
    else void relay(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const reset = (): void => {
    for (const pair of pairs) pair.reset();
    for (const client of waiting) client.resetAndDestroy();
    waiting.clear();
  };
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    cut: () => {
      state = 'cut';
      reset();
    },
    silence: () => {
      state = 'silent';
      for (const pair of pairs) pair.hold();
    },
    heal: () => {
      state = 'open';
      for (const pair of pairs) pair.release();
      for (const client of waiting) void relay(client);
      waiting.clear();
    },
    delay: (leastMs, mostMs) => {
      delays = [leastMs, mostMs];
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      reset();
      await closed;
    },
  };
}

/** One connection of a client, and the one that was made for it. */
class Pair {
  onEnd: () => void = () => undefined;
  readonly #ends: readonly [Socket, Socket];
  #held = false;

  constructor(client: Socket, server: Socket, delayMs: () => number) {
    this.#ends = [client, server];
    server.allowHalfOpen = true;
    server.setNoDelay(true);
    this.#pass(client, server, () => 0);
    this.#pass(server, client, delayMs);
    client.resume();
  }

  hold(): void {
    this.#held = true;
    for (const end of this.#ends) end.pause();
  }

  release(): void {
    this.#held = false;
    for (const end of this.#ends) end.resume();
  }

  reset(): void {
    for (const end of this.#ends) end.resetAndDestroy();
  }

  #pass(from: Socket, to: Socket, delayMs: () => number): void {
    // Later data arrives later.
    let free = 0;
    from.on('data', (chunk) => {
      const now = performance.now();
      free = Math.max(free, now + delayMs());
      const pass = (): void => {
        if (!to.destroyed && !to.write(chunk)) from.pause();
      };
      if (free <= now) pass();
      else setTimeout(pass, free - now);
    });
    to.on('drain', () => {
      if (!this.#held) from.resume();
    });
    from.once('end', () => to.end());
    from.on('error', () => to.resetAndDestroy());
    from.once('close', () => {
      if (to.destroyed) this.onEnd();
      // Data written to it may still be pending.
      else to.destroySoon();
    });
  }
}
