import { STEPS } from '../core/history/history-table.ts';
import type { ActsOptions } from './admin-options.ts';
import { listEpochs } from './epochs.ts';
import { sinceOf } from './moments.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import { POOL_PARAMS } from './schemas/fields.ts';
import { EPOCHS, EPOCHS_QUERY, HISTORY, HISTORY_QUERY } from './schemas/history.ts';
import { READ_REFUSALS, REFUSALS, refusal } from './schemas/refusals.ts';
import { iso } from './status.ts';

const SECOND_MS = 1_000;

/** What happened in a pool lately. */
export function addHistoryRoutes(
  routes: AdminRoutes,
  { pools, readers }: Pick<ActsOptions, 'pools' | 'readers'>,
): void {
  routes.get(
    '/pools/:pool/history',
    {
      schema: {
        summary:
          'requests, errors, latencies and agents at this gateway: each second of an hour, each minute of a day',
        tags: ['pools'],
        params: POOL_PARAMS,
        querystring: HISTORY_QUERY,
        response: { 200: HISTORY, 400: refusal(REFUSALS[400]), 404: refusal('no such pool') },
      },
      config: { role: 'viewer' },
    },
    async ({ params, query: { step = 'second', from, to } }) => {
      const pool = poolOf(pools, params);
      const now = Date.now();
      const { seconds, kept } = STEPS[step];
      const earliest = now - seconds * kept * SECOND_MS;
      const begin = from === undefined ? earliest : sinceOf('from', from, now, readers);
      const end = to === undefined ? now : sinceOf('to', to, now, readers);
      const { from: first, ...part } = pool.history.part(
        step,
        Math.max(begin, earliest) / SECOND_MS,
        Math.min(end, now) / SECOND_MS,
      );
      return { pool: pool.name, stepSeconds: seconds, from: iso(first * SECOND_MS), ...part };
    },
  );
  routes.get(
    '/pools/:pool/epochs',
    {
      schema: {
        summary:
          "each change of the pool's view: when, by which rule, who had reported what, and how many agents it moved",
        tags: ['pools'],
        params: POOL_PARAMS,
        querystring: EPOCHS_QUERY,
        response: { 200: EPOCHS, ...READ_REFUSALS },
      },
      config: { role: 'viewer' },
    },
    async ({ params, query }) => listEpochs(poolOf(pools, params).operations, query, readers),
  );
}
