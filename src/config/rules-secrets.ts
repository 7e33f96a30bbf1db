import { statSync } from 'node:fs';
import type { Path } from './problem.ts';
import type { CheckContext } from './rule.ts';
import type { Config } from './schema.ts';
import { isRecord } from './tree.ts';

const OTHERS = 0o007;
const PERMISSIONS = 0o777;
const SECRET_FILE = /^(?:.*key|token|.*password)File$/i;

/** Warns of files with secrets that every user of the host may read. Whether a group may is the operator's decision. */
export function secretsArePrivate(config: Config, _: Path, { fileOf, warn }: CheckContext): void {
  for (const [path, file] of secretFiles(config, [])) {
    const mode = openMode(file);
    if (mode !== undefined) warn(path, `${file} ${open(mode, file)}`);
  }
  for (const path of secretValues(config)) {
    const file = fileOf(path);
    const mode = file === undefined ? undefined : openMode(file);
    if (file !== undefined && mode !== undefined) warn(path, `is a secret, and ${file} ${open(mode, file)}`);
  }
}

/** Options that name a file with a secret: by their name, so that none is forgotten. */
function* secretFiles(value: unknown, path: Path): Generator<[Path, string]> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* secretFiles(item, [...path, index]);
  } else if (isRecord(value)) {
    for (const [key, member] of Object.entries(value)) {
      const at = [...path, key];
      const isToken = path[0] === 'admin' && path[1] === 'tokens' && key === 'file';
      if (typeof member !== 'string') yield* secretFiles(member, at);
      else if (isToken || SECRET_FILE.test(key)) yield [at, member];
    }
  }
}

/** Options whose value is a secret. */
function* secretValues({ pools, affinity }: Config): Generator<Path> {
  const url = affinity?.redis?.url;
  if (url !== undefined && URL.canParse(url) && new URL(url).password !== '')
    yield ['affinity', 'redis', 'url'];
  if (!Array.isArray(pools)) return;
  for (const [index, pool] of pools.entries()) {
    const headers = pool?.health?.headers;
    if (Array.isArray(headers) && headers.length > 0) yield ['pools', index, 'health', 'headers'];
  }
}

/** The permissions of a file, if others have any of them. Whether it can be used is checked elsewhere. */
function openMode(file: string): number | undefined {
  try {
    const { mode } = statSync(file);
    return (mode & OTHERS) === 0 ? undefined : mode & PERMISSIONS;
  } catch {
    return undefined;
  }
}

function open(mode: number, file: string): string {
  return `is open to every user of this host (mode ${mode.toString(8)}); run: chmod o= ${file}`;
}
