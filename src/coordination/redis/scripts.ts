import {
  COMPARED_ACTS,
  MOST_ACTS,
  MOST_EVENTS,
  MOST_LEASES_CLOSED,
  OVERDUE_SHARE,
  REPEATED_WITHIN_MS,
} from '../../core/view/view-store-limits.ts';
import { loadLuaThatNeedsNoRoom } from '../../redis/lua.ts';

const load = (name: string): string =>
  loadLuaThatNeedsNoRoom(`coordination/redis/${name}.lua`, {
    COMPARED_ACTS,
    MOST_ACTS,
    MOST_EVENTS,
    MOST_LEASES_CLOSED,
    OVERDUE_SHARE,
    REPEATED_WITHIN_MS,
  });

/** The scripts of the view store in Redis, by the name of the client command that runs each. */
export const VIEW_STORE_SCRIPTS = {
  gwSync: load('sync'),
  gwPropose: load('propose'),
  gwCommitPolicy: load('commit-policy'),
  gwLeave: load('leave'),
  gwRecord: load('record'),
  gwEvents: load('events'),
  gwActs: load('acts'),
  gwTell: load('tell'),
  gwReplicas: load('replicas'),
} as const;

export type ViewStoreScript = keyof typeof VIEW_STORE_SCRIPTS;
