import { MOST_EVENTS, MOST_LEASES_CLOSED, OVERDUE_SHARE } from '../../core/view/view-store-limits.ts';
import { loadLua } from '../../redis/lua.ts';

const load = (name: string): string =>
  loadLua(`coordination/redis/${name}.lua`, { MOST_EVENTS, MOST_LEASES_CLOSED, OVERDUE_SHARE });

/** The scripts of the view store in Redis, by the name of the client command that runs each. */
export const VIEW_STORE_SCRIPTS = {
  gwSync: load('sync'),
  gwPropose: load('propose'),
  gwCommitPolicy: load('commit-policy'),
  gwLeave: load('leave'),
  gwEvents: load('events'),
  gwTell: load('tell'),
  gwReplicas: load('replicas'),
} as const;

export type ViewStoreScript = keyof typeof VIEW_STORE_SCRIPTS;
