import { rm } from 'node:fs/promises';
import type { Binding } from '../../core/binding.ts';
import type { Name } from '../../core/identity.ts';
import type { AffinityStore, BindingPage, HeardLogOff } from '../../core/ports.ts';
import { StoreUnavailable } from '../../core/ports.ts';
import type { SnapshotRecord } from '../../core/snapshot/records.ts';
import { keyOf } from '../../core/snapshot/records.ts';
import { pause, Slices } from '../pauses.ts';
import { RecentInvalidations } from '../recent-invalidations.ts';
import { BindingFile } from './binding-file.ts';

export interface SnapshotRecorderOptions {
  readonly store: AffinityStore;
  readonly path: string;
  readonly pool: string;
  readonly keyPrefix: string;
  readonly idleLifetimeMs: number;
  /**
   * The store generation, if the store has all that the gateways know: the agreement is open, and this gateway has
   * written back. Otherwise `undefined`, and the file before stays.
   */
  readonly openGeneration: () => string | undefined;
  /** Resolves when the view store was asked again. */
  readonly renew: () => Promise<void>;
  /** A whole file is in place. */
  readonly onWritten: (bytes: number) => void;
  /** The file cannot be written, and was removed. Called once until it can be written again. */
  readonly onFailed: (error: Error) => void;
}

const PAGE = 500;
// As in CacheWarmer: a listing takes at most a third of a core's time, here and at the store.
const PAUSES_PER_PAGE = 2;
const SHORTEST_PAUSE_MS = 2;
// Renewals bring no message, so ends are read again that often.
const LISTINGS_PER_LIFETIME = 8;
const SHORTEST_INTERVAL_MS = 10_000;
// Lines that came since the last whole file, before a new one is written.
const MOST_GROWTH = 2;
const LEAST_GROWTH_BYTES = 1_048_576;
const AFTER_FAILURE_MS = 60_000;
// An agent who sends a request after a log-off keeps the binding, and no message tells of it.
const ASKED_AGAIN_MS = 5_000;
const ASKED_AT_ONCE = 50;

/**
 * Writes the bindings of a pool that are in the store to a file: all of them now and then, and each change within a
 * second. What changes comes from the store's messages, so a request of a known agent costs nothing here, and no
 * binding is kept in memory.
 */
export class SnapshotRecorder {
  readonly #options: SnapshotRecorderOptions;
  readonly #invalidations = new RecentInvalidations();
  readonly #closing = new AbortController();
  #file: BindingFile | undefined;
  /** The next file, while all bindings are read for it. It gets the messages too. */
  #draft: BindingFile | undefined;
  #wholeBytes = 0;
  #isDue = true;
  #notBefore = 0;
  #listedAt = Number.NEGATIVE_INFINITY;
  #listing: Promise<void> | undefined;
  #hasFailed = false;
  /** Roots whose agents have logged off, with when to ask again, and until when. */
  readonly #loggedOff = new Map<string, { readonly root: Name; at: number; readonly until: number }>();
  #asking: Promise<void> | undefined;

  constructor(options: SnapshotRecorderOptions) {
    this.#options = options;
    options.store.listen({
      onBound: (binding, aliases) => this.#bound(binding, aliases, options.idleLifetimeMs),
      onMoved: (names) => {
        this.#invalidations.add(names, performance.now());
        this.#add({ kind: 'moved', names });
      },
      onLoggedOff: (root, logOff) => this.#leave(root, logOff),
      onGap: () => {
        this.#isDue = true;
      },
    });
  }

  /** An agent was placed or moved here while the store was away. */
  decidedAlone(binding: Binding, aliases: readonly Name[]): void {
    this.#bound(binding, aliases, this.#options.idleLifetimeMs);
  }

  /** To be called about once a second. */
  tick(): void {
    if (this.#closing.signal.aborted) return;
    this.#file?.flush().catch((error: unknown) => this.#fail(error));
    if (this.#loggedOff.size > 0) {
      this.#asking ??= this.#askAgain().finally(() => {
        this.#asking = undefined;
      });
    }
    const now = performance.now();
    if (this.#listing !== undefined || now < this.#notBefore || !this.#isNeeded(now)) return;
    const generation = this.#options.openGeneration();
    if (generation === undefined) return;
    this.#listing = this.#write(generation).finally(() => {
      this.#listing = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#listing, this.#asking]);
    await this.#file?.close().catch((error: unknown) => this.#fail(error));
  }

  #isNeeded(now: number): boolean {
    if (this.#isDue || this.#file === undefined) return true;
    const interval = Math.max(
      this.#options.idleLifetimeMs / LISTINGS_PER_LIFETIME,
      Math.min(SHORTEST_INTERVAL_MS, this.#options.idleLifetimeMs / 2),
    );
    const grown = this.#file.bytes - this.#wholeBytes;
    return (
      now - this.#listedAt >= interval || grown > Math.max(LEAST_GROWTH_BYTES, this.#wholeBytes * MOST_GROWTH)
    );
  }

  /** Never rejects. */
  async #write(generation: string): Promise<void> {
    const { path, openGeneration, renew, onWritten } = this.#options;
    this.#isDue = false;
    const draft = await BindingFile.begin(path, this.#options).catch((error: unknown) => this.#fail(error));
    if (draft === undefined) return;
    this.#draft = draft;
    try {
      const isWhole = await this.#list(draft);
      await renew();
      // A store that was emptied meanwhile must not empty the file.
      if (!isWhole || openGeneration() !== generation) {
        this.#isDue = true;
        await draft.discard();
        return;
      }
      await draft.commit();
      const before = this.#file;
      this.#file = draft;
      this.#wholeBytes = draft.bytes;
      this.#listedAt = performance.now();
      this.#hasFailed = false;
      onWritten(draft.bytes);
      await before?.close().catch(() => undefined);
    } catch (error) {
      this.#isDue = true;
      await draft.discard();
      if (!(error instanceof StoreUnavailable)) await this.#fail(error);
    } finally {
      this.#draft = undefined;
    }
  }

  /** Returns false if this process ends before all were read. */
  async #list(draft: BindingFile): Promise<boolean> {
    let cursor: string | undefined;
    do {
      const askedAt = performance.now();
      const page = await this.#options.store.list({
        aliases: true,
        limit: PAGE,
        ...(cursor === undefined ? {} : { cursor }),
      });
      await this.#take(page, draft, askedAt);
      await draft.flush();
      cursor = page.cursor;
      const ms = (performance.now() - askedAt) * PAUSES_PER_PAGE;
      if (cursor !== undefined) await pause(Math.max(ms, SHORTEST_PAUSE_MS), this.#closing.signal);
    } while (cursor !== undefined && !this.#closing.signal.aborted);
    return cursor === undefined;
  }

  async #take({ bindings, aliases = [] }: BindingPage, draft: BindingFile, askedAt: number): Promise<void> {
    const slices = new Slices();
    const knownAt = Date.now() - (performance.now() - askedAt);
    for (const { binding, expiresInMs } of bindings) {
      if (slices.isOver) await slices.next();
      if (this.#invalidations.isOutdated([binding.root], askedAt)) continue;
      draft.add({ kind: 'bound', binding, aliases: [], knownAt, endsAt: knownAt + expiresInMs });
    }
    for (const { name, root } of aliases) {
      if (slices.isOver) await slices.next();
      if (!this.#invalidations.isOutdated([name, root], askedAt)) draft.add({ kind: 'alias', name, root });
    }
  }

  #bound(binding: Binding, aliases: readonly Name[], lastsMs: number): void {
    const knownAt = Date.now();
    this.#loggedOff.delete(keyOf(binding.root));
    this.#add({ kind: 'bound', binding, aliases, knownAt, endsAt: knownAt + lastsMs });
  }

  #leave(root: Name, { endsInMs }: HeardLogOff): void {
    this.#invalidations.add([root], performance.now());
    this.#add({ kind: 'logged-off', root });
    const now = performance.now();
    this.#loggedOff.set(keyOf(root), {
      root,
      at: now + Math.min(ASKED_AGAIN_MS, endsInMs),
      until: now + endsInMs,
    });
  }

  /** Finds out which of the agents who have logged off are there all the same. */
  async #askAgain(): Promise<void> {
    const now = performance.now();
    const due = [...this.#loggedOff].filter(([, { at }]) => at <= now).slice(0, ASKED_AT_ONCE);
    for (const [key, entry] of due) {
      try {
        const found = await this.#options.store.find([entry.root]);
        if (this.#loggedOff.get(key) !== entry) continue;
        if (found !== undefined && found.loggedOff === undefined)
          this.#bound(found.binding, [], found.expiresInMs);
        else if (found === undefined || now >= entry.until) this.#loggedOff.delete(key);
        else entry.at = now + ASKED_AGAIN_MS;
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        return;
      }
    }
  }

  #add(record: SnapshotRecord): void {
    this.#file?.add(record);
    this.#draft?.add(record);
  }

  /** A file that misses changes is worse than none. */
  async #fail(error: unknown): Promise<undefined> {
    const { path, onFailed } = this.#options;
    const file = this.#file;
    this.#file = undefined;
    this.#notBefore = performance.now() + AFTER_FAILURE_MS;
    await file?.discard();
    await rm(path, { force: true }).catch(() => undefined);
    if (!this.#hasFailed) onFailed(error as Error);
    this.#hasFailed = true;
  }
}
