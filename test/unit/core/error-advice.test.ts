import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_ADVICE, errorLines, ownerOf } from '../../../src/core/error-advice.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { ERRORS } from '../../../src/core/errors.ts';
import type { RecentRequest } from '../../../src/core/recent-requests.ts';

const RUNBOOK = readFileSync(new URL('../../../deploy/RUNBOOK.md', import.meta.url), 'utf8');
const CODES = Object.keys(ERRORS) as ErrorCode[];

test.each(CODES)('%s has a remedy, and a section of the runbook that exists', (code) => {
  const { remedy, runbook } = ERROR_ADVICE[code];
  expect(remedy).toMatch(/^[A-Z].*\.$|^ici-gateway .*\.$/);
  const headings = [...RUNBOOK.matchAll(/^## (.*)$/gm)].map(
    ([, heading = '']) => `#${heading.toLowerCase()}`,
  );
  expect(headings).toContain(runbook);
});

test.each(CODES)('the runbook sends readers of %s to the same section', (code) => {
  const [, table = ''] = /## requests-fail\n([\s\S]*?)\n## /.exec(RUNBOOK) ?? [];
  const row = table.split('\n').find((line) => line.includes(`\`${code}\``));
  const [, section] = /\(#([\w-]+)\)/.exec(row ?? '') ?? [];
  if (section !== undefined) expect(ERROR_ADVICE[code].runbook).toBe(`#${section}`);
});

test('whose side it is follows from the source of the error', () => {
  expect(ownerOf('GW_POOL_UNKNOWN')).toBe('client');
  expect(ownerOf('GW_OUTCOME_UNKNOWN')).toBe('instance');
  expect(ownerOf('GW_AFFINITY_UNAVAILABLE')).toBe('store');
  expect(ownerOf('GW_OVERLOADED')).toBe('gateway');
});

test('the most frequent code comes first, with its last requests', () => {
  const of = (code: ErrorCode, requestId: string) => ({ code, requestId }) as RecentRequest;
  const lines = errorLines(
    (code) => (code === 'GW_INTERNAL' ? 9 : code === 'GW_LOOP' ? 2 : 0),
    [of('GW_LOOP', 'r-3'), of('GW_INTERNAL', 'r-2'), of('GW_LOOP', 'r-1')],
    1,
  );
  expect(lines).toHaveLength(CODES.length);
  expect(lines.slice(0, 2)).toMatchObject([
    { code: 'GW_INTERNAL', count: 9, samples: [{ requestId: 'r-2' }] },
    { code: 'GW_LOOP', count: 2, samples: [{ requestId: 'r-3' }] },
  ]);
});
