import type { InstanceId, InstanceState } from '../instance.ts';
import type { HealthReport, ReplicaReport } from './health-report.ts';
import type { View } from './view.ts';

const NO_INSTANCES: ReadonlySet<InstanceId> = new Set();

interface ComparedInputs {
  readonly view: View;
  readonly report: HealthReport | undefined;
  readonly others: readonly ReplicaReport[];
  readonly unconfigured: ReadonlySet<InstanceId>;
}

function isUnchanged(
  before: ComparedInputs,
  { view, report, others, unconfigured }: ComparedInputs,
): boolean {
  return (
    view === before.view &&
    report === before.report &&
    unconfigured === before.unconfigured &&
    others.length === before.others.length &&
    others.every((report, i) => report === before.others[i])
  );
}

/** What of a view one replica cannot reach itself, though the view calls it up, and for how long it could not. */
export class Reachability {
  readonly #cutOffMs: number;
  #lastInputs: ComparedInputs | undefined;
  #unreachable = NO_INSTANCES;
  #candidates: readonly InstanceState[] = [];
  /** Those of the unreachable that another replica reaches, by a view that is agreed. */
  #reachedByOthers = NO_INSTANCES;
  /** Monotonic ms of the {@link tick} that first found such an instance. */
  #since: ReadonlyMap<InstanceId, number> = new Map();
  #cutOff = NO_INSTANCES;
  #failing = NO_INSTANCES;

  /** @param cutOffMs how long an instance must be out of reach here alone to count as cut off */
  constructor(cutOffMs: number) {
    this.#cutOffMs = cutOffMs;
  }

  get unreachable(): ReadonlySet<InstanceId> {
    return this.#unreachable;
  }

  /** Those of the view's assignable instances that can be reached, and that something can be sent to. */
  get candidates(): readonly InstanceState[] {
    return this.#candidates;
  }

  get cutOff(): ReadonlySet<InstanceId> {
    return this.#cutOff;
  }

  /** Instances at which the last probe failed, whatever the verdict is. */
  get failing(): ReadonlySet<InstanceId> {
    return this.#failing;
  }

  /** The last probe of an instance. Returns true where {@link failing} has changed. */
  probed(id: InstanceId, passed: boolean): boolean {
    if (this.#failing.has(id) !== passed) return false;
    const failing = new Set(this.#failing);
    if (passed) failing.delete(id);
    else failing.add(id);
    this.#failing = failing;
    return true;
  }

  /**
   * To be called whenever one of these may have changed. Who abstains calls nothing unreachable.
   *
   * @param others what the other replicas say; nothing while the view is not agreed
   * @param unconfigured instances that the configuration here does not name
   */
  compare(
    view: View,
    report: HealthReport | undefined,
    others: readonly ReplicaReport[],
    unconfigured = NO_INSTANCES,
  ): void {
    const now = { view, report, others, unconfigured };
    if (this.#lastInputs !== undefined && isUnchanged(this.#lastInputs, now)) return;
    this.#lastInputs = now;
    const unreachable = new Set<InstanceId>();
    for (const [id, verdict] of Object.entries(report?.verdicts ?? {})) {
      if (verdict.health === 'down' && view.instances.get(id)?.health === 'up') unreachable.add(id);
    }
    this.#unreachable = unreachable;
    const isReached = (id: InstanceId): boolean =>
      others.some((other) => other.report?.verdicts[id]?.health === 'up');
    this.#reachedByOthers = new Set([...unreachable].filter(isReached));
    // An interruption restarts the time.
    this.#since = new Map([...this.#since].filter(([id]) => this.#reachedByOthers.has(id)));
    const { assignable } = view;
    this.#candidates =
      unreachable.size === 0 && unconfigured.size === 0
        ? assignable
        : assignable.filter(({ id }) => !unreachable.has(id) && !unconfigured.has(id));
  }

  /** Monotonic ms at which the next instance counts as cut off, if nothing changes until then. */
  get nextCutOffAt(): number {
    const waiting = [...this.#since].filter(([id]) => !this.#cutOff.has(id));
    return Math.min(...waiting.map(([, from]) => from + this.#cutOffMs));
  }

  /**
   * Lets time pass, up to `mono` in monotonic ms. Returns true where {@link cutOff} has changed.
   *
   * @param hasLease without a lease this replica does not know what the others reach
   */
  tick(mono: number, hasLease: boolean): boolean {
    const since = new Map<InstanceId, number>();
    if (hasLease) for (const id of this.#reachedByOthers) since.set(id, this.#since.get(id) ?? mono);
    this.#since = since;
    const cutOff = [...since].filter(([, from]) => mono - from >= this.#cutOffMs).map(([id]) => id);
    if (cutOff.length === this.#cutOff.size && cutOff.every((id) => this.#cutOff.has(id))) return false;
    this.#cutOff = new Set(cutOff);
    return true;
  }
}
