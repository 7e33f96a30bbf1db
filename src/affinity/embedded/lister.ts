import { parseNameKey } from '../../core/identity.ts';
import { hasLoggedOff } from '../../core/log-off.ts';
import type { BindingPage, BindingQuery, ListedAlias, ListedBinding } from '../../core/ports.ts';
import { UnknownCursor } from '../../core/ports.ts';
import { storedKey } from '../../core/stored-name.ts';
import { readOrigin } from '../origin-text.ts';
import type { RootEntry } from '../packing.ts';
import { toBinding, toName } from './claim.ts';
import { nextTurn } from './next-turn.ts';
import type { EmbeddedTables } from './tables.ts';

const LISTED_AT_ONCE = 250;
const DEFAULT_PAGE = 100;
// Starts the cursor of a listing that has passed all roots and continues with the aliases. No key begins with it.
const BEYOND_ROOTS = '>';

/** Reads from the tables in one step. */
type Read = <T>(read: (tables: EmbeddedTables, now: number) => T) => T;

/** Lists the bindings of one pool, a part in each turn of the event loop. */
export class EmbeddedLister {
  readonly #read: Read;
  readonly #idleLifetimeMs: number;

  constructor(read: Read, idleLifetimeMs: number) {
    this.#read = read;
    this.#idleLifetimeMs = idleLifetimeMs;
  }

  async list(query: BindingQuery): Promise<BindingPage> {
    const limit = Math.max(1, query.limit ?? DEFAULT_PAGE);
    const isBeyondRoots = query.aliasesOf !== undefined || query.cursor?.startsWith(BEYOND_ROOTS) === true;
    if (isBeyondRoots) return { bindings: [], ...(await this.#listAliases(limit, query)) };
    const page = await this.#listRoots(limit, query);
    if (query.aliases !== true) return page;
    return { ...page, aliases: [], cursor: page.cursor ?? BEYOND_ROOTS };
  }

  async #listRoots(limit: number, query: BindingQuery): Promise<BindingPage> {
    if (query.cursor !== undefined && parseNameKey(query.cursor) === undefined)
      throw new UnknownCursor(query.cursor);
    const bindings: ListedBinding[] = [];
    const takesAll = query.instance === undefined && query.prefix === undefined && query.idleMs === undefined;
    const atOnce = takesAll ? Math.min(limit, LISTED_AT_ONCE) : LISTED_AT_ONCE;
    let after = query.cursor;
    do {
      if (bindings.length > 0 || after !== query.cursor) await nextTurn();
      const from = after;
      const { now, roots, last } = this.#read((tables, now) => ({
        now,
        ...tables.slice(from, atOnce, now),
      }));
      for (const [field, root] of roots) {
        if (!this.#isWanted(field, root, query, now)) continue;
        bindings.push(this.listed(field, root, now, query.details === true));
        if (bindings.length === limit) return { bindings, cursor: field };
      }
      after = last;
    } while (after !== undefined);
    return { bindings, cursor: undefined };
  }

  /** A line of a listing. */
  listed(field: string, root: RootEntry, now: number, withDetails: boolean): ListedBinding {
    const { end, used, found } = root;
    const origin = root.origin === undefined ? undefined : readOrigin(root.origin);
    const line = { binding: toBinding(field, root), expiresInMs: end - now };
    if (!withDetails) return line;
    return {
      ...line,
      found: found === true,
      ...(origin === undefined ? {} : { origin }),
      ...(used === undefined ? {} : { usedAt: used }),
      ...(hasLoggedOff(end, used, this.#idleLifetimeMs) ? { loggedOff: true } : {}),
    };
  }

  #isWanted(field: string, { instance, end }: RootEntry, query: BindingQuery, now: number): boolean {
    if (query.instance !== undefined && instance !== query.instance) return false;
    const { idleMs = 0 } = query;
    // With 0, all bindings are wanted, also those whose rounded end is further away than a lifetime.
    if (idleMs > 0 && end > now - idleMs + this.#idleLifetimeMs) return false;
    const name = parseNameKey(field);
    // An earlier release stored another kind of name; those entries expire.
    return name?.value.startsWith(query.prefix ?? '') === true;
  }

  async #listAliases(
    limit: number,
    { cursor = BEYOND_ROOTS, aliasesOf }: BindingQuery,
  ): Promise<{ aliases: ListedAlias[]; cursor: string | undefined }> {
    const only = aliasesOf && new Set(aliasesOf.map(storedKey));
    const atOnce = only === undefined ? Math.min(limit, LISTED_AT_ONCE) : LISTED_AT_ONCE;
    const aliases: ListedAlias[] = [];
    let after = cursor === BEYOND_ROOTS ? undefined : cursor.slice(BEYOND_ROOTS.length);
    do {
      const from = after;
      const { pointers, last } = this.#read((tables, now) => tables.slicePointers(from, atOnce, now));
      for (const [field, root] of pointers) {
        if (only?.has(root) === false) continue;
        aliases.push({ name: toName(field), root: toName(root) });
        if (aliases.length === limit) return { aliases, cursor: BEYOND_ROOTS + field };
      }
      after = last;
      if (after !== undefined) await nextTurn();
    } while (after !== undefined);
    return { aliases, cursor: undefined };
  }
}
