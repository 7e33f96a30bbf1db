import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AffinityStore } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';
import type { Side } from './affinity-bindings-support.ts';
import { A, B, Site, session, user } from './affinity-bindings-support.ts';

/** News of a move and answers use different connections, so the news can overtake an older answer. */

let site: Site;

beforeEach(async () => {
  site = await Site.start();
});

afterEach(async () => {
  await site.close();
});

/** Holds back the answers of the store until {@link deliver} is called. */
class HeldAnswers {
  waiting = 0;
  deliver: () => void = () => undefined;
  #delivered: Promise<void> = Promise.resolve();

  hold(): void {
    this.#delivered = new Promise((resolve) => {
      this.deliver = resolve;
    });
  }

  readonly between = (store: AffinityStore): AffinityStore =>
    new Proxy(store, {
      get: (_, method: keyof AffinityStore) => {
        const call = store[method].bind(store) as (...args: unknown[]) => unknown;
        if (method === 'listen' || method === 'close') return call;
        return async (...args: unknown[]) => {
          const answer = await call(...args);
          this.waiting += 1;
          await this.#delivered;
          return answer;
        };
      },
    });
}

const WAYS: readonly [string, (side: Side) => Promise<unknown>][] = [
  ['a question', ({ bindings }) => bindings.lookup([session('S')])],
  ['a claim', (side) => site.claim(side, [session('S')], A)],
  ['a write-back', ({ bindings }) => bindings.writeBack()],
];

test.each(WAYS)('the answer to %s is not cached if a move has overtaken it', async (_, ask) => {
  const answers = new HeldAnswers();
  const [one, two] = [await site.open({ between: answers.between }), await site.open()];
  await site.claim(one, [session('S')], A);

  answers.hold();
  answers.waiting = 0;
  const asked = ask(one);
  await eventually(() => expect(answers.waiting).toBe(1));
  await site.claim(two, [user('U'), session('T')], B);
  await site.claim(two, [user('U'), session('S')], B);
  await eventually(() => expect(site.trusted(one, 'U', 'S')).toBe('b'));
  answers.deliver();
  await asked;

  expect(site.trusted(one, 'U', 'S')).toBe('b');
  expect(one.bindings.find(undefined, 'S')?.binding.root).toEqual(user('U'));
});

test('a page of the store is not cached if a move has overtaken it', async () => {
  const answers = new HeldAnswers();
  const two = await site.open();
  await site.claim(two, [session('S')], A);
  const one = await site.open({ between: answers.between });

  answers.hold();
  const counted = one.bindings.refreshCounts();
  // First the counts, then the check for any bindings, then the page.
  for (const waiting of [1, 2]) {
    await eventually(() => expect(answers.waiting).toBe(waiting));
    const { deliver } = answers;
    answers.hold();
    deliver();
  }
  await counted;
  await eventually(() => expect(answers.waiting).toBe(3));
  await site.claim(two, [user('U')], B);
  await site.claim(two, [user('U'), session('S')], B);
  const isAliasOfU = () => expect(one.bindings.find(undefined, 'S')?.binding.root).toEqual(user('U'));
  // Not by a request: that would renew the new binding, whose answer would undo a wrong page.
  await eventually(isAliasOfU);
  answers.deliver();
  await eventually(() => expect(one.bindings.isMirrored).toBe(true));

  isAliasOfU();
  expect(site.trusted(one, 'U', 'S')).toBe('b');
});
