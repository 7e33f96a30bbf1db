import { networkOf } from '../../core/network.ts';
import { mayUse } from '../../core/role.ts';
import { credentials } from '../../passwords/credentials.ts';
import { PasswordGate } from '../../passwords/password-gate.ts';
import type { AdminRoutes } from '../route.ts';
import { LOG_IN, LOGGED_IN, SECURITY_LOG, SECURITY_LOG_QUERY, SESSION } from '../schemas/access.ts';
import { empty, LOG_IN_REFUSALS, READ_REFUSALS } from '../schemas/refusals.ts';
import type { Access } from './access.ts';
import { FailedLogins } from './failed-logins.ts';
import { sourceOf } from './guard.ts';
import type { SecurityLog } from './security-log.ts';
import { cookieName, writeCookie } from './session-cookie.ts';

/** Log-in and log-out of browsers, and the security log. */
export function addSessionRoutes(routes: AdminRoutes, access: Access, log: SecurityLog): void {
  const gate = new PasswordGate(access.users);
  const failed = new FailedLogins();

  routes.get(
    '/session',
    {
      schema: {
        summary: 'who sends this request, with which role',
        tags: ['access'],
        response: { 200: SESSION },
      },
      config: { role: 'public' },
    },
    async ({ caller }) => ({
      user: caller?.user ?? null,
      role: caller?.role ?? null,
      kind: caller?.kind ?? null,
      changes: mayUse('operator', caller?.role),
      loginPossible: access.hasUsers,
    }),
  );
  routes.post(
    '/session',
    {
      schema: {
        summary: 'log-in of a browser: sets the cookie of a session',
        tags: ['access'],
        body: LOG_IN,
        response: { 200: LOGGED_IN, ...LOG_IN_REFUSALS },
      },
      config: { role: 'public' },
    },
    async (request, reply) => {
      if (!access.hasUsers)
        return reply.code(403).send({ error: 'no user can log in here: set admin.passwordFile' });
      const source = sourceOf(request);
      const shown = credentials(request.body.user, request.body.password);
      const known = shown && gate.known(shown);
      const user = shown?.user ?? '';
      // The wrong passwords of others must not keep out who has logged in before.
      const wait = known === undefined ? failed.begin(source, user) : 0;
      if (wait > 0) {
        const seconds = Math.ceil(wait / 1_000);
        return reply
          .code(429)
          .header('retry-after', String(seconds))
          .send({ error: `too many failed log-ins from ${source}; try again in ${seconds} s` });
      }
      const verdict = shown === undefined ? WRONG : await gate.check(shown, networkOf(source));
      switch (verdict.kind) {
        case 'busy':
          failed.takeBack(source, user);
          return reply
            .code(503)
            .header('retry-after', '1')
            .send({ error: 'too many passwords are being checked; try again' });
        case 'wrong':
          log.record({
            kind: 'login-refused',
            user: shown?.user.slice(0, MOST_SHOWN) ?? null,
            source,
            why: 'wrong user or password',
            outcome: '401',
          });
          return reply.code(401).send({ error: 'the user or the password is wrong' });
        case 'granted': {
          if (known === undefined) failed.takeBack(source, user);
          const { role } = verdict.record;
          log.record({ kind: 'login', user, role, source, outcome: '200' });
          const cookie = access.sessions.start(verdict.record);
          return reply
            .header('set-cookie', writeCookie(cookieName(request.headers.host), cookie, access.isTls))
            .send({ user, role, kind: 'user' });
        }
      }
    },
  );

  routes.delete(
    '/session',
    {
      schema: {
        summary: 'log-out',
        tags: ['access'],
        response: { 204: empty('the session has ended') },
      },
      config: { role: 'public' },
    },
    async (request, reply) => {
      const { caller, headers } = request;
      if (caller?.session !== undefined) {
        access.sessions.end(caller.session);
        const { user, role } = caller;
        log.record({ kind: 'logout', user, role, source: sourceOf(request), outcome: '204' });
      }
      return reply
        .code(204)
        .header('set-cookie', writeCookie(cookieName(headers.host), undefined, access.isTls))
        .send(null);
    },
  );
  routes.get(
    '/security-log',
    {
      schema: {
        summary: 'the last log-ins, changes and refusals at this gateway, newest first',
        tags: ['access'],
        querystring: SECURITY_LOG_QUERY,
        response: { 200: SECURITY_LOG, 400: READ_REFUSALS[400] },
      },
      config: { role: 'admin' },
    },
    async ({ query }) => ({ entries: log.entries(query.limit) }),
  );
}

// Of a name that was typed.
const MOST_SHOWN = 128;
const WRONG = { kind: 'wrong' } as const;
