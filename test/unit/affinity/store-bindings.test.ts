import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StoreBindings } from '../../../src/affinity/store-bindings.ts';
import type { Name } from '../../../src/core/identity.ts';
import type { AffinityStore, BindingPage, BindingQuery } from '../../../src/core/ports.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { at, session, user } from '../../contract/affinity-store-support.ts';

/** The lists that the store is asked for, each with the function that answers. */
let asked: { query: BindingQuery; answer: (page: BindingPage | Error) => void }[];
let bindings: StoreBindings;
/** What a worker has cached; `undefined` if it may lack some. */
let cached: readonly Name[] | undefined;

beforeEach(() => {
  asked = [];
  cached = undefined;
  const store: Partial<AffinityStore> = {
    list: (query) =>
      new Promise((resolve, reject) => {
        asked.push({ query, answer: (page) => (page instanceof Error ? reject(page) : resolve(page)) });
      }),
    find: async ([name]) => {
      const root = { s1: 'U', s2: 'V' }[name?.value ?? ''];
      if (root === undefined) return undefined;
      return { binding: { root: user(root), ...at('a'), generation: 1 }, expiresInMs: 1 };
    },
  };
  bindings = new StoreBindings(store as AffinityStore, 'gw1', {
    cached: () => 0,
    aliases: async () => cached,
  });
});

afterEach(() => vi.restoreAllMocks());

/** Answers the oldest open list. */
async function answer(
  page: BindingPage | Error = { bindings: [], cursor: undefined },
): Promise<BindingQuery> {
  await vi.waitFor(() => expect(asked).not.toEqual([]));
  const [first] = asked.splice(0, 1) as [(typeof asked)[number]];
  first.answer(page);
  return first.query;
}

const rootsOf = ({ aliasesOf = [] }: BindingQuery): string[] => aliasesOf.map(({ value }) => value);

function aliasPage(pairs: readonly (readonly [string, string])[], cursor?: string): BindingPage {
  const aliases = pairs.map(([name, root]) => ({ name: session(name), root: user(root) }));
  return { bindings: [], aliases, cursor };
}

describe('lists for operators', () => {
  test('are read two at a time; some wait, and more are refused', async () => {
    const outcomes: string[] = [];
    const lists = Array.from({ length: 30 }, () =>
      bindings.list({}).then(
        () => outcomes.push('listed'),
        ({ statusCode }) => outcomes.push(String(statusCode)),
      ),
    );
    await vi.waitFor(() => expect(outcomes).toEqual(Array(8).fill('429')));
    expect(asked).toHaveLength(2);
    await answer(new StoreUnavailable('away'));
    for (let i = 0; i < 21; i += 1) await answer();
    await Promise.all(lists);
    expect(outcomes.filter((one) => one === 'listed')).toHaveLength(21);

    void bindings.list({});
    expect(asked).toHaveLength(1);
  });
});

describe('the aliases of a root', () => {
  test('are found in all pages', async () => {
    const found = bindings.aliasesOf(user('U'));
    expect(rootsOf(await answer(aliasPage([['s1', 'U']], 'next')))).toEqual(['U']);
    expect((await answer(aliasPage([['s2', 'U']]))).cursor).toBe('next');
    expect(await found).toEqual([session('s1'), session('s2')]);
  });

  test('are those that a worker has cached, if the store agrees', async () => {
    cached = [session('s1'), session('s2'), session('ended')];
    expect(await bindings.aliasesOf(user('U'))).toEqual([session('s1')]);
    expect(asked).toEqual([]);
  });

  test('are read once for all who ask at the same time', async () => {
    const first = bindings.aliasesOf(user('U0'));
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    const others = Array.from({ length: 60 }, (_, i) => bindings.aliasesOf(user(`U${i + 1}`)));
    const again = bindings.aliasesOf(user('U1'));

    await answer(aliasPage([]));
    expect(await first).toEqual([]);
    const roots = [
      await answer(
        aliasPage([
          ['s1', 'U1'],
          ['s2', 'U2'],
        ]),
      ),
      await answer(aliasPage([])),
    ].map(rootsOf);
    expect(roots.map((some) => some.length)).toEqual([50, 10]);
    expect(await others[0]).toEqual([session('s1')]);
    expect(await again).toEqual([session('s1')]);
    expect(await others[59]).toEqual([]);
  });

  test('are remembered for half a minute, but not a failure', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(0);
    const failed = bindings.aliasesOf(user('U'));
    await answer(new StoreUnavailable('away'));
    await expect(failed).rejects.toBeInstanceOf(StoreUnavailable);

    const found = bindings.aliasesOf(user('U'));
    await answer(aliasPage([['s1', 'U']]));
    await found;
    now.mockReturnValue(29_000);
    expect(await bindings.aliasesOf(user('U'))).toEqual([session('s1')]);
    now.mockReturnValue(31_000);
    void bindings.aliasesOf(user('U'));
    await answer();
  });
});
