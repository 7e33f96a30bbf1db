import type { BindingPage, BindingQuery, ListedAlias, ListedBinding } from '../../core/ports.ts';
import { UnknownCursor } from '../../core/ports.ts';
import { storedKey } from '../../core/stored-name.ts';
import { BUCKETS } from '../packing.ts';
import type { Line } from './listed-lines.ts';
import { toLines } from './listed-lines.ts';

// Redis serves no other client during a script, and this process no request while it reads the answer. With this many
// fields both take well under a millisecond.
const FIELDS_BY_SCRIPT = 500;
const FEWEST_BUCKETS = 8;
// Each script costs this process and Redis some time, even if its buckets are empty.
const MOST_BUCKETS = 128;
const SCRIPTS_AT_ONCE = 32;
const DEFAULT_PAGE = 100;

export interface ListerOptions {
  /** Runs list.lua on these buckets. */
  readonly run: (buckets: readonly number[], args: ListArguments) => Promise<unknown>;
  readonly idleLifetimeMs: number;
}

/** What list.lua takes besides the arguments of all scripts. */
export interface ListArguments {
  readonly instance: string;
  readonly prefix: string;
  readonly aliases: boolean;
  /** JSON, see list.lua. */
  readonly filter: string;
}

/** What list.lua returns. */
type Reply = readonly [now: string, fields: number, ...buckets: string[][]];

/** Lists the bindings of one pool in Redis. */
export class Lister {
  readonly #run: ListerOptions['run'];
  readonly #idleLifetimeMs: number;
  /** How many buckets one script reads: as many as their number of fields allows, by the last reading. */
  #buckets = FEWEST_BUCKETS;

  constructor({ run, idleLifetimeMs }: ListerOptions) {
    this.#run = run;
    this.#idleLifetimeMs = idleLifetimeMs;
  }

  /**
   * Reads the buckets in order, and the fields of each bucket in order, so a binding that lives throughout the listing
   * appears exactly once.
   */
  async list(query: BindingQuery): Promise<BindingPage> {
    const limit = Math.max(1, query.limit ?? DEFAULT_PAGE);
    const bindings: ListedBinding[] = [];
    const aliases: ListedAlias[] = [];
    const listsAliases = query.aliases === true || query.aliasesOf !== undefined;
    const page = (cursor: string | undefined): BindingPage =>
      listsAliases ? { bindings, aliases, cursor } : { bindings, cursor };
    let [bucket, after] = parseCursor(query.cursor);
    let told = 0;
    // Grows while nothing is found, so that a nearly empty store takes few round trips.
    let scripts = 1;
    while (bucket < BUCKETS) {
      const toldBefore = told;
      for (const found of await this.#read(bucket, scripts, query)) {
        for (const [field, line] of found) {
          if (after !== undefined && field <= after) continue;
          if ('binding' in line) bindings.push(line);
          else aliases.push(line);
          told += 1;
          if (told === limit) return page(`${bucket}.${field}`);
        }
        after = undefined;
        bucket += 1;
      }
      scripts = told > toldBefore ? 1 : Math.min(scripts * 2, SCRIPTS_AT_ONCE);
    }
    return page(undefined);
  }

  async #read(first: number, scripts: number, query: BindingQuery): Promise<Line[][]> {
    const args = argumentsOf(query);
    const reads: Promise<unknown>[] = [];
    for (let start = first; reads.length < scripts && start < BUCKETS; start += this.#buckets) {
      const count = Math.min(this.#buckets, BUCKETS - start);
      reads.push(
        this.#run(
          Array.from({ length: count }, (_, i) => start + i),
          args,
        ),
      );
    }
    const replies = (await Promise.all(reads)) as Reply[];
    const lines: Line[][] = [];
    let fields = 0;
    for (const [now, some, ...buckets] of replies) {
      fields += some;
      for (const flat of buckets)
        lines.push(toLines(flat, Number(now), query.details === true, this.#idleLifetimeMs));
    }
    const fitting = Math.floor((FIELDS_BY_SCRIPT * lines.length) / Math.max(fields, 1));
    this.#buckets = Math.min(Math.max(fitting, FEWEST_BUCKETS), MOST_BUCKETS);
    return lines;
  }
}

function argumentsOf({ instance = '', prefix = '', aliases = false, ...query }: BindingQuery): ListArguments {
  const roots = query.aliasesOf?.map(storedKey);
  // With 0, all bindings are wanted, also those whose rounded end is further away than a lifetime.
  const filter = { idle: query.idleMs || undefined, details: query.details, roots };
  return { instance, prefix, aliases, filter: JSON.stringify(filter) };
}

/** `<bucket>.<last listed field>` */
function parseCursor(cursor: string | undefined): [number, string | undefined] {
  if (cursor === undefined) return [0, undefined];
  const dot = cursor.indexOf('.');
  const bucket = Number.parseInt(cursor, 10);
  if (dot < 1 || !(bucket >= 0)) throw new UnknownCursor(cursor);
  return [bucket, cursor.slice(dot + 1)];
}
