import type { LoggedEvent } from '../core/view/agreed-view.ts';
import type { EpochLine } from '../core/view/epoch-line.ts';
import { epochLines } from '../core/view/epoch-line.ts';
import { MOST_EVENTS } from '../core/view/view-store-limits.ts';
import type { Readers } from './admin-options.ts';
import { sinceOf } from './moments.ts';
import type { PoolOperations } from './pool-source.ts';
import { iso } from './status.ts';

export interface EpochQuery {
  /** A duration until now, or a time. */
  readonly since?: string;
  readonly limit?: number;
}

const LISTED = 100;
const MOST_ACTS = 1_000;

/**
 * The newest changes of the view of a pool, the newest first.
 *
 * @throws ActRefused if `since` is neither a duration nor a time
 * @throws StoreUnavailable
 */
export async function listEpochs(
  { log, storeNow }: PoolOperations,
  { since, limit = LISTED }: EpochQuery,
  readers: Readers,
) {
  const from = since === undefined ? 0 : sinceOf('since', since, storeNow, readers);
  const [views, acts] = await Promise.all([log.views(MOST_EVENTS), log.acts(MOST_ACTS, 0)]);
  const isLater = ({ at }: LoggedEvent): boolean => at >= from;
  const lines = epochLines(views.filter(isLater), acts.filter(isLater));
  return { epochs: lines.slice(0, limit).map(shown), more: lines.length > limit };
}

function shown({ at, agents, seconds, ...line }: EpochLine) {
  return { ...line, at: iso(at), agents: agents ?? null, seconds: seconds ?? null };
}
