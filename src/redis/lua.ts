import { readFileSync } from 'node:fs';
import { SOURCES } from '../package.ts';

/**
 * The first line of scripts that Redis runs even beyond `maxmemory`. The room between that limit and the memory of the
 * machine is for what gateways agree on, and for agents who are already bound.
 */
const EVEN_WITHOUT_ROOM = '#!lua flags=allow-oom\n';

/** A constant that a script takes from TypeScript: a number, a text, or a table of numbers by text. */
export type LuaConstant = number | string | Readonly<Record<string, number>>;

// On a line of its own; the path is relative to the including file.
const INCLUDE = /^--- @include "(.+)"$/gm;

/**
 * Returns the text of a script: its constants, then the file with everything that it includes.
 *
 * @param file relative to `src`, for example `affinity/redis/claim.lua`; `npm run build` copies it to the same place in
 *   `dist`
 */
export function loadLua(file: string, constants: Readonly<Record<string, LuaConstant>> = {}): string {
  const lines = Object.entries(constants).map(([name, value]) => `local ${name} = ${literal(value)}\n`);
  return lines.join('') + withIncludes(new URL(file, SOURCES));
}

/** {@link loadLua} for a script that must not be refused for lack of memory, so it must not add much. */
export function loadLuaThatNeedsNoRoom(
  file: string,
  constants?: Readonly<Record<string, LuaConstant>>,
): string {
  return EVEN_WITHOUT_ROOM + loadLua(file, constants);
}

function withIncludes(file: URL): string {
  return readFileSync(file, 'utf8').replace(INCLUDE, (_, path: string) =>
    withIncludes(new URL(path, file)).trimEnd(),
  );
}

function literal(value: LuaConstant): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return quoted(value);
  const pairs = Object.entries(value).map(([key, number]) => `[${quoted(key)}] = ${number}`);
  return `{ ${pairs.join(', ')} }`;
}

function quoted(text: string): string {
  if (/[\\'\n]/.test(text)) throw new Error(`cannot be a constant of a script: ${text}`);
  return `'${text}'`;
}
