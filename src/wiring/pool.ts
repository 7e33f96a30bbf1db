import type { PoolSource } from '../admin/pool-source.ts';
import type { Bindings } from '../affinity/bindings.ts';
import type { BindingsEvents } from '../affinity/bindings-options.ts';
import type { Config, PoolConfig } from '../config/schema.ts';
import type { PoolCoordinator } from '../coordination/pool-coordinator.ts';
import type { AffinityStore } from '../core/ports.ts';
import type { Pool } from '../proxy/pool.ts';
import type { ControlPoolParts } from './control-pool.ts';
import { composeControlPool } from './control-pool.ts';
import { composeBindings, composeDataPool } from './data-pool.ts';

/** A pool with everything that works for it, in one process. */
export interface RunningPool {
  readonly pool: Pool;
  readonly source: PoolSource;
  readonly bindings: Bindings;
  readonly coordinator: PoolCoordinator;
  /** Resolves once the ledger was asked and the first round of probes is under way. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface PoolParts extends Omit<ControlPoolParts, 'bindings' | 'traffic' | 'publisher'> {
  readonly store: AffinityStore;
  readonly bindingsEvents: BindingsEvents;
}

/** Both halves of a pool, each calling the other. */
export function composePool(poolConfig: PoolConfig, config: Config, parts: PoolParts): RunningPool {
  const bindings = composeBindings(config, parts.store, parts.bindingsEvents, () => coordinator.agreed.epoch);
  const { coordinator, source, boundAgents, ...control } = composeControlPool(poolConfig, config, {
    ...parts,
    bindings,
    traffic: {
      load: () => data.load(),
      writeBack: (life) => bindings.writeBack(life),
      wakeParked: () => data.wakeParked(),
    },
    publisher: {
      // The others hear that a view is adopted once nothing waits that it does not let wait. Answers that have arrived
      // are read first.
      publish: () => {
        const { id } = coordinator.agreed;
        setImmediate(() => {
          data.giveUp();
          coordinator.confirm(id);
        });
      },
      // This process acts by the lease that the replica itself holds.
      mayActUntil: () => Number.NEGATIVE_INFINITY,
    },
  });
  const data = composeDataPool(poolConfig, config, {
    bindings,
    guidance: {
      routingState: coordinator.routingState,
      onChange: (listener) => coordinator.onChange(listener),
      boundAgents,
      addresses: (id) => control.addresses().get(id),
    },
  });

  return {
    pool: data.pool,
    bindings,
    coordinator,
    source,
    start: control.start,
    close: async () => {
      await data.close();
      await control.close();
      await bindings.close();
    },
  };
}
