import { StoreUnavailable } from '../core/ports.ts';
import type { Replica } from '../core/view/replica.ts';
import type { PoolCoordinatorOptions } from './coordinator-options.ts';

/** Has bindings written back once for each store generation, because the store may have lost them. */
export class Restorer {
  readonly #replica: Replica;
  readonly #options: Pick<PoolCoordinatorOptions, 'writeBack' | 'events'>;
  readonly #onDone: () => void;
  #isBusy = false;

  constructor(
    replica: Replica,
    options: Pick<PoolCoordinatorOptions, 'writeBack' | 'events'>,
    onDone: () => void,
  ) {
    this.#replica = replica;
    this.#options = options;
    this.#onDone = onDone;
  }

  /** All that this gateway knows has been written back to the present store generation. */
  get isDone(): boolean {
    return this.#replica.isRestored;
  }

  /** To be called after each answer of the view store. */
  look(): void {
    const { storeGeneration } = this.#replica.lastSync;
    if (storeGeneration !== '' && !this.#replica.isRestored) void this.#restore(storeGeneration);
  }

  /** Never rejects. */
  async #restore(storeGeneration: string): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.#options.writeBack(storeGeneration);
      this.#replica.restored(storeGeneration);
    } catch (error) {
      // The next sync tries again.
      if (!(error instanceof StoreUnavailable)) this.#options.events.onNotRestored(error);
      return;
    } finally {
      this.#isBusy = false;
    }
    this.#onDone();
  }
}
