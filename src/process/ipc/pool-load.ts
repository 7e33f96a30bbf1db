import type { InstanceId } from '../../core/instance.ts';
import type { ClaimTrouble } from '../../core/view/claim-watch.ts';

export interface InstanceLoad {
  /** Requests at the instance, the ones being connected included. */
  readonly inFlight: number;
  /** Requests in the queue of the instance. */
  readonly queued: number;
  /** How long requests have been waiting without any sign of life from the instance, in ms; 0 if none are waiting. */
  readonly silenceMs: number;
  /** Milliseconds since the last request, or since the process started. Missing from a worker of an earlier release. */
  readonly idleMs?: number;
}

/** The traffic of a pool at one moment. */
export interface PoolLoad {
  readonly instances: ReadonlyMap<InstanceId, InstanceLoad>;
  /** Requests that wait for a change. */
  readonly parked: number;
  readonly cachedBindings: number;
  /** The cache is warm: the process knows the bindings that existed when it started. */
  readonly isMirrored: boolean;
  /** Milliseconds since the last request, or since the process started if there was none: it cannot know about earlier ones. */
  readonly idleMs: number;
  /** Claims fail. Missing from a worker of an earlier release too. */
  readonly claimTrouble?: ClaimTrouble | undefined;
}

/** Stands in for a load that no worker has reported: the pool may be busy, and its agents may be bound anywhere. */
export const UNKNOWN_LOAD: Pick<PoolLoad, 'isMirrored' | 'idleMs'> = { isMirrored: false, idleMs: 0 };

const NO_LOAD: PoolLoad = {
  instances: new Map(),
  parked: 0,
  cachedBindings: 0,
  isMirrored: true,
  idleMs: Number.POSITIVE_INFINITY,
};

/** The total load of several processes that serve one pool. Their caches hold mostly the same bindings. */
export function sumOf(loads: Iterable<PoolLoad>): PoolLoad {
  const instances = new Map<InstanceId, InstanceLoad>();
  let { parked, cachedBindings, isMirrored, idleMs, claimTrouble } = NO_LOAD;
  for (const load of loads) {
    for (const [id, one] of load.instances) {
      const before = instances.get(id);
      instances.set(id, before === undefined ? one : merge(before, one));
    }
    parked += load.parked;
    cachedBindings = Math.max(cachedBindings, load.cachedBindings);
    isMirrored &&= load.isMirrored;
    idleMs = Math.min(idleMs, load.idleMs);
    claimTrouble = longer(claimTrouble, load.claimTrouble);
  }
  const sum = { instances, parked, cachedBindings, isMirrored, idleMs };
  return claimTrouble === undefined ? sum : { ...sum, claimTrouble };
}

/** The trouble that has lasted longer: in that process, claims of new agents fail. */
function longer(a: ClaimTrouble | undefined, b: ClaimTrouble | undefined): ClaimTrouble | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.firstAgoMs - b.lastAgoMs > a.firstAgoMs - a.lastAgoMs ? b : a;
}

/** Adds up two loads of one instance; the silence is the longer one. */
function merge(a: InstanceLoad, b: InstanceLoad): InstanceLoad {
  return {
    inFlight: a.inFlight + b.inFlight,
    queued: a.queued + b.queued,
    silenceMs: Math.max(a.silenceMs, b.silenceMs),
    // A process of an earlier release may have sent one just now.
    idleMs: Math.min(a.idleMs ?? 0, b.idleMs ?? 0),
  };
}
