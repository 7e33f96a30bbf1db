import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { Server as NetServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { endWithAnswer } from './linger.ts';

// Reached only where connections come faster than they are accepted: then none of them waits from before the end.
const LONGEST_ACCEPT_MS = 10_000;

/**
 * The end of a listening HTTP server, in which nobody is cut off who was let in.
 * `close()` of Node's server would not do: it ends the watch over slow clients, so
 * that one who never sends his request would keep the process forever, and what
 * the kernel has accepted on behalf of this process would be reset.
 */
export class ConnectionDrainer {
  readonly #server: HttpServer;
  /** All connections, those in a TLS handshake included, which no list of Node's has. */
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #ended: Promise<void> | undefined;

  /** Before the server listens. */
  constructor(server: HttpServer) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** From now on every answer is the last of its connection, so that clients look for another gateway by themselves. */
  announce(): void {
    endWithAnswer(this.#server);
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

  /** Ends every connection, whatever it is in, and what still waits to be accepted as well. */
  cut(): void {
    this.#isCut = true;
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
    if (this.#isCut) this.cut();
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
    } while (found && !this.#isCut && performance.now() < until);
    this.#server.off('connection', note).off('drop', note);
  }
}
