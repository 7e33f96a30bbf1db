import type { HealthRecord, Observation, Thresholds } from '../health.ts';
import { observe, UNOBSERVED } from '../health.ts';
import type { InstanceId } from '../instance.ts';
import type { AgreedInstance } from './agreed-view.ts';
import type { HealthReport, Verdict } from './health-report.ts';

/** What one more probe has done to an opinion. */
export interface Observed {
  readonly record: HealthRecord;
  /** The first result that speaks against an instance which was well so far. */
  readonly isFirstDoubt: boolean;
  /** This result turned the instance down. */
  readonly isDownNow: boolean;
  /** The opinion says something else now. */
  readonly isNews: boolean;
}

/** What one gateway makes of its own probes: a verdict on each instance that it has seen enough of, or an abstention. */
export class LocalHealthReport {
  readonly #thresholds: Thresholds;
  readonly #records = new Map<InstanceId, HealthRecord>();
  readonly #verdicts: Record<InstanceId, Verdict> = {};
  #isSettled = false;
  #abstains = false;

  /** @param known what an earlier process of this replica has left, if there was one */
  constructor(thresholds: Thresholds, known: Readonly<Record<InstanceId, Pick<AgreedInstance, 'health'>>>) {
    this.#thresholds = thresholds;
    // What the agents of an instance rely on is not undone by the first probe of a new process.
    for (const [id, { health }] of Object.entries(known)) {
      this.#records.set(id, { state: health, streak: 0 });
    }
  }

  /** The first round of probes is over, or its time is. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  get abstains(): boolean {
    return this.#abstains;
  }

  /** What is to be voted; `undefined` abstains. */
  report(idle: boolean): HealthReport | undefined {
    if (this.#abstains) return undefined;
    return { verdicts: { ...this.#verdicts }, settled: this.#isSettled, idle };
  }

  /** Folds one observation in. `epoch`: the one in which the probe began. */
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

  /** Returns true where the verdict has changed. */
  #check(id: InstanceId, { state, streak }: HealthRecord, observation: Observation, epoch: number): boolean {
    // Of what an earlier process of this replica saw, this one says nothing until it has seen it too, or enough else.
    const isInherited = this.#verdicts[id] === undefined && streak > 0;
    if (state === 'unknown' || isInherited) return false;
    const verdict: Verdict = {
      health: state,
      incarnation: observation.passed ? observation.incarnation : '',
      emptyAt: observation.passed && observation.isEmpty === true ? epoch : 0,
    };
    if (isSame(this.#verdicts[id], verdict)) return false;
    this.#verdicts[id] = verdict;
    return true;
  }
}

function isSame(a: Verdict | undefined, b: Verdict): boolean {
  return a?.health === b.health && a.incarnation === b.incarnation && a.emptyAt === b.emptyAt;
}
