import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import semver from 'semver';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../support/documents.ts';

/** What installs without a warning, and what a package has in it. */

const json = (file: string) => JSON.parse(readFileSync(join(ROOT, file), 'utf8'));

interface Locked {
  readonly version: string;
  readonly engines?: { readonly node?: string };
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

const LOCKED = Object.entries(json('package-lock.json').packages as Record<string, Locked>);

describe('every package that is installed', () => {
  // The oldest that package.json allows, and the newest of each line that is maintained.
  test.each(['20.19.0', '22.21.0', '24.21.0'])('says that it runs on Node %s', (node) => {
    expect(semver.satisfies(node, json('package.json').engines.node)).toBe(true);
    const unfit = LOCKED.filter(
      ([, { engines }]) => engines?.node !== undefined && !semver.satisfies(node, engines.node),
    ).map(([path, { version, engines }]) => `${path} ${version} wants Node ${engines?.node}`);
    expect(unfit).toEqual([]);
  });

  // npm from 11.19 on runs no script of an installed package that is not allowed, and warns of each that is not listed.
  test('is listed in allowScripts if it has an install script', () => {
    const scripted = LOCKED.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    const names = scripted.map(([path]) => path.replace(/^.*node_modules\//, ''));
    expect(Object.keys(json('package.json').allowScripts ?? {})).toEqual(names.toSorted());
  });
});

describe('the package that `npm pack` makes', () => {
  const { scripts, files, bin } = json('package.json');

  test('is built and pinned first, and left as it was afterwards', () => {
    expect(scripts.prepack).toBe('npm run --silent build && cp package-lock.json npm-shrinkwrap.json');
    expect(scripts.postpack).toBe('rm npm-shrinkwrap.json');
    expect(files).toEqual(expect.arrayContaining(['dist', '!dist/**/*.map', 'npm-shrinkwrap.json']));
    expect(bin['ici-gateway']).toBe('dist/main.js');
  });
});

test('git keeps tokens, passwords and keys of those who try a gateway out from being committed', () => {
  const secrets = ['admin.token', 'admin.passwords', 'redis.password', 'server.key', 'server.pem'];
  const ignored = execFileSync('git', ['check-ignore', '--no-index', ...secrets], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(ignored.trim().split('\n')).toEqual(secrets);
  expect(
    execFileSync('git', ['ls-files', '-ci', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' }),
  ).toBe('');
});
