import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/documents.ts';
import { PROGRAM } from '../support/gateway-process.ts';

/** What is in the built program, and what a process of it loads. */

const DIST = dirname(PROGRAM[1] as string);
const STATIC = /^import [^;]*?"\.\/([^"]+)";/gm;
// esbuild writes it above each module.
const MODULE = /^ *(?:\/\/ |")(node_modules\/(?:@[^/]+\/)?[^/"]+|src\/[^"\s]+)/gm;

/** The files that are loaded with a file, without those of a later `import()`. */
function loadedWith(file: string, loaded = new Set<string>()): Set<string> {
  loaded.add(file);
  for (const [, next = ''] of readFileSync(join(DIST, file), 'utf8').matchAll(STATIC))
    if (!loaded.has(next)) loadedWith(next, loaded);
  return loaded;
}

function load(role: string): { readonly bytes: number; readonly packages: readonly string[] } {
  const entry = readdirSync(DIST).find((name) => name.startsWith(`${role}-`) && name.endsWith('.js'));
  return contentOf(loadedWith(entry as string));
}

function contentOf(files: ReadonlySet<string>): {
  readonly bytes: number;
  readonly packages: readonly string[];
} {
  const texts = [...files].map((file) => readFileSync(join(DIST, file), 'utf8'));
  const modules = texts.flatMap((text) => [...text.matchAll(MODULE)].map(([, name = '']) => name));
  const packages = modules.flatMap((name) => (name.startsWith('node_modules/') ? [name.slice(13)] : []));
  return { bytes: texts.join('').length, packages: [...new Set(packages)] };
}

const NEVER = ['ajv', 'fast-json-stringify-compiler', 'ioredis', 'fast-xml-parser', 'yaml', 'commander'];

test.each([
  ['worker', 1_900_000, [...NEVER, 'typebox', 'lmdb']],
  ['controller', 2_350_000, NEVER],
])('a %s loads little code, and no package that it may not need', (role, most, unwanted) => {
  const { bytes, packages } = load(role);
  expect(packages).toEqual(expect.arrayContaining(['undici', 'fastify', 'prom-client']));
  expect(packages.filter((name) => unwanted.includes(name))).toEqual([]);
  expect(bytes).toBeLessThan(most);
});

test('a supervisor loads little code, and not the packages that read a configuration', () => {
  const names = [
    /^main\.js$/,
    /^program-/,
    /^config-reader-/,
    /^start-[A-Z0-9]{8}\.js$/,
    /^start-supervised-/,
  ];
  const files = names.map(
    (name) => readdirSync(DIST).find((file) => name.test(file) && file.endsWith('.js')) as string,
  );
  const { bytes, packages } = contentOf(new Set(files.flatMap((file) => [...loadedWith(file)])));
  expect(packages).toEqual(expect.arrayContaining(['commander', 'pino']));
  expect(packages.filter((name) => ['yaml', 'typebox'].includes(name))).toEqual([]);
  expect(bytes).toBeLessThan(450_000);
});

test('the program has each module once, so that there is one undici', () => {
  const files = readdirSync(DIST).filter((name) => name.endsWith('.js'));
  const text = files.map((file) => readFileSync(join(DIST, file), 'utf8')).join('\n');
  expect(text.match(/node_modules\/undici\/lib\/dispatcher\/client\.js"/g)).toHaveLength(1);
});

// The image has source maps; the package of npm has none. Neither starts Node with --enable-source-maps.
test.each([
  ['with its source maps', true, /at \S*failOfThisTest .*\(src\/wiring\/worker\.ts:\d+:\d+\)/],
  ['without them', false, /at \S*failOfThisTest .*\(file:\S+\/dist\/\S+\.js:\d+:\d+\)/],
])('the stack of a crash names function and file, %s', (_, hasMaps, frame) => {
  const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-crash-'));
  try {
    const isWanted = (path: string): boolean => hasMaps || !path.endsWith('.map');
    cpSync(DIST, join(folder, 'dist'), { recursive: true, filter: isWanted });
    cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const scripts = readdirSync(join(folder, 'dist')).filter((name) => name.endsWith('.js'));
    for (const name of scripts) {
      const path = join(folder, 'dist', name);
      const text = readFileSync(path, 'utf8');
      const fault = 'setTimeout(function failOfThisTest() { throw new TypeError("a fault"); });';
      writeFileSync(path, text.replace(/^async function startWorker\(.*$/m, `$& ${fault}`));
    }
    const flags = ['--workers', '0', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
    const store = ['--state-dir', join(folder, 'state'), '--instance', 'a=http://127.0.0.1:9'];
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [join(folder, 'dist/main.js'), 'start', ...flags, ...store],
      { encoding: 'utf8', timeout: 20_000 },
    );
    const line = stdout.split('\n').find((text) => text.includes('crashed: uncaught error'));
    expect(JSON.parse(line as string).err.stack).toMatch(frame);
    expect(stderr).toMatch(frame);
    expect(status).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
