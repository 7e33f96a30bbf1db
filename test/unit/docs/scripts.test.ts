import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../../../', import.meta.url).pathname;
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
const runner = readFileSync(join(ROOT, 'test/support/run-named.mjs'), 'utf8');

/** Files in which a script may be named, with their text. */
function namingFiles(): [path: string, text: string][] {
  const folders = ['src', 'deploy', 'test', '.ci'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true }).map((path) => join(folder, String(path))),
  );
  const paths = folders.filter((path) => /\.(ts|mjs|md|yaml|lua)$|Dockerfile$|\.ci\/run$/.test(path));
  return [
    ...paths,
    'README.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    '.dependency-cruiser.mjs',
    'vitest.config.ts',
  ]
    .filter((path) => !path.includes('run-named') && path !== 'test/unit/docs/scripts.test.ts')
    .map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]);
}

describe('the scripts of package.json', () => {
  test('have one line each in CONTRIBUTING, which lists no others', () => {
    const contributing = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
    const described = [...contributing.matchAll(/^\| `([a-z:]+)` \|/gm)].map(([, name]) => name);
    expect(described.toSorted()).toEqual(Object.keys(scripts).toSorted());
  });

  test('run every test with a tag in test:long, which finds its files by the text', () => {
    const files = namingFiles().filter(([path]) => path.endsWith('.test.ts'));
    const tagged = files.filter(([, text]) => /\btags\b/.test(text.replaceAll("tags: 'long'", '')));
    expect(tagged.map(([path]) => path)).toEqual([]);
    expect(scripts['test']).toContain("--tags-filter '!long'");
    expect(scripts['test:long']).toContain('grep -rl "tags: .long." test');
    const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8');
    for (const each of ['npm test', 'npm run test:long'])
      expect(ci).toMatch(new RegExp(`^tests '.*' ${each}$`, 'm'));
  });

  test('exist if a document names them', () => {
    const unknown = namingFiles().flatMap(([path, text]) =>
      [...text.matchAll(/npm run (?:--silent |-s )?([a-z]+(?::[a-z]+)*)(?: ([a-zA-Z-]*[a-zA-Z]))?/g)]
        .filter(([, name = '', argument]) => !isKnown(name, argument))
        .map(([found]) => `${path}: ${found}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** `bench` and `trial` need the name of a run. */
function isKnown(name: string, argument: string | undefined): boolean {
  if (scripts[name] === undefined) return false;
  const isOfRunner = name === 'bench' || name === 'trial';
  return !isOfRunner || argument === 'NAME' || new RegExp(`^    '?${argument}'?: \\[`, 'm').test(runner);
}
