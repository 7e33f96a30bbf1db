import type { Observation } from '../health.ts';

/** One probe. Times are monotonic, in ms. */
export interface ProbeResult {
  readonly observation: Observation;
  readonly startedAt: number;
  readonly endedAt: number;
  /** How late the timers of this process have been so far, in total: when the probe began, and when it ended. */
  readonly lateAtStart: number;
  readonly lateAtEnd: number;
  /** For how long requests had been waiting for any response of the instance when the probe began; 0 if none waited. */
  readonly waitedMs: number;
}

/**
 * The time without a passed probe after which the same incarnation passed one. For most probes it is the time to their
 * answer.
 */
export interface Silence {
  readonly ms: number;
  /** `unanswered`: probes got no answer in time. `failed`: at least one was refused or answered wrongly, at once. */
  readonly kind: 'unanswered' | 'failed';
}

/** What a probe adds to what is known of an instance. */
export interface Watched {
  /** The time since the probe that passed before, through which the instance was the same incarnation. */
  readonly watchedMs: number;
  readonly silence: Silence | undefined;
  /** What this probe and the passed one before it each took at least. A single pause is not in it, a slow page is. */
  readonly slowMs: number;
}

interface Begun {
  readonly since: number;
  readonly lateAtStart: number;
  readonly hasFailed: boolean;
}

// A probe that is answered sooner shows that the instance was not silent when the probe began, although slow requests
// may have waited for longer.
const SLOW_MS = 100;
const NOTHING: Watched = { watchedMs: 0, silence: undefined, slowMs: 0 };

/** Measures how long one instance is silent, from the probes of it. */
export class SilenceWatch {
  #passed:
    | { readonly at: number; readonly tookMs: number; readonly incarnation: string | undefined }
    | undefined;
  #begun: Begun | undefined;

  observed(result: ProbeResult): Watched {
    const { observation, lateAtStart } = result;
    if (observation.isOurFault === true) {
      // What the instance did meanwhile is not known.
      this.#passed = undefined;
      this.#begun = undefined;
      return NOTHING;
    }
    if (observation.passed) return this.#ended(result);
    // An instance that has not passed any probe may be away for any reason.
    if (this.#passed === undefined) return NOTHING;
    const { since } = this.#begun ?? { since: this.#since(result) };
    const hasFailed = this.#begun?.hasFailed === true || observation.hasTimedOut !== true;
    this.#begun = { since, lateAtStart: this.#begun?.lateAtStart ?? lateAtStart, hasFailed };
    return NOTHING;
  }

  #ended(result: ProbeResult): Watched {
    const { startedAt, endedAt, lateAtStart, lateAtEnd, observation } = result;
    const before = this.#passed;
    const begun = this.#begun ?? { since: this.#since(result), lateAtStart, hasFailed: false };
    const tookMs = Math.max(0, endedAt - startedAt - (lateAtEnd - lateAtStart));
    this.#passed = { at: endedAt, tookMs, incarnation: observation.incarnation };
    this.#begun = undefined;
    // Failures end before the probe that passes begins; what did not answer ends with the answer.
    const until = begun.hasFailed ? startedAt : endedAt;
    // While this process was late, it could not read answers.
    const ms = Math.max(0, until - begun.since - (lateAtEnd - begun.lateAtStart));
    const silence: Silence = { ms, kind: begun.hasFailed ? 'failed' : 'unanswered' };
    if (before === undefined) return { watchedMs: 0, silence, slowMs: 0 };
    if (!isSame(before.incarnation, observation.incarnation, begun.hasFailed)) return NOTHING;
    return { watchedMs: endedAt - before.at, silence, slowMs: Math.min(tookMs, before.tookMs) };
  }

  /** When the silence that the probe found began: with the oldest request that waits, or with the probe. */
  #since({ startedAt, endedAt, waitedMs }: ProbeResult): number {
    if (endedAt - startedAt < SLOW_MS) return startedAt;
    return Math.max(this.#passed?.at ?? startedAt, startedAt - waitedMs);
  }
}

/** Without an incarnation on the health page, a failure is taken for a restart. */
function isSame(before: string | undefined, now: string | undefined, hasFailed: boolean): boolean {
  return before === now && (now !== undefined || !hasFailed);
}
