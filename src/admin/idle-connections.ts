import type { FastifyInstance } from 'fastify';

/**
 * Makes `connectionTimeout` a limit for connections on which nobody acts. Without
 * this it also ends one on which an answer is being made, since nothing is sent
 * meanwhile, and to replace all processes takes longer. Whoever is slow in sending
 * his request or in reading his answer is still cut off.
 */
export function keepPendingConnections(fastify: FastifyInstance): void {
  // From here on the whole request has been read.
  fastify.addHook('preHandler', async (_request, { raw }) => {
    // Node ends a connection only where nobody else does something about it.
    raw.on('timeout', () => {
      if (raw.headersSent) raw.socket?.destroy();
    });
  });
}
