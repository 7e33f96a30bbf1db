import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const FROM = /^(?:import|export)(?! type)\b[^;]*?from '([^']+)'/gm;

/** The packages and own files that are loaded with the module, without those of a later `await import`. */
function loadedWith(entry: string): string[] {
  const source = new URL('../../../src/', import.meta.url);
  const loaded = new Set<string>();
  const visit = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    const url = new URL(file, source);
    for (const [, specifier = ''] of readFileSync(fileURLToPath(url), 'utf8').matchAll(FROM)) {
      if (specifier.startsWith('.')) visit(new URL(specifier, url).href.slice(source.href.length));
      else loaded.add(specifier);
    }
  };
  visit(entry);
  return [...loaded];
}

test('a supervisor does not load the code that knows all options, nor that of commands for operators', () => {
  const loaded = [
    'main.ts',
    'cli/program.ts',
    'cli/config-reader.ts',
    'cli/start.ts',
    'cli/start-supervised.ts',
  ].flatMap(loadedWith);
  expect(loaded).toContain('process/supervisor.ts');
  expect(loaded.filter((name) => /^(yaml$|typebox|config\/schema|cli\/admin\/)/.test(name))).toEqual([]);
});

// Agents wait for a worker that takes the place of a dead one. The schema and the parser of the configuration cost it
// half of its start again; processes get a configuration that is resolved.
test.each([
  // Its admin API is described with typebox: about 30 ms of its start.
  ['wiring/controller.ts', /^(yaml$|config\/(schema|load)\.ts|ioredis|lmdb|fast-xml-parser)/],
  ['wiring/worker.ts', /^(yaml$|typebox|config\/(schema|load)\.ts|ioredis|lmdb)/],
])(
  '%s loads neither the schema and the parser of the configuration, nor a store, nor SAPControl',
  (entry, unwanted) => {
    const loaded = loadedWith(entry);
    expect(loaded).toContain('undici');
    expect(loaded.filter((name) => unwanted.test(name))).toEqual([]);
  },
);
