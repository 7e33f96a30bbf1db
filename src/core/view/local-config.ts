import type { InstanceId } from '../instance.ts';
import type { Difference } from './agreed-config.ts';
import { differencesOf, instancesIn } from './agreed-config.ts';
import type { AgreedView } from './agreed-view.ts';
import type { ConfigParts } from './config-parts.ts';
import type { LocalConfigPart } from './next-config.ts';

/** How a gateway's configuration differs from the agreed one, and the consequences. */
export interface Drift {
  readonly differences: readonly Difference[];
  /** Instances that take agents by agreement but are missing from this configuration. */
  readonly missing: readonly InstanceId[];
  /** False: the gateway does not serve the pool. */
  readonly serves: boolean;
  /** False: a load balancer should prefer other gateways. */
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

// One lease, and another one for a slow gateway.
const STARTS_FOR_LEASES = 2;

/** One replica's configuration, and since when it has been in use. */
export class LocalConfig {
  readonly #read: () => ConfigParts;
  readonly #leaseMs: number;
  #parts: ConfigParts;
  /** The object read last. It may be another object with the same content. */
  #last: ConfigParts;
  /**
   * Until then the gateway counts as started with this configuration, in monotonic ms; unknown until the view store
   * is open.
   */
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

  /** Returns true if the configuration has changed. */
  renew(): boolean {
    const parts = this.#read();
    if (parts === this.#last) return false;
    this.#last = parts;
    if (JSON.stringify(parts) === JSON.stringify(this.#parts)) return false;
    this.#parts = parts;
    this.#startsUntil = undefined;
    return true;
  }

  /** The view store answered a request sent at that time, and was open. */
  noteOpen(mono: number): void {
    // By the end of this time the registration of a gateway killed before has expired.
    this.#startsUntil ??= mono + STARTS_FOR_LEASES * this.#leaseMs;
  }

  /** @param mono when the view store was last asked */
  partAt(mono: number): LocalConfigPart {
    return { own: this.#parts, mayReplace: mono <= (this.#startsUntil ?? Number.POSITIVE_INFINITY) };
  }
}
