import type { Place } from '../logic/place.ts';
import { parsePlace, withFilters } from '../logic/place.ts';
import { Store } from './store.ts';

export interface Route {
  readonly hash: string;
  readonly place: Place;
}

const current = (): Route => ({ hash: location.hash, place: parsePlace(location.hash) });

export const route = new Store<Route>(current());

export function followAddress(): void {
  addEventListener('hashchange', () => route.set(current()));
}

export function go(hash: string): void {
  location.hash = hash;
}

/** Changes filters without a step in the history for each letter that is typed. */
export function filter(changes: Readonly<Record<string, string | undefined>>): void {
  history.replaceState(null, '', withFilters(location.hash, changes));
  route.set(current());
}
