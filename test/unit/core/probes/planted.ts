import type { Observation } from '../../../../src/core/health.ts';
import type { Conclusion, NamedTimes } from '../../../../src/core/probes/advice.ts';
import { conclude } from '../../../../src/core/probes/advice.ts';
import { DAY_MS, ProbeEvidence } from '../../../../src/core/probes/evidence.ts';
import type { ProbeResult, Watched } from '../../../../src/core/probes/silences.ts';
import { SilenceWatch } from '../../../../src/core/probes/silences.ts';

const times = (intervalMs: number, fastIntervalMs: number, timeoutMs: number, fall: number) => ({
  intervalMs,
  fastIntervalMs,
  timeoutMs,
  fall,
});

export const CAREFUL: NamedTimes = { profile: 'careful', times: times(2_000, 250, 1_000, 3) };
export const BALANCED: NamedTimes = { profile: 'balanced', times: times(1_000, 200, 600, 3) };
export const FAST: NamedTimes = { profile: 'fast', times: times(500, 100, 300, 2) };
export const PROFILES = [CAREFUL, BALANCED, FAST];

export const MIDNIGHT = Date.UTC(2026, 10, 20);

/** An instance whose probes a test plants one by one. */
export class PlantedInstance {
  readonly #watch = new SilenceWatch();
  readonly #evidence: ProbeEvidence;
  readonly #id: string;
  /** Monotonic, in ms; the wall clock is `MIDNIGHT` later. */
  #now = 0;
  #late = 0;
  incarnation: string | undefined = 'i1';

  constructor(evidence = new ProbeEvidence(), id = 'a') {
    this.#evidence = evidence;
    this.#id = id;
  }

  get now(): number {
    return MIDNIGHT + this.#now;
  }

  /** Time in which nothing is probed. */
  pass(ms: number): this {
    this.#now += ms;
    return this;
  }

  answers(tookMs = 5, waitedMs = 0): Watched {
    return this.#probe(tookMs, { passed: true, incarnation: this.incarnation }, { waitedMs });
  }

  timesOut(tookMs = 1_000, waitedMs = 0): Watched {
    return this.#probe(tookMs, { passed: false, hasTimedOut: true }, { waitedMs });
  }

  refuses(): Watched {
    return this.#probe(1, { passed: false });
  }

  cannotBeAsked(): Watched {
    return this.#probe(1, { passed: false, isOurFault: true });
  }

  /** The event loop of the gateway stands still while the probe waits. */
  answersWhileLate(tookMs: number, lateMs: number): Watched {
    return this.#probe(tookMs, { passed: true, incarnation: this.incarnation }, { lateMs });
  }

  /** Probes that are each answered within 5 ms. */
  isWell(ms: number): this {
    for (const end = this.#now + ms; this.#now < end; ) this.pass(9_995).answers();
    return this;
  }

  /** Answers nothing for so long from the moment that a probe begins, as `careful` sees it. */
  pauses(ms: number): this {
    let left = ms;
    for (; left >= 1_000; left -= 1_000) this.timesOut();
    this.answers(Math.max(left, 1));
    return this;
  }

  conclusion(present = CAREFUL, evidence = this.#evidence): Conclusion {
    return conclude([evidence.of(this.#id, this.now)], present, PROFILES);
  }

  losses(present = CAREFUL): Readonly<Record<string, number>> {
    const { settings } = this.conclusion(present);
    return Object.fromEntries(settings.map(({ profile = 'own', losses }) => [profile, losses]));
  }

  #probe(
    tookMs: number,
    observation: Observation,
    { waitedMs = 0, lateMs = 0 }: { readonly waitedMs?: number; readonly lateMs?: number } = {},
  ): Watched {
    const [startedAt, lateAtStart] = [this.#now, this.#late];
    this.#now += tookMs;
    this.#late += lateMs;
    const result: ProbeResult = {
      ...{ observation, startedAt, endedAt: this.#now },
      ...{ lateAtStart, lateAtEnd: this.#late, waitedMs },
    };
    const watched = this.#watch.observed(result);
    this.#evidence.add(this.#id, watched, this.now);
    return watched;
  }
}

export const DAY = DAY_MS;
/** With the first probe, before which nothing is watched. */
export const A_DAY = DAY_MS + 10_000;
