import { afterEach, expect, test } from 'vitest';
import { Addresses } from '../../../src/health/addresses.ts';
import { eventually } from '../../support/eventually.ts';

let addresses: Addresses | undefined;
afterEach(() => addresses?.stop());

/** The known address after each answer of the resolver in turn; the last one is repeated. */
async function knownAfter(
  ...answers: (readonly string[] | Error)[]
): Promise<(readonly string[] | undefined)[]> {
  const known: (readonly string[] | undefined)[] = [];
  let asked = 0;
  addresses = new Addresses({
    hosts: new Map([
      ['a', 'a.test'],
      ['b', '127.0.0.1'],
      ['c', '[::1]'],
    ]),
    everyMs: 2,
    onChange: () => undefined,
    resolve: async (host) => {
      expect(host).toBe('a.test');
      if (asked > 0) known.push(addresses?.known.get('a'));
      const answer = answers[Math.min(asked, answers.length - 1)] as readonly string[] | Error;
      asked += 1;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  addresses.start();
  await eventually(() => expect(known.length).toBeGreaterThanOrEqual(answers.length));
  return known.slice(0, answers.length);
}

test('an address that is gone is replaced by the new one', async () => {
  expect(await knownAfter(['10.0.0.1'], ['10.0.0.2'])).toEqual([['10.0.0.1'], ['10.0.0.2']]);
});

test('addresses that are still valid stay, whatever the order and number of the answers', async () => {
  const answers = [
    ['10.0.0.1', '::2'],
    ['::2', '10.0.0.1'],
    ['10.0.0.1'],
    ['10.0.0.3', '10.0.0.1'],
    ['10.0.0.3'],
  ];
  expect(await knownAfter(...answers)).toEqual([
    ['10.0.0.1', '::2'],
    ['10.0.0.1', '::2'],
    ['10.0.0.1'],
    ['10.0.0.1'],
    ['10.0.0.3'],
  ]);
});

test('a resolver that fails or has no answer changes no address', async () => {
  expect(await knownAfter(['10.0.0.1'], new Error('EAI_AGAIN'), [])).toEqual(Array(3).fill(['10.0.0.1']));
});
