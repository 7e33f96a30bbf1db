import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AffinityStore, KnownBinding } from '../../core/ports.ts';
import type { OfferedBindings } from '../../core/snapshot/contents.ts';
import { SnapshotContents } from '../../core/snapshot/contents.ts';
import { readLine } from '../../core/snapshot/records.ts';

/** What became of the bindings of a file. */
export interface Recalled {
  /** When the file was last written. */
  readonly writtenAt: Date;
  /** So many are in the store as the file has them. */
  readonly restored: number;
  /** See {@link OfferedBindings.ended}. */
  readonly ended: number;
  /** Another gateway knew better, or an operator or a log-off has ended them. */
  readonly outdated: number;
  /** There was no time for them. */
  readonly left: number;
}

export interface RecallOptions {
  readonly path: string;
  readonly pool: string;
  readonly keyPrefix: string;
  readonly store: AffinityStore;
  /** The name of this gateway. */
  readonly gateway: string;
  readonly idleLifetimeMs: number;
  /** Others must not wait for longer. */
  readonly limitMs: number;
}

const OFFERED_AT_ONCE = 256;

/** The file cannot be used. */
export class UnusableSnapshot extends Error {
  override readonly name = 'UnusableSnapshot';
}

/**
 * Offers the bindings of a file to a store that has lost some. Returns `undefined` if there is no file.
 *
 * @throws UnusableSnapshot | StoreUnavailable
 */
export async function recallBindings(options: RecallOptions): Promise<Recalled | undefined> {
  const { store, gateway, idleLifetimeMs, limitMs } = options;
  const begunAt = performance.now();
  const read = await readBindings(options, Date.now(), idleLifetimeMs);
  if (read === undefined) return undefined;
  const { size, entries, ended, writtenAt } = read;
  let restored = 0;
  let offered = 0;
  let some: KnownBinding[] = [];
  const offer = async (): Promise<void> => {
    const held = await store.restore(some);
    for (const [i, { binding }] of some.entries()) {
      const now = held[i];
      if (now?.instance === binding.instance && now.incarnation === binding.incarnation) restored += 1;
    }
    offered += some.length;
    some = [];
  };
  for (const entry of entries) {
    some.push({ ...entry, gateway });
    if (some.length < OFFERED_AT_ONCE) continue;
    await offer();
    if (performance.now() - begunAt >= limitMs) break;
  }
  if (some.length > 0) await offer();
  return { writtenAt, restored, ended, outdated: offered - restored, left: size - offered };
}

async function readBindings(
  { path, pool, keyPrefix }: RecallOptions,
  now: number,
  idleLifetimeMs: number,
): Promise<(OfferedBindings & { readonly writtenAt: Date }) | undefined> {
  const reader = new Reader(pool, keyPrefix);
  try {
    const { mtime: writtenAt } = await stat(path);
    let rest = '';
    for await (const chunk of createReadStream(path, 'utf8')) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) reader.take(line);
    }
    if (rest !== '') reader.take(rest);
    return { ...reader.contents.offered(now, idleLifetimeMs), writtenAt };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof UnusableSnapshot) throw error;
    throw new UnusableSnapshot((error as Error).message, { cause: error });
  }
}

/** The last line may be cut: the gateway or its host was killed. Any other damage makes the file unusable. */
class Reader {
  readonly #contents = new SnapshotContents();
  readonly #pool: string;
  readonly #keyPrefix: string;
  #lines = 0;
  #damaged = 0;

  constructor(pool: string, keyPrefix: string) {
    this.#pool = pool;
    this.#keyPrefix = keyPrefix;
  }

  get contents(): SnapshotContents {
    if (this.#lines === 0) throw new UnusableSnapshot('it is empty');
    return this.#contents;
  }

  take(text: string): void {
    this.#lines += 1;
    if (this.#damaged > 0) throw new UnusableSnapshot(`line ${this.#damaged} is damaged`);
    const record = readLine(text);
    if (this.#lines === 1) this.#begin(record);
    else if (record === undefined || record.kind === 'header') this.#damaged = this.#lines;
    else this.#contents.take(record);
  }

  #begin(record: ReturnType<typeof readLine>): void {
    if (record?.kind !== 'header') throw new UnusableSnapshot('it is no snapshot that this release can read');
    if (record.pool !== this.#pool || record.keyPrefix !== this.#keyPrefix)
      throw new UnusableSnapshot(`it is of pool ${record.pool} with the key prefix ${record.keyPrefix}`);
  }
}
