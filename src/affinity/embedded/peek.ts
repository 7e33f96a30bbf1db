import type { Holding, Holdings, NameRoom } from '../../core/holdings.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import type { PeekOptions } from '../../core/ports.ts';
import { storedKey } from '../../core/stored-name.ts';
import { isRoot, packableGroup } from '../packing.ts';
import { readNote } from '../session-note.ts';
import { rootWithout, toBinding, toName } from './claim.ts';
import type { EmbeddedGroups } from './groups.ts';
import type { EmbeddedTables } from './tables.ts';

/**
 * Does what affinity/redis/peek.lua does.
 *
 * @param most the most names that the pool may have
 */
export function peek(
  tables: EmbeddedTables,
  groups: EmbeddedGroups,
  names: readonly RequestName[],
  { group, isMove = false, needsRoom = false }: PeekOptions = {},
  most: number,
  now: number,
): Holdings {
  const user = names.find(({ kind }) => kind !== 'session');
  const session = names.find(({ kind }) => kind === 'session');
  const asked = isMove ? storedKey(names[0] as Name) : '';
  return {
    user: user && holding(tables, storedKey(user), now),
    session: session && holding(tables, storedKey(session), now),
    note: session && readNote(tables.note(storedKey(session), now), user && storedKey(user)),
    place: group && groups.place(tables, packableGroup(group), { asked, now }),
    room: needsRoom ? roomFor(tables, names.map(storedKey), most, now) : undefined,
  };
}

function roomFor(tables: EmbeddedTables, names: readonly string[], most: number, now: number): NameRoom {
  const free = most - tables.held(most, now);
  if (free >= names.length) return { free, replaceable: 0 };
  const roots = names.map((name) => tables.resolve(name, now).field);
  return { free, replaceable: tables.onProbation(names.length, [...names, ...roots], now).length };
}

function holding(tables: EmbeddedTables, name: string, now: number): Holding {
  const { entry, field, root } = tables.resolve(name, now);
  return {
    binding: root && toBinding(field as string, root),
    root: toName(field ?? rootWithout(tables, name, entry, now)),
    isFound: root?.found === true,
    isFoundAlias: entry !== undefined && !isRoot(entry) && entry.found === true,
    isNew: entry === undefined,
    hasLoggedOff: root !== undefined && tables.loggedOffAt(field as string, root, now) !== undefined,
  };
}
