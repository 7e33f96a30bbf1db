import type { InstanceId, InstanceState } from '../instance.ts';
import type { HealthReport, ReplicaReport } from './health-report.ts';
import type { View } from './view.ts';

const NO_INSTANCES: ReadonlySet<InstanceId> = new Set();
const NO_RELAYS: ReadonlyMap<InstanceId, readonly string[]> = new Map();

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

/** Which instances this replica cannot reach although the view says they are up, and for how long. */
export class Reachability {
  readonly #cutOffMs: number;
  #lastInputs: ComparedInputs | undefined;
  #unreachable = NO_INSTANCES;
  #candidates: readonly InstanceState[] = [];
  /** Unreachable instances that another replica reaches, while the view is agreed. */
  #reachedByOthers = NO_INSTANCES;
  /** When a {@link tick} first found such an instance, in monotonic ms. */
  #since: ReadonlyMap<InstanceId, number> = new Map();
  #cutOff = NO_INSTANCES;
  #failing = NO_INSTANCES;
  #relays = NO_RELAYS;

  /** @param cutOffMs how long only this replica must fail to reach an instance for it to count as cut off */
  constructor(cutOffMs: number) {
    this.#cutOffMs = cutOffMs;
  }

  get unreachable(): ReadonlySet<InstanceId> {
    return this.#unreachable;
  }

  /** The assignable instances of the view that are reachable and configured here. */
  get candidates(): readonly InstanceState[] {
    return this.#candidates;
  }

  get cutOff(): ReadonlySet<InstanceId> {
    return this.#cutOff;
  }

  /** The addresses of the peers that can relay a request to the instance, because they report it as up. */
  get relays(): ReadonlyMap<InstanceId, readonly string[]> {
    return this.#relays;
  }

  /** Instances whose last probe failed, whatever the verdict is. */
  get failing(): ReadonlySet<InstanceId> {
    return this.#failing;
  }

  /** Records the last probe of an instance. Returns true if {@link failing} has changed. */
  probed(id: InstanceId, passed: boolean): boolean {
    if (this.#failing.has(id) !== passed) return false;
    const failing = new Set(this.#failing);
    if (passed) failing.delete(id);
    else failing.add(id);
    this.#failing = failing;
    return true;
  }

  /**
   * To be called whenever an input may have changed. A replica that abstains finds nothing unreachable.
   *
   * @param others reports of the other replicas; empty while the view is not agreed
   * @param unconfigured instances that this configuration does not name
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
    // An instance that recovers in between starts its time again.
    this.#since = new Map([...this.#since].filter(([id]) => this.#reachedByOthers.has(id)));
    // Who takes no requests of peers hands none on either.
    this.#relays = report?.relayAt === undefined ? NO_RELAYS : relaysOf(view, others);
    const { assignable } = view;
    this.#candidates =
      unreachable.size === 0 && unconfigured.size === 0
        ? assignable
        : assignable.filter(({ id }) => !unreachable.has(id) && !unconfigured.has(id));
  }

  /** Monotonic ms at which the next instance counts as cut off if nothing changes before. */
  get nextCutOffAt(): number {
    const waiting = [...this.#since].filter(([id]) => !this.#cutOff.has(id));
    return Math.min(...waiting.map(([, from]) => from + this.#cutOffMs));
  }

  /**
   * Advances the time to `mono`, in monotonic ms. Returns true if {@link cutOff} has changed.
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

/** Those that relay last are named only for instances to which no other can relay. */
function relaysOf(view: View, others: readonly ReplicaReport[]): ReadonlyMap<InstanceId, readonly string[]> {
  if (!others.some(({ report }) => report?.relayAt !== undefined)) return NO_RELAYS;
  const last = new Map<InstanceId, string[]>();
  const relays = new Map<InstanceId, string[]>();
  for (const { report } of others) {
    if (report?.relayAt === undefined) continue;
    const among = report.relaysLast === true ? last : relays;
    for (const [id, { health }] of Object.entries(report.verdicts)) {
      if (health !== 'up' || view.instances.get(id)?.health !== 'up') continue;
      const known = among.get(id);
      if (known === undefined) among.set(id, [report.relayAt]);
      else known.push(report.relayAt);
    }
  }
  return last.size === 0 ? relays : new Map([...last, ...relays]);
}
