import type { Database, RootDatabase } from 'lmdb';
import type { Entry, PointerEntry, RootEntry } from '../packing.ts';
import { isRoot } from '../packing.ts';
import type { PlacementNumbers } from './packing.ts';
import { endOfBytes, fieldOf, keyBytes, packBytes, unpackBytes } from './packing.ts';

/** What a name leads to. */
export interface Found {
  /** The live entry of the name itself. */
  readonly entry: Entry | undefined;
  /** The field and entry of the live root. */
  readonly field: string | undefined;
  readonly root: RootEntry | undefined;
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
  /** The notes on sessions, see affinity/redis/claim.lua. */
  readonly #notes: SweptTable;
  readonly #counts: Database<string, string>;
  readonly #placements: PlacementTable;

  constructor(environment: RootDatabase, pool: string) {
    this.#roots = new SweptTable(environment, `${pool}/roots`);
    this.#pointers = new SweptTable(environment, `${pool}/pointers`);
    this.#found = new SweptTable(environment, `${pool}/found`);
    this.#notes = new SweptTable(environment, `${pool}/notes`);
    this.#counts = environment.openDB({ name: `${pool}/counts`, encoding: 'string', cache: false });
    this.#placements = new PlacementTable(
      environment.openDB({ name: `${pool}/placements`, encoding: 'string', cache: false }),
    );
  }

  /** To be called after a failed transaction: placement numbers that it added may not be stored. */
  forget(): void {
    this.#placements.read();
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
    this.#notes.sweep(2, now);
  }

  remove(field: string, old: Entry | undefined): void {
    if (old !== undefined && isRoot(old)) this.#count(old, -1);
    const key = keyBytes(field);
    this.#roots.table.removeSync(key);
    this.#pointers.table.removeSync(key);
    this.#notes.table.removeSync(key);
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
      const entry = unpackBytes(bytes, this.#placements);
      if (isRoot(entry) && entry.end > now) roots.push([field, entry]);
    }
    return { roots, last };
  }

  /** Up to `limit` live pointers that follow `after`, in the order of their keys. */
  slicePointers(after: string | undefined, limit: number, now: number): PointerSlice {
    const { entries, last } = this.#pointers.slice(after, limit);
    const pointers: [string, string][] = [];
    for (const [field, bytes] of entries) {
      const entry = unpackBytes(bytes, this.#placements);
      if (!isRoot(entry) && entry.end > now) pointers.push([field, entry.root]);
    }
    return { pointers, last };
  }

  /** Removes ended entries among the next `limit` of each table, and starts over at the end. `counts` cleans itself. */
  sweep(limit: number, now: number): void {
    this.#roots.sweep(limit, now);
    this.#pointers.sweep(limit, now);
    this.#found.sweep(limit, now);
    this.#notes.sweep(limit, now);
  }

  #read(field: string, now: number): Entry | undefined {
    const key = keyBytes(field);
    const bytes = this.#roots.live(key, now) ?? this.#pointers.live(key, now);
    if (bytes === undefined) return undefined;
    const entry = unpackBytes(bytes, this.#placements);
    const mark = this.#found.table.get(key);
    return mark !== undefined && endOfBytes(mark) === entry.end ? { ...entry, found: true } : entry;
  }

  #write(field: string, old: Entry | undefined, entry: Entry, now: number): void {
    const key = keyBytes(field);
    const [table, other] = isRoot(entry) ? [this.#roots, this.#pointers] : [this.#pointers, this.#roots];
    const bytes = packBytes(entry, this.#placements);
    table.table.putSync(key, bytes);
    if (isFound(entry)) this.#found.table.putSync(key, bytes.subarray(0, NOTE_AT));
    else if (this.#found.table.get(key) !== undefined) this.#found.table.removeSync(key);
    if (old !== undefined && isRoot(old) === isRoot(entry)) return;
    // Even an ended entry goes: the name must not be found in both tables.
    other.table.removeSync(key);
    // The table grew by one entry, so check two others: ended entries never outnumber live ones.
    table.sweep(2, now);
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

  constructor(environment: RootDatabase, name: string) {
    this.table = environment.openDB({ name, encoding: 'binary', keyEncoding: 'binary', cache: false });
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

/** Grows by one entry for each incarnation of an instance. */
class PlacementTable implements PlacementNumbers {
  readonly #table: Database<string, number>;
  readonly #numbers = new Map<string, number>();
  readonly #placements: { instance: string; incarnation: string }[] = [];

  constructor(table: Database<string, number>) {
    this.#table = table;
    this.read();
  }

  read(): void {
    this.#numbers.clear();
    this.#placements.length = 0;
    for (const { key, value } of this.#table.getRange({})) this.#learn(key, value);
  }

  numberOf(instance: string, incarnation: string): number {
    const text = `${instance}|${incarnation}`;
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#placements.length;
    this.#table.putSync(number, text);
    this.#learn(number, text);
    return number;
  }

  placementOf(number: number): { instance: string; incarnation: string } {
    const placement = this.#placements[number];
    if (placement === undefined)
      throw new Error(`the embedded store refers to placement ${number}, which it does not have`);
    return placement;
  }

  #learn(number: number, text: string): void {
    const bar = text.indexOf('|');
    this.#numbers.set(text, number);
    this.#placements[number] = { instance: text.slice(0, bar), incarnation: text.slice(bar + 1) };
  }
}
