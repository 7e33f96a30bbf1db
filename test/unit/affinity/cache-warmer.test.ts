import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BindingCache } from '../../../src/affinity/binding-cache.ts';
import { CacheWarmer } from '../../../src/affinity/cache-warmer.ts';
import type { Name } from '../../../src/core/identity.ts';
import type { AffinityStore, BindingPage } from '../../../src/core/ports.ts';
import { eventually } from '../../support/eventually.ts';

const AGENTS = 60;
const EACH_TAKES_MS = 0.5;
// A turn may begin an entry at the end of its two milliseconds.
const MOST_IN_A_TURN = 2 / EACH_TAKES_MS + 1;

const user = (i: number): Name => ({ kind: 'user', value: `AGENT${i}` });
const session = (i: number): Name => ({ kind: 'session', value: `SESSION${i}` });
const numbers = Array.from({ length: AGENTS }, (_, i) => i);
const page: BindingPage = {
  bindings: numbers.map((i) => ({
    binding: { root: user(i), instance: 'a', incarnation: '1', generation: 1 },
    expiresInMs: 1_000,
  })),
  aliases: numbers.map((i) => ({ name: session(i), root: user(i) })),
  cursor: undefined,
};

let cache: BindingCache;
let outdated: Name | undefined;
let inThisTurn: number;
let mostInATurn: number;
let warmer: CacheWarmer;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  cache = new BindingCache({ maxEntries: 1_000, idleLifetimeMs: 3_600_000 });
  [outdated, inThisTurn, mostInATurn] = [undefined, 0, 0];
  const store = { counts: async () => new Map([['a', AGENTS]]), list: async () => page };
  warmer = new CacheWarmer({
    store: store as unknown as AffinityStore,
    cache,
    epoch: () => 1,
    isOutdated: (names) => {
      vi.advanceTimersByTime(EACH_TAKES_MS);
      inThisTurn += 1;
      mostInATurn = Math.max(mostInATurn, inThisTurn);
      return names.some(({ value }) => value === outdated?.value);
    },
  });
});
afterEach(async () => {
  await warmer.close();
  vi.useRealTimers();
});

/** Lets the scan run, and counts in turns as requests would have them. */
async function scan(betweenTurns: () => void = () => undefined): Promise<void> {
  warmer.tick();
  while (!warmer.hasScanned) {
    await turn();
    inThisTurn = 0;
    betweenTurns();
  }
}

test('a page of many bindings is taken in turns of two milliseconds, and whole', async () => {
  await scan();
  expect(mostInATurn).toBeLessThanOrEqual(MOST_IN_A_TURN);
  expect(cache.size).toBe(AGENTS);
  for (const i of numbers) expect(cache.find(`AGENT${i}`, `SESSION${i}`)?.binding.root).toEqual(user(i));
  expect(warmer.isComplete).toBe(true);
});

test('news that comes between two turns is newer than the page', async () => {
  await scan(() => {
    outdated = user(AGENTS - 1);
  });
  await eventually(() => expect(cache.size).toBe(AGENTS - 1));
  expect(cache.find(`AGENT${AGENTS - 1}`, undefined)).toBeUndefined();
});

test('a scan ends when the process does, also between two pages', async () => {
  const many = { ...page, cursor: 'more' };
  const store = { counts: async () => new Map([['a', AGENTS]]), list: async () => many };
  const endless = new CacheWarmer({
    store: store as unknown as AffinityStore,
    cache,
    epoch: () => 1,
    isOutdated: () => false,
  });
  endless.tick();
  await eventually(() => expect(cache.size).toBe(AGENTS));
  // It would wait for the pages that follow.
  await endless.close();
});
