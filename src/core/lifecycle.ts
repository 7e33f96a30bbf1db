/**
 * The states of a gateway, for load balancers and monitoring. All its processes report the same state.
 *
 *   Starting     its ports are open; it has not probed all instances yet
 *   Running      it serves requests
 *   Maintenance  it answers requests itself, because an operator switched maintenance on
 *   Stopping     it still serves requests, but asks balancers to send no more
 *   Draining     it accepts no more connections, and answers pending requests
 *   Stopped      it has ended, except for the last process, which exits now
 */
export type LifecycleState = 'Starting' | 'Running' | 'Maintenance' | 'Stopping' | 'Draining' | 'Stopped';

/**
 * The state shown to load balancers. While `Running`, a gateway may ask a balancer to prefer the others. `Drifted`:
 * its configuration differs from the agreed one, so it cannot serve every agent. `Isolated`: it is cut off from an
 * instance that its peers reach, or from the bindings in a store that otherwise answers. Instances being down does
 * not count: a balancer must not react to that.
 */
export type ShownState = LifecycleState | 'Drifted' | 'Isolated';

/** @param flaws of the routing states of all pools */
export function shownState(
  state: LifecycleState,
  flaws: { readonly isDrifted: boolean; readonly isCutOff: boolean },
): ShownState {
  if (state !== 'Running') return state;
  if (flaws.isDrifted) return 'Drifted';
  return flaws.isCutOff ? 'Isolated' : state;
}

/** The state of the gateway, as requests need it. Checked with every request, so it must be cheap. */
export interface GatewayState {
  readonly inMaintenance: boolean;
  /** Asked by balancers. */
  state(): ShownState;
}

/** Changes the state of the gateway: in this process, or through the supervisor. */
export interface LifecycleControl {
  /** Resolves when the gateway has entered or left maintenance. */
  maintain(on: boolean, why: string): Promise<ControlAnswer>;
  /** Resolves when a soft shutdown has begun. @param softTimeoutMs shortens its configured time, in milliseconds */
  stop(why: string, softTimeoutMs?: number): Promise<ControlAnswer>;
  /** Replaces the gateway's processes one by one. Resolves when those that carry traffic are replaced. */
  restart(why: string): Promise<ControlAnswer>;
  /** Like {@link restart}, but reads the configuration again. Refuses an invalid one, with all its problems. */
  reload(why: string): Promise<ControlAnswer>;
}

/** `message` gives the reason and the remedy. */
export type ControlAnswer = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** What happens to a gateway. `settled`: its instances were probed, or the time for that is over. */
export type LifecycleEvent = 'settled' | 'maintain' | 'resume' | 'stop' | 'drain' | 'end';

/** The gateway's progress, apart from the operator's maintenance. */
type Phase = Exclude<LifecycleState, 'Maintenance'>;

export interface GatewayPhase {
  readonly phase: Phase;
  /** Also kept while Stopping: clients told of maintenance before the stop are told so during it. */
  readonly inMaintenance: boolean;
}

export const INITIAL: GatewayPhase = { phase: 'Starting', inMaintenance: false };

/** The phases that an event applies to, and the phase it leads to. A stop cannot be undone. */
const STEPS: Readonly<
  Record<'settled' | 'stop' | 'drain' | 'end', { readonly from: readonly Phase[]; readonly to: Phase }>
> = {
  settled: { from: ['Starting'], to: 'Running' },
  stop: { from: ['Starting', 'Running'], to: 'Stopping' },
  drain: { from: ['Stopping'], to: 'Draining' },
  end: { from: ['Draining'], to: 'Stopped' },
};

/** The state after the event; the same object if the event changes nothing or comes too late. */
export function transition(state: GatewayPhase, event: LifecycleEvent): GatewayPhase {
  if (event === 'maintain' || event === 'resume') {
    const inMaintenance = event === 'maintain';
    return isStopping(state) || state.inMaintenance === inMaintenance ? state : { ...state, inMaintenance };
  }
  const { from, to } = STEPS[event];
  return from.includes(state.phase) ? { ...state, phase: to } : state;
}

/** Maintenance hides whether the gateway has finished starting: in both cases it should get no requests. */
export function stateOf({ phase, inMaintenance }: GatewayPhase): LifecycleState {
  return inMaintenance && (phase === 'Starting' || phase === 'Running') ? 'Maintenance' : phase;
}

/** The gateway has been told to stop. */
export function isStopping({ phase }: GatewayPhase): boolean {
  return phase === 'Stopping' || phase === 'Draining' || phase === 'Stopped';
}

/** The times of a stop, in milliseconds of one clock. */
export interface StopPlan {
  /** From then on no connection is accepted. */
  readonly drainAt: number;
  /** From then on the stop waits for nothing. */
  readonly endAt: number;
}

/**
 * The times of a stop requested at `now`.
 *
 * @param sooner the plan in effect; another stop can shorten but not extend it, because the first caller relies on
 * its end
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
