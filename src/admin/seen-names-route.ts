import { seenNamesStatus } from '../core/seen-names.ts';
import type { ActsOptions } from './admin-options.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import { POOL_PARAMS } from './schemas/fields.ts';
import { refusal } from './schemas/refusals.ts';
import { SEEN_NAMES } from './schemas/seen-names.ts';

/** How requests name their agents, and which do not. */
export function addSeenNamesRoute(routes: AdminRoutes, { pools }: Pick<ActsOptions, 'pools'>): void {
  routes.get(
    '/pools/:pool/identity',
    {
      schema: {
        summary: 'how requests of the last hour named their agents, and which operations did not',
        tags: ['agents'],
        params: POOL_PARAMS,
        response: { 200: SEEN_NAMES, 404: refusal('no such pool') },
      },
      config: { role: 'viewer' },
    },
    async ({ params }) => {
      const pool = poolOf(pools, params);
      return seenNamesStatus(pool.name, await pool.seenNames());
    },
  );
}
