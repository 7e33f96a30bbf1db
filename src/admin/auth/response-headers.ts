import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Nothing comes from other addresses, nothing runs that stands in the page itself, and no other page may frame it. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

/** Sets the headers by which browsers protect pages and answers. */
export function protectAnswers(fastify: FastifyInstance): void {
  fastify.addHook('onSend', async (request, reply) => {
    reply
      .header('x-content-type-options', 'nosniff')
      .header('referrer-policy', 'no-referrer')
      .header('x-frame-options', 'DENY')
      .header('cross-origin-resource-policy', 'same-origin');
    const type = String(reply.getHeader('content-type') ?? '');
    if (type.startsWith('text/html')) reply.header('content-security-policy', PAGE_POLICY);
    if (type.startsWith('application/json')) reply.header('cache-control', 'no-store');
    closeIfUnread(request, reply);
  });
}

/** An answer before the end of the body closes the connection, so that the rest need not be read. */
function closeIfUnread({ headers, raw }: FastifyRequest, reply: FastifyReply): void {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (hasBody && !raw.complete) reply.header('connection', 'close');
}
