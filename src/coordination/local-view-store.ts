import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { explainDiskError } from '../core/disk-error.ts';
import type { ViewStoreClient, ViewStoreListener } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type {
  LoggedEvent,
  PolicyRequest,
  ProposeRequest,
  SyncReply,
  SyncRequest,
  ViewStoreState,
} from '../core/view/view-store.ts';
import { ViewStore } from '../core/view/view-store.ts';

export interface LocalViewStoreOptions {
  /** 0 if the gateway is alone: there is no other lease to wait for. */
  readonly leaseMs: number;
  readonly joinMs: number;
  /** The file in which views and operators' acts survive a restart; without it they are only in memory. */
  readonly file?: string;
  /** Throws while the store of the bindings is away. The view store is then away too: the gateway does without both. */
  readonly requireStore?: () => void;
}

// The store generation never changes, because the data lives exactly as long as this process.
const STORE_GENERATION = 'local';

/** The view store of a gateway that shares its agents with no other gateway. */
export class LocalViewStore implements ViewStoreClient {
  readonly #times: Pick<LocalViewStoreOptions, 'leaseMs' | 'joinMs'>;
  #viewStore: ViewStore;
  readonly #file: string | undefined;
  readonly #requireStore: () => void;
  #saved: ViewStoreState;
  #listener: ViewStoreListener | undefined;

  /** @throws Error if the file exists and cannot be read */
  constructor({ leaseMs, joinMs, file, requireStore = () => {} }: LocalViewStoreOptions) {
    const state = file === undefined ? undefined : load(file);
    this.#file = file;
    this.#requireStore = requireStore;
    this.#times = { leaseMs, joinMs };
    this.#viewStore = new ViewStore({ leaseMs, joinMs, ...(state === undefined ? {} : { state }) });
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
    const { view, policy, events } = this.#viewStore.state;
    const before: ViewStoreState = { view, policy, events: [...events] };
    const taken = this.#viewStore.commitPolicy(request, STORE_GENERATION, Date.now());
    try {
      this.#save();
    } catch (error) {
      // The operator is told that the change failed, so a later save must not apply it. The replica registers again.
      this.#viewStore = new ViewStore({ ...this.#times, state: before });
      throw error;
    }
    if (taken) this.#listener?.onNews(true);
    return taken;
  }

  async leave(replica: string): Promise<void> {
    this.#viewStore.leave(replica);
  }

  async events(limit: number): Promise<readonly LoggedEvent[]> {
    return this.#viewStore.events.slice(-limit).reverse();
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

  /**
   * Writes the state if it differs from the saved one, for example because an earlier write failed.
   *
   * @throws StoreUnavailable
   */
  #save(): void {
    const { state } = this.#viewStore;
    if (isSame(state, this.#saved)) return;
    try {
      if (this.#file !== undefined) write(this.#file, state);
      this.#saved = state;
    } catch (error) {
      // No gateway may act on a view that a restart would lose.
      throw new StoreUnavailable(explainDiskError(`${this.#file}`, error) ?? (error as Error).message, error);
    }
  }
}

function isSame(one: ViewStoreState, other: ViewStoreState): boolean {
  return one.view === other.view && one.policy === other.policy;
}

/** Renames a new file into place, so that a crash leaves the old or the new content. */
function write(file: string, state: ViewStoreState): void {
  const draft = `${file}.new`;
  try {
    writeFileSync(draft, JSON.stringify(state), { mode: 0o600 });
    renameSync(draft, file);
  } catch (error) {
    // On a full disk, a partial draft would take space that the next attempt needs.
    rmSync(draft, { force: true });
    throw error;
  }
}

function load(file: string): ViewStoreState | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const remedy = `${file} is damaged: remove it to start with the configuration's states`;
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch (cause) {
    throw new Error(remedy, { cause });
  }
  if (!isViewStoreState(state)) throw new Error(remedy);
  return state;
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
