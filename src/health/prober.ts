import type { HealthRecord, Observation } from '../core/health.ts';
import type { InstanceId } from '../core/instance.ts';
import type { ProbeControl } from '../core/ports.ts';
import type { ProbeResult } from '../core/probes/silences.ts';
import type { Probe } from './probe.ts';

export interface ProberOptions {
  readonly intervalMs: number;
  /** The interval of probes while a verdict is in doubt, and the shortest interval between any two. */
  readonly fastIntervalMs: number;
  readonly timeoutMs: number;
  /** Each interval is lengthened or shortened by up to this share, so that gateways do not probe at the same moment. */
  readonly jitter: number;
  /** When the first round counts as over although some instances have not answered. */
  readonly settleTimeoutMs: number;
  readonly probes: ReadonlyMap<InstanceId, Probe>;
  /** @param epoch the epoch in effect when the probe began */
  readonly onObservation: (instance: InstanceId, observation: Observation, epoch: number) => HealthRecord;
  /** Called with every probe, also with one that says nothing about the instance. */
  readonly onResult?: (instance: InstanceId, result: ProbeResult) => void;
  readonly epoch: () => number;
  readonly onSettled: () => void;
  /** Called when a suspected instance passes a probe. */
  readonly onSuspectPassed: (instance: InstanceId) => void;
  /** How long requests have been waiting without any response from the instance, in ms; 0 if none waits. */
  readonly silenceOf: (instance: InstanceId) => number;
  readonly random?: () => number;
}

interface Subject {
  readonly id: InstanceId;
  readonly probe: Probe;
  timer: NodeJS.Timeout | undefined;
  /** A probe is under way; never more than one. */
  isRunning: boolean;
  startedAt: number;
  /** The total lateness of this process's timers at that time, in ms. */
  latenessAtStart: number;
  suspected: boolean;
  seen: boolean;
}

const LOOK_EVERY_MS = 100;

/**
 * Probes the instances of one pool, each on its own schedule. A failed request only brings the next probe forward; the
 * probes alone decide whether an instance is up.
 */
export class Prober implements ProbeControl {
  readonly #options: ProberOptions;
  readonly #subjects = new Map<InstanceId, Subject>();
  #settleTimer: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #unseen: number;
  #lookedAt = 0;
  /** The sum of delays of the LOOK_EVERY_MS timer so far, in ms. */
  #totalLatenessMs = 0;
  #stopped = false;

  constructor(options: ProberOptions) {
    this.#options = options;
    for (const [id, probe] of options.probes) {
      this.#subjects.set(id, {
        id,
        probe,
        timer: undefined,
        isRunning: false,
        startedAt: Number.NEGATIVE_INFINITY,
        latenessAtStart: 0,
        suspected: false,
        seen: false,
      });
    }
    this.#unseen = this.#subjects.size;
  }

  start(): void {
    this.#settleTimer = setTimeout(this.#options.onSettled, this.#options.settleTimeoutMs);
    this.#lookedAt = performance.now();
    this.#watch = setInterval(() => this.#look(), LOOK_EVERY_MS);
    for (const subject of this.#subjects.values()) void this.#run(subject);
  }

  /** Stops all timers. A probe under way ends by its own time limit and is not reported. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#settleTimer);
    clearInterval(this.#watch);
    for (const subject of this.#subjects.values()) clearTimeout(subject.timer);
  }

  hasten(id: InstanceId): void {
    const subject = this.#subjects.get(id);
    if (subject === undefined || this.#stopped) return;
    subject.suspected = true;
    if (!subject.isRunning) this.#schedule(subject, this.#untilFast(subject));
  }

  async #run(subject: Subject): Promise<void> {
    clearTimeout(subject.timer);
    subject.startedAt = performance.now();
    subject.latenessAtStart = this.#latenessAt(subject.startedAt);
    subject.isRunning = true;
    const epoch = this.#options.epoch();
    const waitedMs = this.#options.silenceOf(subject.id);
    const observation = await subject.probe();
    subject.isRunning = false;
    if (this.#stopped) return;

    const { startedAt, latenessAtStart: lateAtStart } = subject;
    const endedAt = performance.now();
    const lateAtEnd = this.#latenessAt(endedAt);
    this.#options.onResult?.(subject.id, {
      observation,
      startedAt,
      endedAt,
      lateAtStart,
      lateAtEnd,
      waitedMs,
    });

    if (observation.hasTimedOut === true && this.#wasLate(subject)) {
      // This process was too slow itself, so the time-out says nothing about the instance. Probe again.
      this.#schedule(subject, 0);
      return;
    }
    if (observation.isOurFault === true) {
      this.#schedule(subject, this.#untilFast(subject));
      return;
    }
    const record = this.#options.onObservation(subject.id, observation, epoch);
    const inDoubt = record.streak > 0 || (subject.suspected && !observation.passed && record.state === 'up');
    if (observation.passed) {
      if (subject.suspected) this.#options.onSuspectPassed(subject.id);
      subject.suspected = false;
    }
    this.#schedule(subject, inDoubt ? this.#untilFast(subject) : this.#interval());
    this.#settle(subject);
  }

  #wasLate(subject: Subject): boolean {
    return this.#latenessAt(performance.now()) - subject.latenessAtStart > this.#options.timeoutMs / 2;
  }

  /** Includes the delay of the timer that is due now, because a probe's timer may run before it. */
  #latenessAt(now: number): number {
    return this.#totalLatenessMs + Math.max(0, now - this.#lookedAt - LOOK_EVERY_MS);
  }

  #settle(subject: Subject): void {
    if (subject.seen) return;
    subject.seen = true;
    this.#unseen -= 1;
    if (this.#unseen > 0) return;
    clearTimeout(this.#settleTimer);
    this.#options.onSettled();
  }

  #look(): void {
    const now = performance.now();
    this.#totalLatenessMs = this.#latenessAt(now);
    this.#lookedAt = now;
    this.#watchSilence();
  }

  #watchSilence(): void {
    for (const subject of this.#subjects.values()) {
      if (this.#options.silenceOf(subject.id) >= this.#options.fastIntervalMs) this.hasten(subject.id);
    }
  }

  #schedule(subject: Subject, delayMs: number): void {
    clearTimeout(subject.timer);
    subject.timer = setTimeout(() => void this.#run(subject), delayMs);
  }

  #untilFast(subject: Subject): number {
    return Math.max(0, subject.startedAt + this.#options.fastIntervalMs - performance.now());
  }

  #interval(): number {
    const { intervalMs, jitter, random = Math.random } = this.#options;
    return intervalMs * (1 + jitter * (2 * random() - 1));
  }
}
