import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parsePlace,
  toAgent,
  toAgents,
  toDrain,
  toEvents,
  toPool,
  withFilters,
} from '../../../../src/admin/console/logic/place.ts';

describe('the address of a page', () => {
  test.each([
    ['', 'overview'],
    ['#/', 'overview'],
    ['#/agents', 'agents'],
    ['#/agents?pool=ici', 'agents'],
    ['#/agents/ici/MILLER', 'agent'],
    ['#/pools', 'pool'],
    ['#/pools/ici', 'pool'],
    ['#/pools/ici/drain/a', 'drain'],
    ['#/pools/ici/history', 'history'],
    ['#/gateway', 'gateway'],
    ['#/events?by=ops', 'events'],
    ['#/config', 'config'],
    ['#/agents/ici', 'unknown'],
    ['#/pools/ici/drain', 'unknown'],
    ['#/elsewhere', 'unknown'],
    ['#/gateway/x', 'unknown'],
  ])('%s is page %s', (hash, page) => {
    expect(parsePlace(hash).page).toBe(page);
  });

  test('any name comes back as it went in', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (pool, name) => {
        expect(parsePlace(toAgent(pool, name))).toMatchObject({ page: 'agent', pool, name });
        expect(parsePlace(toDrain(pool, name))).toMatchObject({ page: 'drain', pool, instance: name });
        expect(parsePlace(toPool(pool))).toMatchObject({ page: 'pool', pool });
        expect(parsePlace(toEvents({ by: name })).query).toEqual({ by: name });
      }),
    );
  });

  test('a name that is no user says its kind', () => {
    expect(parsePlace(toAgent('ici', 'f00', 'session')).query).toEqual({ kind: 'session' });
    expect(parsePlace(toAgent('ici', 'MILLER')).query).toEqual({});
  });

  test('names what was chosen only', () => {
    expect(toAgents({ pool: 'ici', prefix: '', instance: undefined })).toBe('#/agents?pool=ici');
    expect(toAgents()).toBe('#/agents');
  });

  test('filters are changed one by one, and an empty one is left out', () => {
    expect(withFilters('#/agents?pool=ici&prefix=MI', { prefix: 'MIL', cursor: '' })).toBe(
      '#/agents?pool=ici&prefix=MIL',
    );
    expect(withFilters('#/agents?pool=ici', { pool: '' })).toBe('#/agents');
    expect(withFilters('', { pool: 'ici' })).toBe('#/?pool=ici');
  });

  test('a broken escape is taken as it stands', () => {
    expect(parsePlace('#/pools/%zz')).toMatchObject({ page: 'pool', pool: '%zz' });
  });
});
