import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { explainDiskError } from '../core/disk-error.ts';
import type { ViewStoreClient, ViewStoreListener } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { ActLogLimits } from '../core/view/act-log.ts';
import type { LoggedEvent, PoolEvent } from '../core/view/agreed-view.ts';
import type {
  PolicyRequest,
  ProposeRequest,
  SyncReply,
  SyncRequest,
  ViewStoreState,
  ViewStoreTimes,
} from '../core/view/view-store.ts';
import { ViewStore } from '../core/view/view-store.ts';
import { MOST_LOCAL_ACTS } from '../core/view/view-store-limits.ts';

export interface LocalViewStoreOptions {
  /** 0 if the gateway is alone: there is no other lease to wait for. */
  readonly leaseMs: number;
  readonly joinMs: number;
  /** The file in which views and operators' acts survive a restart; without it they are only in memory. */
  readonly file?: string;
  /** How long operators' acts are kept, in milliseconds. Default: without end. */
  readonly keepActsMs?: number;
  /** Throws while the store of the bindings is away. The view store is then away too: the gateway does without both. */
  readonly requireStore?: () => void;
}

type Agreement = Omit<ViewStoreState, 'acts'>;

// The store generation never changes, because the data lives exactly as long as this process.
const STORE_GENERATION = 'local';

/** The view store of a gateway that shares its agents with no other gateway. */
export class LocalViewStore implements ViewStoreClient {
  readonly #settings: ViewStoreTimes & { readonly actLimits: ActLogLimits };
  #viewStore: ViewStore;
  readonly #file: string | undefined;
  readonly #requireStore: () => void;
  #saved: ViewStoreState;
  #listener: ViewStoreListener | undefined;

  /** @throws Error if the file exists and cannot be read */
  constructor({ leaseMs, joinMs, file, keepActsMs, requireStore = () => {} }: LocalViewStoreOptions) {
    const state = file === undefined ? undefined : load(file);
    this.#file = file;
    this.#requireStore = requireStore;
    const actLimits = { most: MOST_LOCAL_ACTS, keptMs: keepActsMs ?? Number.POSITIVE_INFINITY };
    this.#settings = { leaseMs, joinMs, actLimits };
    this.#viewStore = new ViewStore({ ...this.#settings, ...(state === undefined ? {} : { state }) });
    this.#saved = this.#viewStore.state;
  }

  async sync(request: SyncRequest): Promise<SyncReply> {
    this.#requireStore();
    const reply = this.#viewStore.sync(request, STORE_GENERATION, Date.now());
    this.#save();
    return reply;
  }

  async propose(request: ProposeRequest): Promise<boolean> {
    this.#requireStore();
    const taken = this.#viewStore.propose(request, STORE_GENERATION, Date.now());
    this.#save();
    return taken;
  }

  async commitPolicy(request: PolicyRequest): Promise<boolean> {
    this.#requireStore();
    const taken = this.#orNotAtAll(() => this.#viewStore.commitPolicy(request, STORE_GENERATION, Date.now()));
    if (taken) this.#listener?.onNews(true);
    return taken;
  }

  async record(acts: readonly PoolEvent[]): Promise<void> {
    this.#requireStore();
    this.#orNotAtAll(() => this.#viewStore.record(acts, Date.now()));
  }

  async leave(replica: string): Promise<void> {
    this.#viewStore.leave(replica);
  }

  async events(limit: number): Promise<readonly LoggedEvent[]> {
    return newest(this.#viewStore.events, limit);
  }

  async acts(limit: number, skipped = 0): Promise<readonly LoggedEvent[]> {
    return newest(this.#viewStore.acts, limit, skipped);
  }

  suspect(): void {
    // There is no other replica to tell.
  }

  listen(listener: ViewStoreListener): void {
    this.#listener = listener;
  }

  async close(): Promise<void> {
    this.#listener = undefined;
  }

  /** The operator is told if the change failed, so a later save must not apply it. The replica registers again. */
  #orNotAtAll<Result>(change: () => Result): Result {
    const { state } = this.#viewStore;
    const before: ViewStoreState = { ...state, events: [...state.events] };
    const result = change();
    try {
      this.#save();
    } catch (error) {
      this.#viewStore = new ViewStore({ ...this.#settings, state: before });
      throw error;
    }
    return result;
  }

  /**
   * Writes the state if it differs from the saved one, for example because an earlier write failed.
   *
   * @throws StoreUnavailable
   */
  #save(): void {
    const { state } = this.#viewStore;
    if (isSame(state, this.#saved) && state.acts === this.#saved.acts) return;
    try {
      if (this.#file !== undefined) this.#write(this.#file, state);
      this.#saved = state;
    } catch (error) {
      // No gateway may act on a view that a restart would lose.
      throw new StoreUnavailable(explainDiskError(`${this.#file}`, error) ?? (error as Error).message, error);
    }
  }

  /** Acts are in a file of their own: a view is written in the middle of a failover, and they can be many. */
  #write(file: string, { acts, ...state }: ViewStoreState): void {
    if (acts !== this.#saved.acts) write(actsFile(file), acts);
    if (!isSame(state, this.#saved)) write(file, state);
  }
}

function newest(entries: readonly LoggedEvent[], limit: number, skipped = 0): readonly LoggedEvent[] {
  const end = entries.length - skipped;
  return entries.slice(Math.max(0, end - limit), Math.max(0, end)).reverse();
}

/** Beside the file of the agreement: `agreement-ici.acts.json`. */
function actsFile(file: string): string {
  return file.replace(/(\.json)?$/, '.acts.json');
}

function isSame(one: Agreement, other: Agreement): boolean {
  return one.view === other.view && one.policy === other.policy;
}

/** Renames a new file into place, so that a crash leaves the old or the new content. */
function write(file: string, content: unknown): void {
  const draft = `${file}.new`;
  try {
    writeFileSync(draft, JSON.stringify(content), { mode: 0o600 });
    renameSync(draft, file);
  } catch (error) {
    // On a full disk, a partial draft would take space that the next attempt needs.
    rmSync(draft, { force: true });
    throw error;
  }
}

function load(file: string): ViewStoreState | undefined {
  const state = read(file);
  if (state === undefined) return undefined;
  if (!isViewStoreState(state)) throw new Damaged(file);
  return { ...state, acts: loadActs(actsFile(file)) };
}

/** A damaged log is put aside: it must not keep traffic from starting. */
function loadActs(file: string): readonly LoggedEvent[] {
  try {
    const acts = read(file) ?? [];
    if (Array.isArray(acts)) return acts;
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
  }
  renameSync(file, `${file}.damaged`);
  return [];
}

class Damaged extends Error {
  constructor(file: string, cause?: unknown) {
    super(`${file} is damaged: remove it to start with the configuration's states`, { cause });
  }
}

/** The content of a JSON file; `undefined` if there is no such file. */
function read(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Damaged(file, cause);
  }
}

function isViewStoreState(state: unknown): state is ViewStoreState {
  const { view, policy, events } = (state ?? {}) as Partial<ViewStoreState>;
  return (
    typeof view?.epoch === 'number' &&
    typeof view.instances === 'object' &&
    view.instances !== null &&
    typeof policy?.version === 'number' &&
    Array.isArray(events)
  );
}
