import { StaleView, StoreFull } from '../core/ports.ts';

export type StoreOutcome = 'ok' | 'stale' | 'full' | 'unavailable';

/** How a store operation ended that failed like this. */
export function outcomeOf(error: unknown): StoreOutcome {
  if (error instanceof StaleView) return 'stale';
  return error instanceof StoreFull ? 'full' : 'unavailable';
}
