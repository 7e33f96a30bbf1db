import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { codeBlocks, ROOT, readDocument, tableBelow } from '../../support/documents.ts';

const MAP = readDocument('src/README.md');
const PATH =
  /(?<![\w/.-])((?:[\w.-]+\/)+(?:[\w.-]+\.(?:ts|mjs|md|lua|yaml))?|(?:main|package)\.ts)(?![\w/])/g;

describe('the map of src', () => {
  test('names paths that exist', () => {
    const named = Array.from(MAP.replaceAll('<br/>', ' ').matchAll(PATH), ([, path = '']) => path);
    expect(named.length).toBeGreaterThan(100);
    for (const path of named) expect(fileOf(path), path).toBeDefined();
  });

  test('names folders that exist, and every folder', () => {
    const named = tableBelow(MAP, '| folder |').flatMap(([folders = '']) =>
      Array.from(folders.matchAll(/`([\w-]+)\/`/g), ([, folder]) => folder),
    );
    const there = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((one) => one.isDirectory());
    expect(named.toSorted()).toEqual(there.map(({ name }) => name).toSorted());
  });

  test('names symbols that exist', () => {
    const code = allCode();
    const symbols = Array.from(
      MAP.matchAll(/`((?:[A-Z][a-z]+|[a-z]+[A-Z])\w*)`/g),
      ([, symbol = '']) => symbol,
    );
    expect(symbols.length).toBeGreaterThan(30);
    for (const symbol of symbols) expect(new RegExp(`\\b${symbol}\\b`).test(code), symbol).toBe(true);
  });

  const answers = tableBelow(MAP, '| … where | file | name |');

  test('answers questions', () => {
    expect(answers.length).toBeGreaterThanOrEqual(15);
  });

  test.each(answers)('finds where %s', (_, files = '', name = '') => {
    const texts = Array.from(files.matchAll(/`([^`]+)`/g), ([, file = '']) =>
      readFileSync(fileOf(file) ?? expect.fail(`${file} does not exist`), 'utf8'),
    );
    expect(texts).not.toEqual([]);
    const symbol = /`(\w+)`/.exec(name)?.[1];
    if (symbol !== undefined)
      expect(texts.some((text) => new RegExp(`\\b${symbol}\\b`).test(text))).toBe(true);
  });

  test('draws the life of a request and the processes', () => {
    expect(codeBlocks(MAP, 'mermaid').length).toBeGreaterThanOrEqual(2);
  });
});

/** A path of the map, from src or from the root. */
function fileOf(path: string): string | undefined {
  return [join(ROOT, 'src', path), join(ROOT, path)].find(existsSync);
}

function allCode(): string {
  return ['src', 'test']
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => readFileSync(join(ROOT, folder, file), 'utf8')),
    )
    .join('\n');
}
