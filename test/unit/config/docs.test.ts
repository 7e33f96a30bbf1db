import { readFileSync } from 'node:fs';
import type { TSchema } from 'typebox';
import { Check } from 'typebox/value';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { effectiveConfig } from '../../../src/config/effective.ts';
import { jsonSchema } from '../../../src/config/json-schema.ts';
import type { OptionNode } from '../../../src/config/option.ts';
import { configTable } from '../../../src/config/reference.ts';
import { OPTIONS } from '../../../src/config/schema.ts';
import { load, MINIMAL } from './support.ts';

const repository = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, repository), 'utf8');

function* walk(node: OptionNode, path: string): Generator<[string, OptionNode]> {
  yield [path, node];
  for (const [key, option] of Object.entries(node.properties ?? {})) yield* walk(option, `${path}.${key}`);
  if (node.items !== undefined) yield* walk(node.items, `${path}[]`);
}

describe('documentation follows the code', () => {
  // To renew it: node dist/main.js check --schema > deploy/gateway.schema.json
  test('the schema for editors is the one made from the code', () => {
    expect(JSON.parse(read('deploy/gateway.schema.json'))).toEqual(jsonSchema());
  });

  test('every option is described in whole sentences', () => {
    for (const [path, { description }] of walk(OPTIONS, ''))
      if (!path.endsWith('[]')) expect(description, path).toMatch(/^[A-Z`A-Za-z].*\.$/);
  });

  test('every option that the loader knows has a row in the table', () => {
    const rows = new Set(Array.from(configTable().matchAll(/^\| `([^`]+)`/gm), ([, option]) => option));
    for (const [path] of walk(OPTIONS, '')) {
      const option = path.slice(1);
      // Plain lists have one row, under the name of the list.
      if (option !== '' && !option.endsWith('[]'))
        expect(rows.has(option) || rows.has(`${option}[]`), option).toBe(true);
    }
  });
});

describe('the schema for editors', () => {
  const schema = jsonSchema() as TSchema;

  test('accepts what the loader accepts', () => {
    expect(Check(schema, parse(MINIMAL))).toBe(true);
    expect(Check(schema, effectiveConfig(load(MINIMAL).config))).toBe(true);
    for (const name of ['failover', 'sticky-redis', 'two-pools-tls'])
      expect(Check(schema, parse(read(`deploy/examples/${name}.yaml`))), name).toBe(true);
  });

  test.each([
    ['an unknown option', `${MINIMAL}timeouts: { parc: 1s }`],
    ['a missing url', 'pools: [{ name: p, instances: [{ id: a }] }]'],
    ['no pool', 'pools: []'],
    ['a duration without unit', `${MINIMAL}timeouts: { park: 5 }`],
    ['an unknown word', `${MINIMAL}    mode: stiky`],
  ])('refuses %s', (_, text) => {
    expect(Check(schema, parse(text))).toBe(false);
  });
});
