import type { InstanceId } from '../core/instance.ts';
import type { PoolSource } from './pool-source.ts';
import { iso } from './status.ts';

/** Why a drain lasts. */
export interface DrainFacts {
  /** `null` if there are too many agents to look at each. */
  readonly loggedOff: number | null;
  /** When the last binding ends, if no agent sends a request; `null` without bindings, or with too many. */
  readonly lastEnd: string | null;
}

// A second of work for the store, with all the agents of most instances.
const MOST_AGENTS = 10_000;
const AT_ONCE = 1_000;
// A drain is watched second by second, and takes minutes.
const KEPT_MS = 5_000;
const NOT_KNOWN: DrainFacts = { loggedOff: null, lastEnd: null };

interface Kept {
  readonly at: number;
  readonly facts: Promise<DrainFacts>;
}

const kept = new WeakMap<PoolSource, Map<InstanceId, Kept>>();

/**
 * @param bound how many agents are bound to the instance
 * @throws StoreUnavailable
 */
export function drainFacts(pool: PoolSource, instance: InstanceId, bound: number): Promise<DrainFacts> {
  if (bound > MOST_AGENTS) return Promise.resolve(NOT_KNOWN);
  const ofPool = kept.get(pool) ?? new Map<InstanceId, Kept>();
  kept.set(pool, ofPool);
  const known = ofPool.get(instance);
  const now = performance.now();
  if (known !== undefined && now - known.at < KEPT_MS) return known.facts;
  const facts = lookAtAll(pool, instance);
  ofPool.set(instance, { at: now, facts });
  facts.catch(() => ofPool.delete(instance));
  return facts;
}

async function lookAtAll(pool: PoolSource, instance: InstanceId): Promise<DrainFacts> {
  let loggedOff = 0;
  let lastMs: number | undefined;
  let cursor: string | undefined;
  for (let read = 0; read < MOST_AGENTS; read += AT_ONCE) {
    const from = cursor === undefined ? {} : { cursor };
    const page = await pool.bindings.list({ instance, limit: AT_ONCE, details: true, ...from });
    for (const { loggedOff: hasLoggedOff, expiresInMs } of page.bindings) {
      if (hasLoggedOff === true) loggedOff += 1;
      lastMs = Math.max(lastMs ?? 0, expiresInMs);
    }
    cursor = page.cursor;
    if (cursor === undefined)
      return { loggedOff, lastEnd: lastMs === undefined ? null : iso(pool.operations.storeNow + lastMs) };
  }
  return NOT_KNOWN;
}
