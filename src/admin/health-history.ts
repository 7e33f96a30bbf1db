import type { HealthState, InstanceId } from '../core/instance.ts';
import type { PoolOperations } from './pool-source.ts';

interface Turn {
  readonly health: HealthState;
  /** Milliseconds since the Unix epoch; `undefined` if that was before this process started. */
  readonly since: number | undefined;
}

/** Since when each instance of a pool has been up or down. */
export class HealthHistory {
  readonly #operations: PoolOperations;
  readonly #turns = new Map<InstanceId, Turn>();

  constructor(operations: PoolOperations) {
    this.#operations = operations;
    this.#look();
    operations.onChange(() => this.#look());
  }

  /**
   * Reads from the event log what happened before this process started. Never rejects: without the log, the times that
   * it would tell stay unknown.
   */
  async readLog(limit: number): Promise<void> {
    const events = await this.#operations.log.views(limit).catch(() => []);
    for (const [id, { health, since }] of this.#turns) {
      if (since !== undefined) continue;
      const last = events.find(({ kind, instance }) => instance === id && (kind === 'up' || kind === 'down'));
      if (last?.kind === health) this.#turns.set(id, { health, since: last.at });
    }
  }

  /** Milliseconds since the Unix epoch, by the store's clock; `undefined` if it is not known. */
  since(id: InstanceId): number | undefined {
    return this.#turns.get(id)?.since;
  }

  #look(): void {
    const { instances } = this.#operations.routingState.view;
    for (const { id, health } of instances.values()) {
      const known = this.#turns.get(id);
      if (known?.health === health) continue;
      // What this process finds when it starts may have been so for days.
      const isFound = known === undefined && health !== 'unknown';
      this.#turns.set(id, { health, since: isFound ? undefined : this.#operations.storeNow });
    }
    for (const id of this.#turns.keys()) if (!instances.has(id)) this.#turns.delete(id);
  }
}
