import type { Server as HttpServer } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Connections } from '../sockets/connections.ts';

// Reached only if connections arrive faster than they are accepted; all from before the stop are then accepted.
const LONGEST_ACCEPT_MS = 10_000;

/**
 * Ends a listening HTTP server without breaking an accepted connection.
 *
 * Node's `close()` is not enough. It stops the check for slow clients, so a client that never sends its request would
 * keep the process alive forever. And it resets connections that the kernel has already accepted for this process.
 */
export class ConnectionDrainer {
  readonly #server: HttpServer;
  readonly #connections: Connections;
  /** Each answer is the last on its connection, so that clients reconnect to another gateway. */
  isAnnounced = false;
  #isAborted = false;
  #ended: Promise<void> | undefined;

  constructor(server: HttpServer, connections: Connections) {
    this.#server = server;
    this.#connections = connections;
  }

  announce(): void {
    this.isAnnounced = true;
  }

  /**
   * Accepts no more connections. An accepted connection may still send its first request within the header time-out. A
   * kept-alive connection is closed when it is idle. Resolves when no connection is left.
   */
  stopAccepting(): Promise<void> {
    this.#ended ??= this.#stopAccepting();
    return this.#ended;
  }

  /** Closes every connection at once, also those that the kernel has accepted and this process has not. */
  abortAll(): void {
    this.#isAborted = true;
    this.#server.closeAllConnections();
    this.#connections.destroyAll();
  }

  async #stopAccepting(): Promise<void> {
    this.announce();
    await this.#acceptWaiting();
    const closed = new Promise<void>((resolve) => {
      NetServer.prototype.close.call(this.#server, () => resolve());
    });
    this.#server.closeIdleConnections();
    if (this.#isAborted) this.abortAll();
    await closed;
  }

  /**
   * Accepts connections that the kernel has completed, because closing the server would reset them, and serves them all.
   * Each turn of the event loop accepts at least one, so after a turn without any there are none.
   */
  async #acceptWaiting(): Promise<void> {
    const until = performance.now() + LONGEST_ACCEPT_MS;
    // The current turn may already have accepted its connections.
    await turn();
    for (;;) {
      const before = this.#connections.arrivals;
      await turn();
      const areAll = this.#connections.arrivals === before && this.#connections.waiting === 0;
      if (areAll || this.#isAborted || performance.now() >= until) return;
    }
  }
}
