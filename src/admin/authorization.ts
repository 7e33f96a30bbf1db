import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

const REALM = 'Bearer realm="ici-gateway admin"';

/**
 * Lets through who shows the token as `Authorization: Bearer` (RFC 6750 §2.1),
 * and nobody where there is no token. Runs before anything of the request is
 * looked at.
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
    // Digests are of one length, so the time that comparing takes tells nothing.
    if (timingSafeEqual(digest(shown), expected)) return undefined;
    return reply
      .code(401)
      .header('www-authenticate', `${REALM}, error="invalid_token"`)
      .send({ error: 'the token is not the one of admin.tokenFile at this gateway' });
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
