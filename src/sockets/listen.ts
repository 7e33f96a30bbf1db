import type { Server } from 'node:net';

/** How many connections the kernel holds while the process is too busy to accept them. */
const BACKLOG = 4_096;

/**
 * Listens at an address, a Unix socket, or a socket that another process has bound and keeps. It does not use Fastify's
 * `listen`: that sets no backlog on a descriptor, and for `localhost` it opens a second server without the limits and
 * guards of the first.
 */
export function listenOn(
  server: Server,
  where:
    | { readonly fd: number }
    | { readonly path: string }
    | { readonly host: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    // Nothing may stay behind at a server that tries again and again.
    const onError = (error: Error): void => {
      server.off('listening', onListening);
      reject(error);
    };
    const onListening = (): void => {
      server.off('error', onError);
      resolve();
    };
    server.once('error', onError);
    server.once('listening', onListening);
    server.listen('fd' in where ? { fd: where.fd } : where, BACKLOG);
  });
}
