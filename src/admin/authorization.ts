import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

const REALM = 'Bearer realm="ici-gateway admin"';

/**
 * Requires the token as `Authorization: Bearer` (RFC 6750 §2.1). Without a configured
 * token it refuses all requests. Runs before any other part of the request is
 * inspected.
 */
export function requireToken(
  token: string | undefined,
): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  const expected = token === undefined ? undefined : digest(token);
  return async (request, reply) => {
    if (expected === undefined)
      return reply.code(403).send({ error: 'this admin plane is read-only: set admin.tokenFile' });
    const [, shown] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
    if (shown === undefined)
      return reply
        .code(401)
        .header('www-authenticate', REALM)
        .send({ error: 'changes need the token of admin.tokenFile, as Authorization: Bearer …' });
    // Digests have equal lengths, so the duration of the comparison reveals nothing.
    if (timingSafeEqual(digest(shown), expected)) return undefined;
    return reply
      .code(401)
      .header('www-authenticate', `${REALM}, error="invalid_token"`)
      .send({ error: 'the token differs from the one in admin.tokenFile of this gateway' });
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
