import type { Socket } from 'node:net';
import { Cluster } from 'ioredis';
import type { CommandClient } from './clients.ts';

// A turn of the event loop may take long, and Redis should have something to do meanwhile.
const MOST_TOGETHER = 32;

/**
 * The commands of one turn of the event loop go to Redis in one write, which costs this process a system call instead of
 * one for each. The replies come together, too.
 */
export class SharedWrites {
  readonly #client: CommandClient;
  #held: Socket[] = [];
  #onWritten: (() => void)[] = [];
  #isScheduled = false;

  constructor(client: CommandClient) {
    this.#client = client;
  }

  /** To be called before each command. */
  hold(): void {
    if (this.#onWritten.length >= MOST_TOGETHER) this.#write();
    if (this.#held.length > 0) return;
    this.#held = socketsOf(this.#client);
    for (const socket of this.#held) socket.cork();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Runs after all sockets that had something to read.
    setImmediate(() => {
      this.#isScheduled = false;
      this.#write();
    });
  }

  /** To be called after each command, with what to do when it is written. */
  afterWrite(onWritten: () => void): void {
    this.#onWritten.push(onWritten);
  }

  #write(): void {
    const [held, onWritten] = [this.#held, this.#onWritten];
    this.#held = [];
    this.#onWritten = [];
    for (const socket of held) socket.uncork();
    for (const call of onWritten) call();
  }
}

/** Without those that are not connected. */
function socketsOf(client: CommandClient): Socket[] {
  const clients = client instanceof Cluster ? client.nodes('master') : [client];
  return clients.flatMap(({ stream }) => (stream as Socket | undefined) ?? []);
}
