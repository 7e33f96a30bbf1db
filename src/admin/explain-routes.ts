import { ActRefused } from '../core/act-refused.ts';
import { FewAtOnce } from '../core/few-at-once.ts';
import type { ActsOptions } from './admin-options.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import { EXPLAIN_BODY, EXPLAIN_BYTES, EXPLANATION } from './schemas/explain.ts';
import { POOL_PARAMS } from './schemas/fields.ts';
import { QUESTION_REFUSALS } from './schemas/refusals.ts';
import { WHAT_IF, WHAT_IF_BODY, WHAT_IF_BYTES } from './schemas/what-if.ts';
import { whatIf } from './what-if.ts';

const NAMES_TOLD = 100;

/** Questions that need a body. They change nothing, and no log holds what was asked. */
export function addExplainRoutes(
  routes: AdminRoutes,
  { pools, readers }: Pick<ActsOptions, 'pools' | 'readers'>,
): void {
  // Explanations take time of the workers, forecasts time of this process. Neither waits for the other.
  const explanations = new FewAtOnce('requests are explained');
  const forecasts = new FewAtOnce('changes are weighed');
  routes.post(
    '/pools/:pool/explain',
    {
      bodyLimit: EXPLAIN_BYTES,
      schema: {
        summary: 'how a request would be routed now, rule by rule; nothing is sent, bound, renewed or logged',
        tags: ['agents'],
        params: POOL_PARAMS,
        body: EXPLAIN_BODY,
        response: { 200: EXPLANATION, ...QUESTION_REFUSALS },
      },
      config: { role: 'viewer', isQuestion: true },
    },
    async ({ params, body }) => {
      const pool = poolOf(pools, params);
      const { user, session, headers, request, from } = body;
      const asked = [user ?? session, headers, request].filter((one) => one !== undefined);
      if (asked.length !== 1)
        throw new ActRefused(
          400,
          'one of user, session, headers and request must be given; user and session may stand together',
        );
      if (user !== undefined && readers.name('user', user) === undefined)
        throw new ActRefused(400, 'user must be a user name');
      if (from !== undefined && (from.includes('/') || readers.name('address', from) === undefined))
        throw new ActRefused(400, 'from must be an address');
      return explanations.run(() => pool.explain({ user, session, headers, request, from }));
    },
  );
  routes.post(
    '/pools/:pool/what-if',
    {
      bodyLimit: WHAT_IF_BYTES,
      schema: {
        summary: 'who would move where, and who must log on again, if something changed; nothing is changed',
        tags: ['pools'],
        params: POOL_PARAMS,
        body: WHAT_IF_BODY,
        response: { 200: WHAT_IF, ...QUESTION_REFUSALS },
      },
      config: { role: 'viewer', isQuestion: true },
    },
    async ({ params, body: { names = NAMES_TOLD, ...question } }) => {
      const pool = poolOf(pools, params);
      return forecasts.run(() => whatIf(pool, { ...question, names }));
    },
  );
}
