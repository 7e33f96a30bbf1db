import { describe, expect, test } from 'vitest';
import type { OptionNode } from '../../../src/config/option.ts';
import { OPTIONS } from '../../../src/config/schema.ts';
import { ERRORS } from '../../../src/core/errors.ts';
import { StatePages } from '../../../src/core/state-page.ts';
import { METHODS } from '../../../src/sapcontrol/message-types.ts';
import { conditionOf } from '../../../src/sapcontrol/process-list.ts';
import type { SapState } from '../../../src/sapcontrol/source.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { DOCUMENTS, REFERENCE, readDocument, tableBelow, withoutCode } from '../../support/documents.ts';
import { GENERATED, partOf, regenerated } from '../../support/generated-docs.ts';
import { statesOfDocs } from '../../support/states-table.ts';

const README_BYTES = 10_000;
const LINE_LENGTH = 120;

// Named like options, but fields of /status.
const STATUS_FIELDS = ['affinity.claimsFail', 'affinity.available'];

const EXPECTED_PAGES = [
  ...['admin-api', 'benchmarks', 'client-address', 'cluster', 'configuration', 'console', 'errors'],
  ...['failure-modes', 'metrics', 'operations', 'routing', 'sapcontrol', 'security'],
];

describe('the README', () => {
  const readme = readDocument('README.md');

  test('is short', () => {
    expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(README_BYTES);
  });

  test('links every page of the reference', () => {
    expect(REFERENCE).toEqual(EXPECTED_PAGES.map((name) => `deploy/docs/${name}.md`));
    for (const page of REFERENCE) expect(readme).toContain(`](${page})`);
  });
});

describe.each(['README.md', ...REFERENCE])('%s', (page) => {
  const text = readDocument(page);

  test('says first who needs it', () => {
    const [title = '', , first = ''] = text.split('\n');
    expect(title).toMatch(/^# /);
    if (page !== 'README.md') expect(first).toMatch(/^\*For those who /);
  });

  test(`has no line longer than ${LINE_LENGTH} characters outside tables`, () => {
    const long = text.split('\n').filter((line) => line.length > LINE_LENGTH && !line.startsWith('|'));
    expect(long).toEqual([]);
  });
});

describe('generated pages', () => {
  test.each(Object.entries(GENERATED))(
    'the %s reference has every entry, and no other',
    (part, { page, render }) => {
      // After a change: npm run docs
      const text = readDocument(page);
      expect(partOf(text, part)).toBe(render().trim());
      expect(regenerated(text)).toBe(text);
    },
  );
});

describe('names in the documents', () => {
  const documents = DOCUMENTS.filter((page) => page === 'README.md' || page.startsWith('deploy/'));

  test.each(documents)('of error codes and metrics exist in %s', (page) => {
    const text = readDocument(page);
    for (const [code] of text.matchAll(/\bGW_[A-Z_]+\b/g)) expect(Object.keys(ERRORS)).toContain(code);
    const metrics = new Metrics({ processMetrics: false }).registry;
    for (const [metric] of text.matchAll(/\bgateway_[a-z_]+[a-z]\b/g))
      expect(metrics.getSingleMetric(metric), metric).toBeDefined();
  });

  test.each(documents)('of options exist in %s', (page) => {
    const known = new Set([...optionPaths(OPTIONS, '')]);
    const sections = Object.keys(OPTIONS.properties ?? {});
    for (const [, name = ''] of withoutCode(readDocument(page)).matchAll(/`((?:\w+(?:\[\])?\.)+\w+)`/g)) {
      if (sections.includes(name.replace(/[[.].*/, '')) && !STATUS_FIELDS.includes(name))
        expect(known, name).toContain(name.replaceAll('[]', ''));
    }
  });
});

function* optionPaths(section: OptionNode, prefix: string): Generator<string> {
  for (const [key, option] of Object.entries(section.properties ?? {})) {
    yield `${prefix}${key}`;
    yield* optionPaths(option, `${prefix}${key}.`);
    if (option.items !== undefined) yield* optionPaths(option.items, `${prefix}${key}.`);
  }
}

test('operations.md and sapcontrol.md have the answers of every state', () => {
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
  const table = statesOfDocs();
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

test('sapcontrol.md lists every method, and says which are open', () => {
  const rows = tableBelow(readDocument('deploy/docs/sapcontrol.md'), '| method | open |');
  const documented = rows.map(([method = '', open]) => [/\w+/.exec(method)?.[0], open === 'no']);
  const methods = Object.entries(METHODS).map(([name, { isProtected }]) => [name, isProtected]);
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(methods));
});
