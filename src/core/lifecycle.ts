/**
 * The states of a gateway as those see it who send it traffic or watch it. One
 * word for the whole gateway, whichever of its processes is asked.
 *
 *   Starting     its ports are open; its instances have not all been probed yet
 *   Running      requests may come
 *   Maintenance  requests are answered by the gateway itself, because an operator wants it so
 *   Stopping     asks for no more requests, and serves those that still come
 *   Draining     accepts no more connections, and answers what is pending
 *   Stopped      nothing is left of it but a process that ends
 */
export type LifecycleState = 'Starting' | 'Running' | 'Maintenance' | 'Stopping' | 'Draining' | 'Stopped';

/**
 * What is shown of it while it is `Running` and a balancer in front should still
 * prefer the other gateways. `Drifted`: its configuration is not the one that all
 * agreed on, and it cannot serve every agent because of that. `Isolated`: it is cut
 * off from an instance that its peers reach, or from the bindings in a store that
 * answers otherwise. That instances are down does not
 * count: a balancer must not act on it.
 */
export type ShownState = LifecycleState | 'Drifted' | 'Isolated';

/** @param flaws of the standings of all its pools */
export function shownState(
  state: LifecycleState,
  flaws: { readonly isDrifted: boolean; readonly isCutOff: boolean },
): ShownState {
  if (state !== 'Running') return state;
  if (flaws.isDrifted) return 'Drifted';
  return flaws.isCutOff ? 'Isolated' : state;
}

/** The gateway as the data plane has to know it. Asked with every request, so it costs nothing. */
export interface GatewayState {
  readonly inMaintenance: boolean;
  /** Asked by balancers. */
  state(): ShownState;
}

/** Whoever decides on the state: this process, or the supervisor of the gateway. */
export interface LifecycleControl {
  /** Resolves when the gateway is in maintenance, or no longer. */
  maintain(on: boolean, why: string): Promise<ControlAnswer>;
  /** Resolves when a soft shutdown has begun. @param softTimeoutMs less than its configured time, in milliseconds */
  stop(why: string, softTimeoutMs?: number): Promise<ControlAnswer>;
  /** Replaces the processes of the gateway, one by one. Resolves when those that carry traffic are replaced. */
  restart(why: string): Promise<ControlAnswer>;
  /** The same with the configuration read anew; refused with every problem where that is wrong. */
  reload(why: string): Promise<ControlAnswer>;
}

/** `message` says why not, and the remedy. */
export type ControlAnswer = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** What happens to a gateway. `settled`: its instances were probed, or it has waited for that for long enough. */
export type LifecycleEvent = 'settled' | 'maintain' | 'resume' | 'stop' | 'drain' | 'end';

/** How far a gateway is, apart from what the operator wants of it meanwhile. */
type Phase = Exclude<LifecycleState, 'Maintenance'>;

export interface GatewayPhase {
  readonly phase: Phase;
  /** Outlasts Stopping: whoever is told so until the stop is told so during it. */
  readonly inMaintenance: boolean;
}

export const INITIAL: GatewayPhase = { phase: 'Starting', inMaintenance: false };

/** The phases that an event leads out of, and where to. There is no way back from a stop. */
const STEPS: Readonly<
  Record<'settled' | 'stop' | 'drain' | 'end', { readonly from: readonly Phase[]; readonly to: Phase }>
> = {
  settled: { from: ['Starting'], to: 'Running' },
  stop: { from: ['Starting', 'Running'], to: 'Stopping' },
  drain: { from: ['Stopping'], to: 'Draining' },
  end: { from: ['Draining'], to: 'Stopped' },
};

/** The life after the event: the very same object where the event changes nothing, or comes too late. */
export function transition(state: GatewayPhase, event: LifecycleEvent): GatewayPhase {
  if (event === 'maintain' || event === 'resume') {
    const inMaintenance = event === 'maintain';
    return isStopping(state) || state.inMaintenance === inMaintenance ? state : { ...state, inMaintenance };
  }
  const { from, to } = STEPS[event];
  return from.includes(state.phase) ? { ...state, phase: to } : state;
}

/** Maintenance hides whether the gateway has finished starting: either way nobody should send it requests. */
export function stateOf({ phase, inMaintenance }: GatewayPhase): LifecycleState {
  return inMaintenance && (phase === 'Starting' || phase === 'Running') ? 'Maintenance' : phase;
}

/** It has been told to stop. */
export function isStopping({ phase }: GatewayPhase): boolean {
  return phase === 'Stopping' || phase === 'Draining' || phase === 'Stopped';
}

/** When a stop goes on, in milliseconds of one clock. */
export interface StopPlan {
  /** From then on no connection is accepted. */
  readonly drainAt: number;
  /** From then on nothing is waited for. */
  readonly endAt: number;
}

/**
 * When a stop goes on, that was asked for at `now`.
 *
 * @param sooner the plan in effect, which another stop can shorten but not prolong: whoever asked first counts
 *   on its end
 * @param pollInterval how long connections are still accepted, in milliseconds
 * @param timeout how long the whole stop may take, in milliseconds
 */
export function planStop(
  now: number,
  { pollInterval, timeout }: { readonly pollInterval: number; readonly timeout: number },
  sooner: StopPlan = { drainAt: Number.POSITIVE_INFINITY, endAt: Number.POSITIVE_INFINITY },
): StopPlan {
  const endAt = Math.min(now + timeout, sooner.endAt);
  return { drainAt: Math.min(now + pollInterval, sooner.drainAt, endAt), endAt };
}
