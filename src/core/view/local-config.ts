import type { InstanceId } from '../instance.ts';
import type { Difference } from './agreed-config.ts';
import { differencesOf, instancesIn } from './agreed-config.ts';
import type { AgreedView } from './agreed-view.ts';
import type { ConfigParts } from './config-parts.ts';
import type { LocalConfigPart } from './next-config.ts';

/** How a gateway's configuration differs from the agreed one, and what follows from it. */
export interface Drift {
  readonly differences: readonly Difference[];
  /** Instances that take agents, by what is agreed, and that the configuration does not name. */
  readonly missing: readonly InstanceId[];
  /** False: the gateway leaves the pool to the others. */
  readonly serves: boolean;
  /** False: a balancer should prefer the others. */
  readonly ready: boolean;
}

export function driftOf({ config, instances }: AgreedView, configured: ConfigParts): Drift {
  if (config === undefined) return { differences: [], missing: [], serves: true, ready: true };
  const differences = differencesOf(config, configured);
  const own = new Set(instancesIn(configured));
  const missing = instancesIn(config).filter((id) => !own.has(id) && instances[id]?.admin !== 'disabled');
  const serves = differences.every(({ effect }) => effect !== 'refused');
  return { differences, missing, serves, ready: serves && missing.length === 0 };
}

// A lease, and as much again for a gateway that is slow.
const STARTS_FOR_LEASES = 2;

/** The configuration of one replica, and since when it has it. */
export class LocalConfig {
  readonly #read: () => ConfigParts;
  readonly #leaseMs: number;
  #parts: ConfigParts;
  /** What was read last: the same, or another object that says the same. */
  #last: ConfigParts;
  /** Monotonic ms until which it counts as started with this configuration; unknown before the ledger is open. */
  #startsUntil: number | undefined;

  constructor(read: () => ConfigParts, leaseMs: number) {
    this.#read = read;
    this.#leaseMs = leaseMs;
    this.#parts = read();
    this.#last = this.#parts;
  }

  get parts(): ConfigParts {
    return this.#parts;
  }

  /** Returns true where it has become another. */
  renew(): boolean {
    const parts = this.#read();
    if (parts === this.#last) return false;
    this.#last = parts;
    if (JSON.stringify(parts) === JSON.stringify(this.#parts)) return false;
    this.#parts = parts;
    this.#startsUntil = undefined;
    return true;
  }

  /** The ledger has answered a question of then, and was open. */
  heardOpen(mono: number): void {
    // By its end the registration of a gateway that was killed before has ended.
    this.#startsUntil ??= mono + STARTS_FOR_LEASES * this.#leaseMs;
  }

  /** @param mono when the ledger was asked last */
  partAt(mono: number): LocalConfigPart {
    return { own: this.#parts, mayReplace: mono <= (this.#startsUntil ?? Number.POSITIVE_INFINITY) };
  }
}
