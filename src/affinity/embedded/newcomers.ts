import type { Database, RootDatabase } from 'lmdb';
import { fieldOf, keyBytes } from './packing.ts';

// Six bytes hold more numbers than a gateway gives in its life.
const NUMBER_BYTES = 6;

/** A name on probation, and the end of its entry when it was new. */
export interface Newcomer {
  readonly field: string;
  readonly end: number;
}

/** The names on probation of one pool, in the order in which they came: see affinity/redis/claim.lua. */
export class Newcomers {
  /** The key of a name -> its number, and the end of its entry. */
  readonly #byName: Database<Buffer, Buffer>;
  /** A number that grows with each name -> the key of the name. */
  readonly #byNumber: Database<Buffer, Buffer>;
  #last: number;

  constructor(environment: RootDatabase, pool: string) {
    const open = (name: string): Database<Buffer, Buffer> =>
      environment.openDB({
        name: `${pool}/${name}`,
        encoding: 'binary',
        keyEncoding: 'binary',
        cache: false,
      });
    this.#byName = open('newcomers');
    this.#byNumber = open('probation');
    const [last] = this.#byNumber.getKeys({ reverse: true, limit: 1 });
    this.#last = last === undefined ? 0 : last.readUIntBE(0, NUMBER_BYTES);
  }

  add(field: string, end: number): void {
    this.remove(field);
    this.#last += 1;
    const entry = Buffer.allocUnsafe(2 * NUMBER_BYTES);
    entry.writeUIntBE(this.#last, 0, NUMBER_BYTES);
    entry.writeUIntBE(end, NUMBER_BYTES, NUMBER_BYTES);
    const key = keyBytes(field);
    this.#byName.putSync(key, entry);
    this.#byNumber.putSync(entry.subarray(0, NUMBER_BYTES), key);
  }

  /** The name has a second request, or is gone. */
  remove(field: string): void {
    const key = keyBytes(field);
    const entry = this.#byName.get(key);
    if (entry === undefined) return;
    this.#byNumber.removeSync(entry.subarray(0, NUMBER_BYTES));
    this.#byName.removeSync(key);
  }

  /** Up to `limit` of them, the oldest first. */
  oldest(limit: number): Newcomer[] {
    const found: Newcomer[] = [];
    for (const { value: key } of this.#byNumber.getRange({ limit })) {
      const entry = this.#byName.get(key);
      found.push({ field: fieldOf(key), end: entry?.readUIntBE(NUMBER_BYTES, NUMBER_BYTES) ?? 0 });
    }
    return found;
  }
}
