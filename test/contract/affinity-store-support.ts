import { randomBytes } from 'node:crypto';
import { afterEach, expect } from 'vitest';
import { bucketOf } from '../../src/affinity/packing.ts';
import type { Placement } from '../../src/core/binding.ts';
import type { Name } from '../../src/core/identity.ts';
import type { AffinityStore, BindingQuery, ListedBinding } from '../../src/core/ports.ts';

export interface OpenStore {
  readonly store: AffinityStore;
  /** The store accepts it. */
  readonly fencingToken: string;
  close(): Promise<void>;
}

export const user = (value: string): Name => ({ kind: 'user', value });
export const session = (value: string): Name => ({ kind: 'session', value });
export const at = (instance: string, incarnation = '1'): Placement => ({ instance, incarnation });

export const HOUR_MS = 3_600_000;

/** Opens empty stores, and closes them after each test. Call it inside a `describe`. */
export function opensStores(
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): (idleLifetimeMs: number) => Promise<OpenStore> {
  const opened: OpenStore[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
  });
  return async (idleLifetimeMs) => {
    const one = await open(idleLifetimeMs);
    opened.push(one);
    return one;
  };
}

export async function listAll(
  store: AffinityStore,
  query: BindingQuery & { limit: number },
): Promise<ListedBinding[]> {
  const all: ListedBinding[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(cursor === undefined ? query : { ...query, cursor });
    expect(page.bindings.length).toBeLessThanOrEqual(query.limit);
    all.push(...page.bindings);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return all;
}

/** Users whose names are all fields of the same hash in Redis. */
export function inOneBucket(count: number): Name[] {
  const names: Name[] = [];
  const bucket = bucketOf('uX0');
  for (let i = 0; names.length < count; i += 1) {
    if (bucketOf(`uX${i}`) === bucket) names.push(user(`X${i}`));
  }
  return names;
}

/** A key prefix that no other test uses. */
export function uniquePrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}
