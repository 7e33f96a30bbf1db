import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * The folder of package.json: one folder up from `src` and `dist`, two from a module that is compiled for the tests.
 */
function packageFolder(): URL {
  let folder = new URL('.', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) {
    const above = new URL('..', folder);
    if (above.href === folder.href) throw new Error(`there is no package.json above ${import.meta.url}`);
    folder = above;
  }
  return folder;
}

const FOLDER = packageFolder();

/** The folder of the files that the program reads beside its code: `dist` for the built program, else `src`. */
export const SOURCES: URL = import.meta.url.startsWith(new URL('dist/', FOLDER).href)
  ? new URL('dist/', FOLDER)
  : new URL('src/', FOLDER);

/** The version in package.json. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('package.json', FOLDER), 'utf8')) as { version: string }
).version;

/** The commit that this program was built from; undefined where the build did not know it. */
export function builtFrom(): string | undefined {
  try {
    return readFileSync(new URL('dist/commit', FOLDER), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** The folder of the built web administration. */
export const CONSOLE: URL = new URL('dist/console/', FOLDER);

/** The file of the built program. Children are started from it. */
export const MAIN: string = fileURLToPath(new URL('dist/main.js', FOLDER));
