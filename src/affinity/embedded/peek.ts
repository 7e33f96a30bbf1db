import type { Holding, Holdings } from '../../core/holdings.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import type { PeekOptions } from '../../core/ports.ts';
import { storedKey } from '../../core/stored-name.ts';
import { isRoot, packableGroup } from '../packing.ts';
import { readNote } from '../session-note.ts';
import { rootWithout, toBinding, toName } from './claim.ts';
import type { EmbeddedGroups } from './groups.ts';
import type { EmbeddedTables } from './tables.ts';

/** Does what affinity/redis/peek.lua does. */
export function peek(
  tables: EmbeddedTables,
  groups: EmbeddedGroups,
  names: readonly RequestName[],
  { group, isMove = false }: PeekOptions = {},
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
  };
}

function holding(tables: EmbeddedTables, name: string, now: number): Holding {
  const { entry, field, root } = tables.resolve(name, now);
  return {
    binding: root && toBinding(field as string, root),
    root: toName(field ?? rootWithout(tables, name, entry, now)),
    isFound: root?.found === true,
    isFoundAlias: entry !== undefined && !isRoot(entry) && entry.found === true,
    hasLoggedOff: root !== undefined && tables.loggedOffAt(field as string, root, now) !== undefined,
  };
}
