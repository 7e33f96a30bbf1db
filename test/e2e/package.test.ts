import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../support/documents.ts';
import { PROGRAM } from '../support/gateway-process.ts';

/** What someone gets who packs and installs the program. */

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ici-package-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const [node = '', main = ''] = PROGRAM;

test('the package has the program, pins all that it installs, and has no source maps', () => {
  const source = join(folder, 'source');
  for (const path of ['package.json', 'README.md', 'CHANGELOG.md', 'dist', 'deploy', 'test/support'])
    cpSync(join(ROOT, path), join(source, path), { recursive: true });
  // As `prepack` does, but without the build: other tests run the one that is there. `npm ci` in the unpacked package
  // installs by this file.
  cpSync(join(ROOT, 'package-lock.json'), join(source, 'npm-shrinkwrap.json'));

  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'], {
    cwd: source,
    encoding: 'utf8',
  });
  const paths: string[] = JSON.parse(packed)[0].files.map(({ path }: { path: string }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'package.json',
      'npm-shrinkwrap.json',
      'README.md',
      'CHANGELOG.md',
      'dist/main.js',
      'dist/console/index.html',
      'deploy/RUNBOOK.md',
      'deploy/systemd/ici-gateway.service',
    ]),
  );
  expect(paths.filter((path) => path.endsWith('.map') || path.startsWith('test/'))).toEqual([]);
});

test('--version names version, commit, Node and protocol', () => {
  const text = execFileSync(node, [main, '--version'], { encoding: 'utf8' });
  expect(text).toMatch(
    /^\d+\.\d+\.\d+\ncommit ([0-9a-f]{12}( with changes)?|unknown)\nNode v\d+\.\d+\.\d+ on \S+\nprotocol \d+ /,
  );
});
