import type { FastifyInstance } from 'fastify';

/**
 * Makes `connectionTimeout` a limit for idle connections only. Without this, Node also
 * ends a connection while the gateway works on the answer, because nothing is sent
 * meanwhile; replacing all processes takes longer than that. A client that is slow to
 * send its request or to read its answer is still cut off.
 */
export function keepPendingConnections(fastify: FastifyInstance): void {
  // At this point the whole request has been read.
  fastify.addHook('preHandler', async (_request, { raw }) => {
    // Node closes an idle connection only if there is no `timeout` listener.
    raw.on('timeout', () => {
      if (raw.headersSent) raw.socket?.destroy();
    });
  });
}
