import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { Server as NetServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

// Reached only where connections come faster than they are accepted: then none of them waits from before the end.
const LONGEST_ACCEPT_MS = 10_000;

/**
 * Ends a listening HTTP server without breaking a connection that was accepted.
 * Node's `close()` would not do: it stops the check for slow clients, so that one
 * that never sends its request would keep the process forever. And connections
 * that the kernel has accepted for this process would be reset.
 */
export class ConnectionDrainer {
  readonly #server: HttpServer;
  /** All connections, those in a TLS handshake included, which no list of Node's has. */
  readonly #sockets = new Set<Socket>();
  /** Each answer is the last of its connection, so that clients look for another gateway by themselves. */
  isAnnounced = false;
  #isAborted = false;
  #ended: Promise<void> | undefined;

  /** Before the server listens. */
  constructor(server: HttpServer) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  announce(): void {
    this.isAnnounced = true;
  }

  /**
   * Accepts no more connections. One that has been accepted and has sent nothing
   * yet may still send its request, as long as the time for a header lasts; a
   * kept-alive one is closed when it is idle. Resolves when no connection is left.
   */
  stopAccepting(): Promise<void> {
    this.#ended ??= this.#stopAccepting();
    return this.#ended;
  }

  /** Ends every connection at once, also those that still wait to be accepted. */
  abortAll(): void {
    this.#isAborted = true;
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
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
   * The kernel has completed connections that this process has not looked at, and
   * would reset them. A turn of the event loop takes one or more of them, so after
   * a turn without any there are none.
   */
  async #acceptWaiting(): Promise<void> {
    let found = false;
    const note = (): void => {
      found = true;
    };
    this.#server.on('connection', note).on('drop', note);
    const until = performance.now() + LONGEST_ACCEPT_MS;
    // The turn that this began in may have looked for connections already.
    await turn();
    do {
      found = false;
      await turn();
    } while (found && !this.#isAborted && performance.now() < until);
    this.#server.off('connection', note).off('drop', note);
  }
}
