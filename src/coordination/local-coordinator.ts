import type { HealthRecord, Observation, Thresholds } from '../core/health.ts';
import { observe, UNOBSERVED } from '../core/health.ts';
import type { AdminState, InstanceId, InstanceState } from '../core/instance.ts';
import type { Coordinator, ProbeControl } from '../core/ports.ts';
import type { View } from '../core/view.ts';
import { makeView } from '../core/view.ts';

export interface LocalInstance {
  readonly id: InstanceId;
  readonly weight: number;
  readonly priority: number;
  readonly admin: AdminState;
}

export interface LocalPool {
  readonly name: string;
  readonly thresholds: Thresholds;
  readonly instances: readonly LocalInstance[];
}

export interface Transition {
  readonly pool: string;
  readonly before: InstanceState;
  readonly after: InstanceState;
  readonly epoch: number;
  readonly reason: string | undefined;
}

// Lives that ended within the time a binding can outlive them; more only cost memory.
const PAST_LIVES = 16;

interface PoolState {
  readonly thresholds: Thresholds;
  readonly records: Map<InstanceId, HealthRecord>;
  readonly listeners: Set<(view: View) => void>;
  view: View;
  probes: ProbeControl | undefined;
}

/**
 * The coordinator of a gateway that decides for itself: what it observes is
 * what it believes. Holds the views and changes them only by observation.
 */
export class LocalCoordinator implements Coordinator {
  readonly #pools = new Map<string, PoolState>();
  readonly #onTransition: (transition: Transition) => void;

  constructor(pools: readonly LocalPool[], onTransition: (transition: Transition) => void) {
    this.#onTransition = onTransition;
    for (const pool of pools) {
      const instances = pool.instances.map(
        (instance): InstanceState => ({ ...instance, health: 'unknown', incarnation: '', past: [] }),
      );
      this.#pools.set(pool.name, {
        thresholds: pool.thresholds,
        records: new Map(),
        listeners: new Set(),
        view: makeView(pool.name, 1, false, instances),
        probes: undefined,
      });
    }
  }

  /** Given once, after construction: prober and coordinator know each other. */
  attach(pool: string, probes: ProbeControl): void {
    this.#pool(pool).probes = probes;
  }

  view(pool: string): View {
    return this.#pool(pool).view;
  }

  onChange(pool: string, listener: (view: View) => void): () => void {
    const { listeners } = this.#pool(pool);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  suspect(pool: string, instance: InstanceId): void {
    this.#pool(pool).probes?.hasten(instance);
  }

  async refresh(pool: string, instance: InstanceId, doubted: string): Promise<View> {
    const state = this.#pool(pool);
    const passed = await state.probes?.probeNow(instance);
    const now = state.view.instances.get(instance);
    if (passed === true && now !== undefined && now.incarnation !== '' && now.incarnation !== doubted) {
      // Written down, so that the next binding of that life is not doubted again.
      const past = [...now.past.filter((life) => life !== doubted), doubted].slice(-PAST_LIVES);
      this.#publish(state, state.view.settled, replaced(state.view, { ...now, past }));
    }
    return state.view;
  }

  /** Folds one observation in; publishes a new view when it changes anything. */
  observed(pool: string, id: InstanceId, observation: Observation): HealthRecord {
    const state = this.#pool(pool);
    const before = state.view.instances.get(id);
    if (before === undefined) return UNOBSERVED;

    const record = observe(state.records.get(id) ?? UNOBSERVED, observation.passed, state.thresholds);
    state.records.set(id, record);
    const after = withIncarnation({ ...before, health: record.state }, observation.incarnation);
    if (after.health !== before.health || after.incarnation !== before.incarnation) {
      this.#publish(state, state.view.settled, replaced(state.view, after));
      this.#onTransition({
        pool,
        before,
        after,
        epoch: state.view.epoch,
        reason: observation.passed ? undefined : observation.reason,
      });
    }
    return record;
  }

  /** The first full round is over, or its time is: from now on the view may be acted on. */
  settle(pool: string): void {
    const state = this.#pool(pool);
    if (!state.view.settled) this.#publish(state, true, state.view.instances.values());
  }

  #publish(state: PoolState, settled: boolean, instances: Iterable<InstanceState>): void {
    state.view = makeView(state.view.pool, state.view.epoch + 1, settled, instances);
    for (const listener of [...state.listeners]) listener(state.view);
  }

  #pool(name: string): PoolState {
    const state = this.#pools.get(name);
    if (state === undefined) throw new Error(`no pool is named ${name}`);
    return state;
  }
}

function withIncarnation(state: InstanceState, observed: string): InstanceState {
  if (observed === '' || observed === state.incarnation) return state;
  const past = state.incarnation === '' ? state.past : [...state.past, state.incarnation].slice(-PAST_LIVES);
  return { ...state, incarnation: observed, past: past.filter((life) => life !== observed) };
}

function* replaced(view: View, changed: InstanceState): Generator<InstanceState> {
  for (const instance of view.instances.values()) yield instance.id === changed.id ? changed : instance;
}
