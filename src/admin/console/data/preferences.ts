import type { Zone } from '../logic/time.ts';
import { Store } from './store.ts';

export type Theme = 'auto' | 'light' | 'dark';

/** Storage is refused in some private windows; the console then forgets the choice. */
function kept<Value extends string>(key: string, allowed: readonly [Value, ...Value[]]): Store<Value> {
  const store = new Store<Value>(allowed.find((one) => one === readKept(key)) ?? allowed[0]);
  store.subscribe(() => keep(key, store.value));
  return store;
}

function readKept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // See above.
  }
}

export const zone: Store<Zone> = kept<Zone>('zone', ['local', 'utc']);
export const theme: Store<Theme> = kept<Theme>('theme', ['auto', 'light', 'dark']);

export function applyTheme(): void {
  const apply = (): void => {
    document.documentElement.dataset['theme'] = theme.value;
  };
  apply();
  theme.subscribe(apply);
}
