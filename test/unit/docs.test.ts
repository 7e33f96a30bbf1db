import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { StatePages } from '../../src/core/state-page.ts';
import { conditionOf } from '../../src/sapcontrol/process-list.ts';
import type { SapState } from '../../src/sapcontrol/source.ts';
import { GENERATED, partOf } from '../support/readme.ts';
import { statesOfReadme } from '../support/states-table.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

describe('the README', () => {
  test.each(Object.keys(GENERATED))('tells of every entry of the %s reference, and of no other', (part) => {
    // After a change: npm run docs
    expect(partOf(readme, part)).toBe(GENERATED[part]?.().trim());
  });

  test('tells of every state what is answered in it', () => {
    const pages = new StatePages({ prefixes: [], alwaysOk: false });
    const states: readonly SapState[] = [
      'Starting',
      'Running',
      'Drifted',
      'Isolated',
      'Maintenance',
      'Stopping',
      'Draining',
      'Stopped',
    ];
    const table = statesOfReadme();
    expect([...table.keys()]).toEqual(states);
    for (const state of states) {
      const { answers, acceptsConnections } = table.get(state) ?? {};
      const { color, text } = conditionOf(state, 1);
      expect(answers?.sapcontrol).toBe(`${color.replace('SAPControl-', '')} ${text}`);
      const { status, body } = pages.answer(state);
      const isThere = state !== 'Stopped';
      expect(answers?.['admin page']).toBe(isThere ? `${status} ${body}` : 'refused');
      for (const question of ['admin ping', 'readyz'] as const)
        expect(answers?.[question], `${question} of ${state}`).toBe(isThere ? String(status) : 'refused');
      expect(answers?.page !== 'refused', state).toBe(acceptsConnections);
    }
  });
});
