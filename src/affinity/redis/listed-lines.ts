import type { Name } from '../../core/identity.ts';
import { parseNameKey } from '../../core/identity.ts';
import { hasLoggedOff } from '../../core/log-off.ts';
import type { ListedAlias, ListedBinding } from '../../core/ports.ts';
import { readOrigin } from '../origin-text.ts';
import type { RootEntry } from '../packing.ts';
import { isRoot, quantumOf, unpack } from '../packing.ts';

// See `end_of_origin` in head.lua.
const STEP_MS = 64;

/** A field, and the binding or alias that it holds. */
export type Line = readonly [string, ListedBinding | ListedAlias];

/** The lines of one bucket in the order of their fields, from what list.lua returns. */
export function toLines(
  flat: readonly string[],
  now: number,
  withDetails: boolean,
  idleLifetimeMs: number,
): Line[] {
  const lines: Line[] = [];
  const width = withDetails ? 3 : 2;
  for (let i = 0; i < flat.length; i += width) {
    const [field = '', packed = '', origin] = flat.slice(i, i + width);
    const name = parseNameKey(field);
    // An earlier release stored another kind of name; those entries expire.
    if (name === undefined) continue;
    const entry = unpack(packed);
    if (isRoot(entry)) lines.push([field, listedBinding(name, entry, now, origin, idleLifetimeMs)]);
    else lines.push([field, { name, root: toName(entry.root) }]);
  }
  return lines.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** @param packedOrigin `''` if there is none; `undefined` if no details were asked for */
export function listedBinding(
  root: Name,
  { instance, incarnation, generation, end, found = false }: RootEntry,
  now: number,
  packedOrigin: string | undefined,
  idleLifetimeMs: number,
): ListedBinding {
  const listed = { binding: { root, instance, incarnation, generation }, expiresInMs: end - now };
  if (packedOrigin === undefined) return listed;
  const { origin, end: originEnd } = readPackedOrigin(packedOrigin, generation);
  const usedAt = originEnd === undefined ? undefined : usedAtOf(originEnd, end, idleLifetimeMs);
  return {
    ...listed,
    found,
    ...(origin === undefined ? {} : { origin }),
    ...(usedAt === undefined ? {} : { usedAt }),
    ...(hasLoggedOff(end, usedAt, idleLifetimeMs) ? { loggedOff: true as const } : {}),
  };
}

/** The inverse of `end_of_origin` in head.lua; `undefined` if another release has renewed the root since. */
function usedAtOf(originEnd: number, end: number, idleLifetimeMs: number): number | undefined {
  const quantum = quantumOf(idleLifetimeMs);
  if (originEnd % STEP_MS !== Math.floor(end / quantum) % STEP_MS) return undefined;
  return originEnd - idleLifetimeMs - quantum;
}

/** `<generation>|<origin>|<end>`; nothing if it is of another generation. */
function readPackedOrigin(
  packed: string,
  generation: number,
): { readonly origin?: ListedBinding['origin']; readonly end?: number } {
  const start = packed.indexOf('|');
  if (Number(packed.slice(0, start)) !== generation) return {};
  const last = packed.lastIndexOf('|');
  return { origin: readOrigin(packed.slice(start + 1, last)), end: Number(packed.slice(last + 1)) };
}

export function toName(field: string): Name {
  const name = parseNameKey(field);
  if (name === undefined) throw new Error(`the affinity store has a name that cannot be read: ${field}`);
  return name;
}
