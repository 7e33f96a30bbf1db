import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCRIPTS } from '../../../src/affinity/redis/scripts.ts';
import { GATEWAY_SCRIPTS } from '../../../src/coordination/redis/gateway-registry.ts';
import { VIEW_STORE_SCRIPTS } from '../../../src/coordination/redis/scripts.ts';
import { SOURCES } from '../../../src/package.ts';
import { loadLua } from '../../../src/redis/lua.ts';

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.lua'),
);

describe('a script that is loaded', () => {
  let folder: string;
  const at = (file: string): string => pathToFileURL(join(folder, file)).href;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lua-'));
    writeFileSync(join(folder, 'main.lua'), '-- main\n--- @include "part.lua"\nreturn 1\n');
    writeFileSync(join(folder, 'part.lua'), "-- part, as '$&'\nlocal part = 1\n");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('contains the text of its includes', () => {
    expect(loadLua(at('main.lua'))).toBe("-- main\n-- part, as '$&'\nlocal part = 1\nreturn 1\n");
  });

  test('begins with the constants of TypeScript', () => {
    const text = loadLua(at('part.lua'), { MOST: 10, SHARE: 0.5, NOTE: 'shared', AT: { 'a b': 1, c: 2 } });
    expect(text.split('\n').slice(0, 4)).toEqual([
      'local MOST = 10',
      'local SHARE = 0.5',
      "local NOTE = 'shared'",
      "local AT = { ['a b'] = 1, ['c'] = 2 }",
    ]);
  });

  test('takes no constant that would end the text', () => {
    expect(() => loadLua(at('part.lua'), { NOTE: "it's" })).toThrow("cannot be a constant of a script: it's");
  });
});

test.each(files)('%s begins with its contract, and names its keys and arguments at the top', (file) => {
  const lines = readFileSync(new URL(file, SOURCES), 'utf8').split('\n');
  expect(lines[0]).toMatch(/^-- [A-Z]/);
  const uses = lines.filter((line) => /\b(ARGV|KEYS)\[\d/.test(line) && !/^\s*--/.test(line));
  for (const line of uses) expect(line).toMatch(/^local [^=]+ = /);
  expect(lines.filter((line) => line.length > 120)).toEqual([]);
});

test('each script is one of the files, and every file is in a script', () => {
  const texts = [SCRIPTS, VIEW_STORE_SCRIPTS, GATEWAY_SCRIPTS].flatMap((scripts) => Object.values(scripts));
  for (const text of texts) expect(text).not.toContain('@include');
  for (const file of files) {
    const first = readFileSync(new URL(file, SOURCES), 'utf8').split('\n')[0] as string;
    expect(texts.filter((text) => text.includes(first)).length, file).toBeGreaterThan(0);
  }
});
