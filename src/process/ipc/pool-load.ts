import type { InstanceId } from '../../core/instance.ts';
import type { ClaimTrouble } from '../../core/view/claim-watch.ts';

export interface InstanceLoad {
  /** Requests at the instance, the ones being connected included. */
  readonly inFlight: number;
  /** Requests that wait for a place there. */
  readonly queued: number;
  /** How long requests have been waiting for any sign of life of it, in ms; 0 if none are. */
  readonly silenceMs: number;
}

/** What a pool's traffic does, at one moment. */
export interface PoolLoad {
  readonly instances: ReadonlyMap<InstanceId, InstanceLoad>;
  /** Requests that wait for a change. */
  readonly parked: number;
  readonly cachedBindings: number;
  /** Whoever was bound when the process began is known to it. */
  readonly isMirrored: boolean;
  /** Milliseconds since the last request came; since the process began, where none has: it cannot know of those before. */
  readonly idleMs: number;
  /** Claims fail. Missing from a worker of an earlier release too. */
  readonly claimTrouble?: ClaimTrouble | undefined;
}

/** What is to be thought of traffic nobody has told of: it may be busy, and its agents bound to anywhere. */
export const UNHEARD: Pick<PoolLoad, 'isMirrored' | 'idleMs'> = { isMirrored: false, idleMs: 0 };

const NO_LOAD: PoolLoad = {
  instances: new Map(),
  parked: 0,
  cachedBindings: 0,
  isMirrored: true,
  idleMs: Number.POSITIVE_INFINITY,
};

/** Of several processes that serve one pool. What each of them caches is mostly the same. */
export function sumOf(loads: Iterable<PoolLoad>): PoolLoad {
  const instances = new Map<InstanceId, InstanceLoad>();
  let { parked, cachedBindings, isMirrored, idleMs, claimTrouble } = NO_LOAD;
  for (const load of loads) {
    for (const [id, one] of load.instances) {
      const before = instances.get(id);
      instances.set(id, before === undefined ? one : together(before, one));
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

/** The one that has been tried in vain for longer: those of new agents who come to that process fail. */
function longer(a: ClaimTrouble | undefined, b: ClaimTrouble | undefined): ClaimTrouble | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.firstAgoMs - b.lastAgoMs > a.firstAgoMs - a.lastAgoMs ? b : a;
}

/** An instance that answers one of them is not silent, unless it does to all. */
function together(a: InstanceLoad, b: InstanceLoad): InstanceLoad {
  return {
    inFlight: a.inFlight + b.inFlight,
    queued: a.queued + b.queued,
    silenceMs: Math.max(a.silenceMs, b.silenceMs),
  };
}
