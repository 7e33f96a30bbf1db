import { ActRefused } from '../core/act-refused.ts';
import { errorLines } from '../core/error-advice.ts';
import { FewAtOnce } from '../core/few-at-once.ts';
import { ANY_CODE, parsePositions, requestsStatus } from '../core/recent-requests.ts';
import { seenNamesStatus } from '../core/seen-names.ts';
import { storedForm } from '../core/stored-name.ts';
import type { AdminServerOptions } from './admin-options.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import { ERRORS_STATUS } from './schemas/errors.ts';
import { REFUSALS, refusal } from './schemas/refusals.ts';
import { RECENT_REQUESTS, REQUESTS_QUERY } from './schemas/requests.ts';

const LISTED = 100;
const SAMPLES = 5;
// All codes, with samples of some workers.
const MOST_SAMPLES = 1_000;

/** What requests came lately, and what became of them. */
export function addRequestRoutes(
  routes: AdminRoutes,
  {
    pools,
    readers,
    recentRequests,
    errorCount,
  }: Pick<AdminServerOptions, 'pools' | 'readers' | 'recentRequests' | 'errorCount'>,
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
  routes.get(
    '/errors',
    {
      schema: {
        summary:
          "this gateway's own errors by code: how many, at whose side, what to do, and the last requests",
        tags: ['status'],
        response: { 200: ERRORS_STATUS, 429: refusal(REFUSALS[429]) },
      },
      config: { role: 'viewer' },
    },
    () =>
      lists.run(async () => {
        const asked = { code: ANY_CODE, mostOfCode: SAMPLES, limit: MOST_SAMPLES } as const;
        const [answers, seen] = await Promise.all([
          recentRequests(asked),
          Promise.all(pools.map(async (pool) => seenNamesStatus(pool.name, await pool.seenNames()))),
        ]);
        const { requests, silent } = requestsStatus(answers, asked);
        return {
          errors: errorLines(errorCount, requests, SAMPLES),
          unnamedOperations: seen.flatMap(({ pool, unnamedOperations }) =>
            unnamedOperations.map((one) => ({ pool, ...one })),
          ),
          silent,
        };
      }),
  );
}
