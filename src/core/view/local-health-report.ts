import type { HealthRecord, Observation, Thresholds } from '../health.ts';
import { observe, UNOBSERVED } from '../health.ts';
import type { InstanceId } from '../instance.ts';
import type { AgreedInstance } from './agreed-view.ts';
import type { HealthReport, Verdict } from './health-report.ts';

/** How a gateway takes requests of its peers. */
export interface RelayOffer {
  /** {@link HealthReport.relayAt} */
  readonly at: string;
  /** Is it neither starting nor in maintenance nor stopping? */
  readonly isRunning: () => boolean;
}

/** The effect of one probe on the local health report. */
export interface Observed {
  readonly record: HealthRecord;
  /** The first failure of an instance that was well so far. */
  readonly isFirstDoubt: boolean;
  /** This result changed the verdict to down. */
  readonly isDownNow: boolean;
  /** The report has changed. */
  readonly isNews: boolean;
}

/**
 * One gateway's report from its own probes: a verdict on each instance that it has seen enough of, or an abstention.
 */
export class LocalHealthReport {
  readonly #thresholds: Thresholds;
  readonly #records = new Map<InstanceId, HealthRecord>();
  readonly #verdicts: Record<InstanceId, Verdict> = {};
  readonly #relay: RelayOffer | undefined;
  #isSettled = false;
  #abstains = false;

  /**
   * @param known what an earlier process of this replica knew, if there was one
   * @param relay missing if it takes none
   */
  constructor(
    thresholds: Thresholds,
    known: Readonly<Record<InstanceId, Pick<AgreedInstance, 'health'>>>,
    relay?: RelayOffer,
  ) {
    this.#thresholds = thresholds;
    this.#relay = relay;
    // The first probe of a new process must not overturn a verdict that agents rely on.
    for (const [id, { health }] of Object.entries(known)) {
      this.#records.set(id, { state: health, streak: 0 });
    }
  }

  /** The first round of probes is over, or the time for it has run out. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  get abstains(): boolean {
    return this.#abstains;
  }

  /** The report to send; `undefined` abstains. */
  report(idle: boolean): HealthReport | undefined {
    if (this.#abstains) return undefined;
    const report = { verdicts: { ...this.#verdicts }, settled: this.#isSettled, idle };
    if (this.#relay === undefined) return report;
    const { at: relayAt, isRunning } = this.#relay;
    return isRunning() ? { ...report, relayAt } : { ...report, relayAt, relaysLast: true };
  }

  /** Adds one observation. `epoch` is the one in which the probe started. */
  observed(id: InstanceId, observation: Observation, epoch: number): Observed {
    const before = this.#records.get(id) ?? UNOBSERVED;
    const record = observe(before, observation.passed, this.#thresholds);
    this.#records.set(id, record);
    const isFirstDoubt = !observation.passed && before.streak === 0 && record.streak > 0;
    const isDownNow = record.state === 'down' && before.state !== 'down';
    return { record, isFirstDoubt, isDownNow, isNews: this.#check(id, record, observation, epoch) };
  }

  settle(): void {
    this.#isSettled = true;
  }

  abstain(abstains: boolean): void {
    this.#abstains = abstains;
  }

  /** Returns true if the verdict has changed. */
  #check(id: InstanceId, { state, streak }: HealthRecord, observation: Observation, epoch: number): boolean {
    // An inherited verdict is not reported until this process confirms it, or has seen enough to replace it.
    const isInherited = this.#verdicts[id] === undefined && streak > 0;
    if (state === 'unknown' || isInherited) return false;
    const isEmpty = observation.passed && observation.isEmpty === true;
    const verdict: Verdict = {
      health: state,
      incarnation: (observation.passed ? observation.incarnation : undefined) ?? '',
      emptyAt: isEmpty ? epoch : 0,
      ...(isEmpty && observation.isUnused === true ? { vacantAt: epoch } : {}),
    };
    if (isSame(this.#verdicts[id], verdict)) return false;
    this.#verdicts[id] = verdict;
    return true;
  }
}

function isSame(a: Verdict | undefined, b: Verdict): boolean {
  if (a?.health !== b.health || a.incarnation !== b.incarnation) return false;
  return a.emptyAt === b.emptyAt && a.vacantAt === b.vacantAt;
}
