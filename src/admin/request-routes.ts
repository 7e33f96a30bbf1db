import { ActRefused } from '../core/act-refused.ts';
import { FewAtOnce } from '../core/few-at-once.ts';
import { parsePositions, requestsStatus } from '../core/recent-requests.ts';
import { storedForm } from '../core/stored-name.ts';
import type { AdminServerOptions } from './admin-options.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import { REFUSALS, refusal } from './schemas/refusals.ts';
import { RECENT_REQUESTS, REQUESTS_QUERY } from './schemas/requests.ts';

const LISTED = 100;

/** What requests came lately, and what became of them. */
export function addRequestRoutes(
  routes: AdminRoutes,
  { pools, readers, recentRequests }: Pick<AdminServerOptions, 'pools' | 'readers' | 'recentRequests'>,
): void {
  const lists = new FewAtOnce('lists of requests are read');
  routes.get(
    '/requests',
    {
      schema: {
        summary: 'the last requests of this gateway, newest first, and by after those that are newer',
        tags: ['status'],
        querystring: REQUESTS_QUERY,
        response: {
          200: RECENT_REQUESTS,
          400: refusal(REFUSALS[400]),
          404: refusal('no such pool'),
          429: refusal(REFUSALS[429]),
        },
      },
      config: { role: 'viewer' },
    },
    async ({ query: { user, session, after, limit = LISTED, ...query } }) => {
      if (query.pool !== undefined) poolOf(pools, { pool: query.pool });
      const asked = {
        ...query,
        limit,
        user: user === undefined ? undefined : (readers.name('user', user)?.value ?? user),
        session: session === undefined ? undefined : storedForm({ kind: 'session', value: session }).value,
        after: after === undefined ? undefined : parsePositions(after),
      };
      if (after !== undefined && asked.after === undefined)
        throw new ActRefused(400, 'after must be the value of last in an earlier answer');
      return lists.run(async () => requestsStatus(await recentRequests(asked), asked));
    },
  );
}
