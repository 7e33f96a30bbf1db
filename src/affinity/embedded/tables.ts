import type { Database, RootDatabase } from 'lmdb';
import type { Entry, PointerEntry, RootEntry } from '../packing.ts';
import { isRoot } from '../packing.ts';
import { Newcomers } from './newcomers.ts';
import { endOfBytes, fieldOf, keyBytes, packBytes, unpackBytes } from './packing.ts';
import { TextTables } from './texts.ts';

/** What a name leads to. */
export interface Found {
  /** The live entry of the name itself. */
  readonly entry: Entry | undefined;
  /** The field and entry of the live root. */
  readonly field: string | undefined;
  readonly root: RootEntry | undefined;
}

/** What remains of a binding that an operator ended. */
export interface Released {
  /** 0 if there was none. The next binding has a later one, because workers may still have copies of this one. */
  readonly generation: number;
  /** The binding's names had only been found. */
  readonly found: boolean;
}

/** A part of a listing of roots. */
export interface Slice {
  readonly roots: readonly [string, RootEntry][];
  /** The field after which the next part begins; `undefined` after the last part. */
  readonly last: string | undefined;
}

/** A part of a listing of pointers, each with the field of its root. */
export interface PointerSlice {
  readonly pointers: readonly [string, string][];
  readonly last: string | undefined;
}

// The text of a note follows an unused byte and the end, which stands where it does in every entry.
const NOTE_AT = 7;

// The prefix of a field's note on its last released binding. No key of a name begins with it.
const RELEASED = '=';

// The same for generation and time of an agent's log-off. It counts only for a root with that generation and the end of
// the note.
const LOGGED_OFF = '-';

// How long a count of names is good for, and how many ended names are looked for when there are too many.
const COUNTED_FOR_MS = 1_000;
const SWEPT_FOR_ROOM = 250;

// Finding the first one takes longer than reading those that follow.
const CHECKED_TOGETHER = 16;

const NOTHING: Found = { entry: undefined, field: undefined, root: undefined };

/**
 * The tables of one pool, and the writes that keep counts and entries consistent. The caller runs every write inside a
 * transaction.
 */
export class EmbeddedTables {
  /** Separate from the pointers, so that listings of roots need not skip them. A name is in one of the two. */
  readonly #roots: SweptTable;
  readonly #pointers: SweptTable;
  /**
   * The end of each entry that was only found. The mark counts only for an entry with the same end: a release that does
   * not know the mark may have written a later entry.
   */
  readonly #found: SweptTable;
  /**
   * When the agent last used each root, after the end of the root. It counts only for a root with the same end: a
   * release that does not know of it may have written a later one.
   */
  readonly #used: SweptTable;
  /** The notes on sessions and on released bindings, see affinity/redis/claim.lua and release.lua. */
  readonly #notes: SweptTable;
  readonly #counts: Database<string, string>;
  readonly #texts: TextTables;
  readonly newcomers: Newcomers;
  /** The number of names, and when they were counted. */
  #held = { names: 0, at: Number.NEGATIVE_INFINITY };

  constructor(environment: RootDatabase, pool: string) {
    this.#roots = new SweptTable(environment, `${pool}/roots`);
    this.#pointers = new SweptTable(environment, `${pool}/pointers`);
    this.#found = new SweptTable(environment, `${pool}/found`);
    this.#used = new SweptTable(environment, `${pool}/used`);
    this.#notes = new SweptTable(environment, `${pool}/notes`);
    this.#counts = environment.openDB({ name: `${pool}/counts`, encoding: 'string', cache: false });
    this.newcomers = new Newcomers(environment, pool);
    const texts = (name: string): Database<string, number> =>
      environment.openDB({ name: `${pool}/${name}`, encoding: 'string', cache: false });
    this.#texts = new TextTables(texts('placements'), texts('reasons'));
  }

  /** To be called after a failed transaction: numbers that it added may not be stored. */
  forget(): void {
    this.#texts.read();
    this.countAgain();
  }

  /** How many names there are, with some that have ended if there are fewer than `most`. */
  held(most: number, now: number): number {
    if (Math.abs(now - this.#held.at) >= COUNTED_FOR_MS) this.#recount(now);
    if (this.#held.names >= most) {
      this.#roots.sweep(SWEPT_FOR_ROOM, now);
      this.#pointers.sweep(SWEPT_FOR_ROOM, now);
      this.#recount(now);
    }
    return this.#held.names;
  }

  /** Corrects the number of names, which is counted once a second only. */
  grow(by: number): void {
    this.#held.names += by;
  }

  /** Names were added that nothing has counted. */
  countAgain(): void {
    this.#held.at = Number.NEGATIVE_INFINITY;
  }

  /** Up to `most` names that are on probation, the oldest first. Forgets those that are not any more. */
  onProbation(most: number, except: readonly (string | undefined)[], now: number): string[] {
    const found: string[] = [];
    while (found.length < most) {
      const next = this.newcomers
        .oldest(found.length + except.length + most)
        .filter(({ field }) => !found.includes(field) && !except.includes(field));
      if (next.length === 0) break;
      for (const { field, end } of next) {
        // A release that does not know of probation may have renewed it.
        if (this.#read(field, now)?.end !== end) this.newcomers.remove(field);
        else if (found.length < most) found.push(field);
      }
    }
    return found;
  }

  /** Follows a name to its live root; a pointer whose root has ended leads nowhere. */
  resolve(field: string, now: number): Found {
    const entry = this.#read(field, now);
    if (entry === undefined) return NOTHING;
    if (isRoot(entry)) return { entry, field, root: entry };
    const root = this.#read(entry.root, now);
    if (root === undefined || !isRoot(root)) return { entry, field: undefined, root: undefined };
    return { entry, field: entry.root, root };
  }

  /** @param old the live entry of the field */
  writeRoot(field: string, old: Entry | undefined, root: RootEntry, now: number): void {
    const was = old !== undefined && isRoot(old) ? old : undefined;
    const sameCount = was?.instance === root.instance && was.end === root.end;
    const sameBinding = was?.incarnation === root.incarnation && was.generation === root.generation;
    if (was?.used !== root.used || was?.end !== root.end) this.#use(keyBytes(field), root);
    if (sameCount && sameBinding && isFound(was) === isFound(root)) return;
    if (!sameCount) {
      if (was !== undefined) this.#count(was, -1);
      this.#count(root, 1);
    }
    this.#write(field, old, root, now);
  }

  /** @param old the live entry of the field */
  writePointer(field: string, old: Entry | undefined, to: PointerEntry, now: number): void {
    if (old !== undefined) {
      if (isRoot(old)) this.#count(old, -1);
      else if (old.root === to.root && old.end === to.end && isFound(old) === isFound(to)) return;
    }
    this.#write(field, old, to, now);
  }

  /** The note on a session. */
  note(field: string, now: number): string | undefined {
    return this.#notes.live(keyBytes(field), now)?.toString('utf8', NOTE_AT);
  }

  writeNote(field: string, text: string, end: number, now: number): void {
    const bytes = Buffer.alloc(NOTE_AT + text.length);
    bytes.writeUIntBE(end, 1, 6);
    bytes.write(text, NOTE_AT);
    this.#notes.table.putSync(keyBytes(field), bytes);
    this.#notes.grew(now);
  }

  released(field: string, now: number): Released {
    const text = this.note(RELEASED + field, now) ?? '0';
    return { generation: Number(text), found: /^0\d/.test(text) };
  }

  /** Ends the binding of a root. */
  release(field: string, root: RootEntry, end: number, now: number): void {
    this.remove(field, root);
    this.newcomers.remove(field);
    this.grow(-1);
    this.writeNote(RELEASED + field, `${isFound(root) ? '0' : ''}${root.generation}`, end, now);
  }

  /** Lets a root end at `end`, because its agent has logged off `at` that time. Its generation is known until `noted`. */
  logOff(
    field: string,
    root: RootEntry,
    { at, end, noted }: { readonly at: number; readonly end: number; readonly noted: number },
    now: number,
  ): RootEntry {
    const after = { ...root, generation: root.generation + 1, end: Math.min(end, root.end), used: now };
    this.writeRoot(field, root, after, now);
    this.newcomers.remove(field);
    this.writeNote(LOGGED_OFF + field, `${after.generation}|${Math.round(at)}|${now}`, after.end, now);
    this.writeNote(RELEASED + field, `${isFound(root) ? '0' : ''}${after.generation}`, noted, now);
    return after;
  }

  /** When the agent of this live root has logged off; `undefined` if not, or if a request has come since. */
  loggedOffAt(field: string, root: RootEntry, now: number): number | undefined {
    return this.logOffOf(field, root, now)?.at;
  }

  /** The same, and since when the store knows that. */
  logOffOf(
    field: string,
    { generation, end }: RootEntry,
    now: number,
  ): { readonly at: number; readonly since: number } | undefined {
    const note = this.#notes.live(keyBytes(LOGGED_OFF + field), now);
    if (note === undefined || endOfBytes(note) !== end) return undefined;
    const [of, at, since] = note.toString('utf8', NOTE_AT).split('|').map(Number);
    return of === generation && at !== undefined && since !== undefined ? { at, since } : undefined;
  }

  /** Removes a live root. The note on the name stays. */
  removeRoot(field: string, root: RootEntry): void {
    this.#count(root, -1);
    this.#roots.table.removeSync(keyBytes(field));
  }

  remove(field: string, old: Entry | undefined): void {
    if (old !== undefined && isRoot(old)) this.#count(old, -1);
    const key = keyBytes(field);
    this.#roots.table.removeSync(key);
    this.#pointers.table.removeSync(key);
    this.#notes.table.removeSync(key);
  }

  #recount(now: number): void {
    this.#held = { names: this.#roots.size + this.#pointers.size, at: now };
  }

  counts(now: number): Map<string, number> {
    const totals = new Map<string, number>();
    const ended: string[] = [];
    for (const { key, value } of this.#counts.getRange({})) {
      const [instance, end] = key.split('|') as [string, string];
      if (Number(end) > now) totals.set(instance, (totals.get(instance) ?? 0) + Number(value));
      else ended.push(key);
    }
    for (const key of ended) this.#counts.removeSync(key);
    return totals;
  }

  /** Up to `limit` live roots that follow `after`, in the order of their keys. */
  slice(after: string | undefined, limit: number, now: number): Slice {
    const { entries, last } = this.#roots.slice(after, limit);
    const roots: [string, RootEntry][] = [];
    for (const [field, bytes] of entries) {
      const entry = this.#marked(keyBytes(field), unpackBytes(bytes, this.#texts));
      if (isRoot(entry) && entry.end > now) roots.push([field, entry]);
    }
    return { roots, last };
  }

  /** Up to `limit` live pointers that follow `after`, in the order of their keys. */
  slicePointers(after: string | undefined, limit: number, now: number): PointerSlice {
    const { entries, last } = this.#pointers.slice(after, limit);
    const pointers: [string, string][] = [];
    for (const [field, bytes] of entries) {
      const entry = unpackBytes(bytes, this.#texts);
      if (!isRoot(entry) && entry.end > now) pointers.push([field, entry.root]);
    }
    return { pointers, last };
  }

  /** Removes ended entries among the next `limit` of each table, and starts over at the end. `counts` cleans itself. */
  sweep(limit: number, now: number): void {
    this.#roots.sweep(limit, now);
    this.#pointers.sweep(limit, now);
    this.#found.sweep(limit, now);
    this.#used.sweep(limit, now);
    this.#notes.sweep(limit, now);
  }

  #read(field: string, now: number): Entry | undefined {
    const key = keyBytes(field);
    const bytes = this.#roots.live(key, now) ?? this.#pointers.live(key, now);
    if (bytes === undefined) return undefined;
    return this.#marked(key, unpackBytes(bytes, this.#texts));
  }

  #marked(key: Buffer, entry: Entry): Entry {
    const mark = this.#found.table.get(key);
    const marked = mark !== undefined && endOfBytes(mark) === entry.end ? { ...entry, found: true } : entry;
    const used = isRoot(marked) ? this.#used.table.get(key) : undefined;
    return used !== undefined && endOfBytes(used) === entry.end
      ? { ...marked, used: used.readUIntBE(NOTE_AT, 6) }
      : marked;
  }

  #use(key: Buffer, { end, used }: RootEntry): void {
    if (used === undefined) {
      this.#used.table.removeSync(key);
      return;
    }
    const bytes = Buffer.alloc(NOTE_AT + 6);
    bytes.writeUIntBE(end, 1, 6);
    bytes.writeUIntBE(used, NOTE_AT, 6);
    this.#used.table.putSync(key, bytes);
  }

  #write(field: string, old: Entry | undefined, entry: Entry, now: number): void {
    const key = keyBytes(field);
    const [table, other] = isRoot(entry) ? [this.#roots, this.#pointers] : [this.#pointers, this.#roots];
    const bytes = packBytes(entry, this.#texts);
    table.table.putSync(key, bytes);
    if (isFound(entry)) this.#found.table.putSync(key, bytes.subarray(0, NOTE_AT));
    else if (this.#found.table.get(key) !== undefined) this.#found.table.removeSync(key);
    if (old !== undefined && isRoot(old) === isRoot(entry)) return;
    // Even an ended entry goes: the name must not be found in both tables.
    other.table.removeSync(key);
    table.grew(now);
  }

  #count({ instance, end }: RootEntry, by: number): void {
    const key = `${instance}|${end}`;
    const total = Number(this.#counts.get(key) ?? 0) + by;
    if (total > 0) this.#counts.putSync(key, String(total));
    else this.#counts.removeSync(key);
  }
}

function isFound(entry: Entry | undefined): boolean {
  return entry?.found === true;
}

/** A table of names and entries as bytes, with the position of its sweep. */
class SweptTable {
  readonly table: Database<Buffer, Buffer>;
  #sweptTo: Buffer | undefined;
  #unchecked = 0;

  constructor(environment: RootDatabase, name: string) {
    this.table = environment.openDB({ name, encoding: 'binary', keyEncoding: 'binary', cache: false });
  }

  /** Ended entries count too until they are swept. */
  get size(): number {
    return (this.table.getStats() as { readonly entryCount: number }).entryCount;
  }

  live(key: Buffer, now: number): Buffer | undefined {
    const bytes = this.table.get(key);
    return bytes !== undefined && endOfBytes(bytes) > now ? bytes : undefined;
  }

  /** The entries that follow `after`, live or not, and where the next slice begins. */
  slice(after: string | undefined, limit: number): { entries: [string, Buffer][]; last: string | undefined } {
    const start = after === undefined ? {} : { start: keyBytes(after), exclusiveStart: true };
    const entries: [string, Buffer][] = [];
    for (const { key, value } of this.table.getRange({ ...start, limit }))
      entries.push([fieldOf(key), value]);
    return { entries, last: entries.length === limit ? entries.at(-1)?.[0] : undefined };
  }

  /** There is one entry more, so two others are checked: ended entries never outnumber live ones by much. */
  grew(now: number): void {
    this.#unchecked += 2;
    if (this.#unchecked < CHECKED_TOGETHER) return;
    this.#unchecked = 0;
    this.sweep(CHECKED_TOGETHER, now);
  }

  sweep(limit: number, now: number): void {
    const start = this.#sweptTo === undefined ? {} : { start: this.#sweptTo, exclusiveStart: true };
    const ended: Buffer[] = [];
    let seen = 0;
    let last: Buffer | undefined;
    for (const { key, value } of this.table.getRange({ ...start, limit })) {
      seen += 1;
      last = key;
      if (endOfBytes(value) <= now) ended.push(key);
    }
    for (const key of ended) this.table.removeSync(key);
    this.#sweptTo = seen === limit ? last : undefined;
  }
}
