import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GENERATED, partOf } from '../support/readme.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

describe('the README', () => {
  test.each(Object.keys(GENERATED))('tells of every entry of the %s reference, and of no other', (part) => {
    // After a change: npm run docs
    expect(partOf(readme, part)).toBe(GENERATED[part]?.().trim());
  });
});
