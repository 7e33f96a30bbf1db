import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RequiredRole } from '../../core/role.ts';
import { mayUse } from '../../core/role.ts';
import type { Access, Caller } from './access.ts';
import { isOwnOrigin } from './host-check.ts';
import type { SecurityLog } from './security-log.ts';
import { cookieName, writeCookie } from './session-cookie.ts';

/** A header that no form and no page of another origin can send. It also tells that a user has done something. */
const CONSOLE_HEADER = 'x-ici-gateway';
const REALM = 'Bearer realm="ici-gateway admin"';
// Balancers and scrapers call these by any name. They answer no cookie with that name.
const UNDER_ANY_NAME = new Set(['/livez', '/readyz', '/metrics']);

interface Refusal {
  readonly status: 401 | 403 | 421;
  readonly error: string;
  /** How the security log calls it; `undefined` for requests without any credentials, which are no attempt. */
  readonly kind: 'forbidden' | 'login-refused' | undefined;
  readonly challenge?: string;
}

/**
 * Checks each request before any other part of it is read: whether it has the role that its route requires, and whether
 * a page of another site may have sent it. Logs changes, and notes in them who made them. To be called before routes
 * are added, because it refuses those without a role.
 */
export function guard(fastify: FastifyInstance, access: Access, log: SecurityLog): void {
  fastify.addHook('onRoute', ({ method, url, config }) => {
    if (config?.role === undefined) throw new Error(`${String(method)} ${url} says not which role it needs`);
  });
  fastify.decorateRequest('caller');
  fastify.addHook('onRequest', async (request, reply) => {
    // What does not exist needs no role.
    if (request.is404) return undefined;
    const refusal = refusalOf(request, access);
    if (refusal !== undefined) return refuse(request, reply, refusal, log);
    keepSession(request, reply, access);
    return undefined;
  });
  fastify.addHook('preHandler', async (request, reply) => nameOperator(request, reply));
  fastify.addHook('onResponse', async (request, reply) => {
    const { isQuestion } = request.routeOptions.config;
    if (isQuestion === true || !isChange(request) || request.caller === undefined) return;
    if (needs(request) !== 'public') recordAct(request, request.caller, reply.statusCode, log);
  });
}

function refusalOf(request: FastifyRequest, access: Access): Refusal | undefined {
  const { headers } = request;
  const required = needs(request);
  if (!access.isOwnHost(headers.host) && !UNDER_ANY_NAME.has(request.routeOptions.url ?? ''))
    return {
      status: 421,
      error: `this admin port is not known as ${headers.host ?? 'a host without a name'}; use an address, or add the name to admin.hosts`,
      kind: 'forbidden',
    };
  if (isChange(request) && !isOwnOrigin(headers.origin, headers.host))
    return forbidden('a page of another origin may not change anything here');
  const caller = access.identify(request);
  if (caller !== 'wrong-token') request.caller = caller;
  if (required === 'public') return undefined;
  if (caller === 'wrong-token')
    return {
      status: 401,
      error:
        'this token is not known here; it must be one of admin.tokens or admin.tokenFile of this gateway',
      kind: 'login-refused',
      challenge: `${REALM}, error="invalid_token"`,
    };
  if (caller === undefined) return unknownCaller(access);
  if (!mayUse(required, caller.role)) return withoutRole(caller, required);
  if (caller.session !== undefined && isChange(request) && headers[CONSOLE_HEADER] === undefined)
    return forbidden(`changes by a log-in need the header ${CONSOLE_HEADER}, which no form can send`);
  return undefined;
}

function unknownCaller({ isConfigured, hasUsers }: Access): Refusal {
  if (!isConfigured)
    return {
      ...forbidden(
        'this admin port answers other hosts only probes and metrics, because it has no users and no tokens: set admin.passwordFile or admin.tokens',
      ),
      kind: undefined,
    };
  const logIn = hasUsers ? 'log in at /, or ' : '';
  return {
    status: 401,
    error: `this needs a log-in: ${logIn}send a token as Authorization: Bearer …`,
    kind: undefined,
    challenge: REALM,
  };
}

function withoutRole({ kind, user, role }: Caller, required: RequiredRole): Refusal {
  return forbidden(
    kind === 'loopback'
      ? 'this admin port is read-only: set admin.passwordFile, admin.tokens or admin.tokenFile'
      : `this needs the role ${required}, and ${user} has the role ${role}`,
  );
}

function forbidden(error: string): Refusal {
  return { status: 403, error, kind: 'forbidden' };
}

function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, error, kind, challenge }: Refusal,
  log: SecurityLog,
): FastifyReply {
  const { caller } = request;
  if (kind !== undefined)
    log.recordOnce({
      kind,
      user: caller?.user ?? null,
      role: caller?.role ?? null,
      source: sourceOf(request),
      act: actOf(request),
      why: error,
      outcome: String(status),
    });
  request.caller = undefined;
  if (challenge !== undefined) reply.header('www-authenticate', challenge);
  return reply.code(status).send({ error });
}

/** The cookie is renewed only by what a user does; a page that polls must not keep its session alive. */
function keepSession(request: FastifyRequest, reply: FastifyReply, { sessions, isTls }: Access): void {
  const { caller, headers } = request;
  if (caller?.session === undefined || headers[CONSOLE_HEADER] === undefined) return;
  const renewed = sessions.use(caller.session);
  if (renewed !== undefined)
    reply.header('set-cookie', writeCookie(cookieName(headers.host), renewed, isTls));
}

/** The operator of a change is who has logged in. The bearer of a shared token may say who it is, and is not believed. */
function nameOperator(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  const { caller, body } = request;
  if (caller?.user == null || !isChange(request) || needs(request) === 'public') return undefined;
  if (typeof body !== 'object' || body === null) return undefined;
  const named = body as { by?: string; source?: string };
  named.source = sourceOf(request);
  const { by } = named;
  if (caller.isShared) named.by = by === undefined ? caller.user : `${caller.user} (says ${by})`;
  else if (by === undefined || by === caller.user) named.by = caller.user;
  else return reply.code(400).send({ error: `by must be ${caller.user}, who sends this; or leave it out` });
  return undefined;
}

function recordAct(request: FastifyRequest, { user, role }: Caller, status: number, log: SecurityLog): void {
  const { instance, why } = (request.body ?? {}) as Readonly<Record<string, unknown>>;
  const params = request.params as Readonly<Record<string, string | undefined>>;
  log.record({
    kind: status < 400 ? 'act' : 'act-refused',
    user,
    role,
    source: sourceOf(request),
    act: actOf(request),
    pool: params['pool'] ?? null,
    instance: params['instance'] ?? text(instance),
    why: text(why),
    outcome: String(status),
  });
}

// The body of a refused request may hold anything.
const MOST_LETTERS = 500;

function text(value: unknown): string | null {
  return typeof value === 'string' ? value.slice(0, MOST_LETTERS) : null;
}

/** The verb at the end of the path, such as `drain`; `null` for reads. */
function actOf(request: FastifyRequest): string | null {
  return isChange(request) ? (request.routeOptions.url?.split('/').at(-1) ?? null) : null;
}

function needs({ routeOptions }: FastifyRequest): RequiredRole {
  return routeOptions.config.role;
}

function isChange({ method }: FastifyRequest): boolean {
  return method !== 'GET' && method !== 'HEAD';
}

/** The address of the peer, as logs show it. */
export function sourceOf({ raw }: FastifyRequest): string {
  return (raw.socket.remoteAddress ?? 'unix socket').replace(/^::ffff:/i, '');
}
