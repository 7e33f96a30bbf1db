import { expect, test } from 'vitest';
import type { SeenNames } from '../../../src/core/seen-names.ts';
import { elementKey, lookedForKey, seenNamesStatus } from '../../../src/core/seen-names.ts';

const NOTHING: SeenNames = {
  sources: new Map(),
  reasons: new Map(),
  operations: new Map(),
  ignored: new Map(),
  conflicts: new Map(),
};

test('the sums of all workers are shown, the greatest first, and that one is missing', () => {
  const one: SeenNames = {
    ...NOTHING,
    sources: new Map([
      ['header', 6],
      ['none', 1],
    ]),
    reasons: new Map([['no-name', 1]]),
    operations: new Map([['getParts', 1]]),
    seconds: 90,
    searched: 2,
    found: new Map([
      [lookedForKey('user', 'agentLogn'), 0],
      [lookedForKey('user', 'userId'), 1],
      [lookedForKey('session', 'userId'), 0],
    ]),
  };
  const two: SeenNames = {
    ...NOTHING,
    sources: new Map([['none', 3]]),
    reasons: new Map([['doctype', 3]]),
    operations: new Map([
      ['login', 2],
      ['getParts', 1],
    ]),
    ignored: new Map([['body found', 2]]),
    conflicts: new Map([['transfer', 2]]),
    seconds: 30,
    searched: 5,
    found: new Map([
      [lookedForKey('user', 'agentLogn'), 0],
      [lookedForKey('user', 'userId'), 2],
      [lookedForKey('session', 'userId'), 1],
    ]),
    elements: new Map([
      [elementKey('login', 'password'), 1],
      [elementKey('login', 'agentLogin'), 2],
      [elementKey('other', 'x'), 2],
    ]),
  };
  expect(seenNamesStatus('ici', [one, two, undefined])).toEqual({
    pool: 'ici',
    seconds: 90,
    partial: true,
    requests: 10,
    sources: [
      { source: 'header', requests: 6, share: 0.6 },
      { source: 'none', requests: 4, share: 0.4 },
    ],
    reasons: [
      { reason: 'doctype', requests: 3 },
      { reason: 'no-name', requests: 1 },
    ],
    unnamedOperations: [
      { operation: 'getParts', requests: 2, elements: [] },
      { operation: 'login', requests: 2, elements: ['agentLogin', 'password'] },
    ],
    searched: 7,
    elements: [
      { kind: 'user', element: 'agentLogn', requests: 0 },
      { kind: 'user', element: 'userId', requests: 3 },
      { kind: 'session', element: 'userId', requests: 1 },
    ],
    ignored: [{ source: 'body', reason: 'found', values: 2 }],
    conflicts: [{ operation: 'transfer', requests: 2 }],
  });
});

test('a process of an earlier release has counted for an hour', () => {
  expect(seenNamesStatus('ici', [NOTHING])).toMatchObject({ seconds: 3_600, searched: 0, elements: [] });
});

test('a pool without requests has no shares, and no more than twenty operations are shown', () => {
  expect(seenNamesStatus('ici', [NOTHING])).toMatchObject({ partial: false, requests: 0, sources: [] });
  const operations = new Map(Array.from({ length: 50 }, (_, i) => [`op${i}`, i]));
  const shown = seenNamesStatus('ici', [{ ...NOTHING, operations }]).unnamedOperations;
  expect(shown).toHaveLength(20);
  expect(shown[0]).toEqual({ operation: 'op49', requests: 49, elements: [] });
});
