import { expect, test } from 'vitest';
import type { SeenNames } from '../../../src/core/seen-names.ts';
import { seenNamesStatus } from '../../../src/core/seen-names.ts';

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
  };
  expect(seenNamesStatus('ici', [one, two, undefined])).toEqual({
    pool: 'ici',
    seconds: 3_600,
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
      { operation: 'getParts', requests: 2 },
      { operation: 'login', requests: 2 },
    ],
    ignored: [{ source: 'body', reason: 'found', values: 2 }],
    conflicts: [{ operation: 'transfer', requests: 2 }],
  });
});

test('a pool without requests has no shares, and no more than twenty operations are shown', () => {
  expect(seenNamesStatus('ici', [NOTHING])).toMatchObject({ partial: false, requests: 0, sources: [] });
  const operations = new Map(Array.from({ length: 50 }, (_, i) => [`op${i}`, i]));
  const shown = seenNamesStatus('ici', [{ ...NOTHING, operations }]).unnamedOperations;
  expect(shown).toHaveLength(20);
  expect(shown[0]).toEqual({ operation: 'op49', requests: 49 });
});
