import type { InstanceId } from '../core/instance.ts';
import type { Advice, Conclusion, NamedTimes } from '../core/probes/advice.ts';
import { conclude } from '../core/probes/advice.ts';
import type { InstanceEvidence, KeptEvidence } from '../core/probes/evidence.ts';
import { DAY_MS, ProbeEvidence } from '../core/probes/evidence.ts';
import type { ProbeResult, Silence } from '../core/probes/silences.ts';
import { SilenceWatch } from '../core/probes/silences.ts';

export interface WatchedProbesOptions {
  readonly instances: readonly InstanceId[];
  readonly present: NamedTimes;
  readonly profiles: readonly NamedTimes[];
  readonly onSilence: (instance: InstanceId, silence: Silence) => void;
  /** Called once a day (UTC). */
  readonly onDay: (conclusion: Conclusion) => void;
  readonly onAdvice: (conclusion: Conclusion, before: Advice) => void;
  /** Milliseconds since the Unix epoch. */
  readonly now?: () => number;
}

// What is not notable changes a conclusion only by the time that is watched.
const NOTABLE_MS = 100;
const REVIEWED_EVERY_MS = 60_000;

/** What the probes of one pool have shown over the last days, and what follows for `health.profile`. */
export class WatchedProbes {
  readonly #options: WatchedProbesOptions;
  readonly #now: () => number;
  readonly #evidence = new ProbeEvidence();
  readonly #watches: ReadonlyMap<InstanceId, SilenceWatch>;
  #concluded: { readonly at: number; readonly conclusion: Conclusion } | undefined;
  /** The advice and the day that were told last. */
  #told: { readonly advice: Advice; readonly day: number } | undefined;

  constructor(options: WatchedProbesOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#watches = new Map(options.instances.map((id) => [id, new SilenceWatch()]));
  }

  observed(id: InstanceId, result: ProbeResult): void {
    const watched = this.#watches.get(id)?.observed(result);
    if (watched?.silence === undefined) return;
    this.#evidence.add(id, watched, this.#now());
    this.#options.onSilence(id, watched.silence);
    if (watched.silence.ms >= NOTABLE_MS) this.#concluded = undefined;
  }

  /** Takes over what an earlier controller kept, before any probe. */
  inherit(kept: KeptEvidence): void {
    this.#evidence.inherit(kept);
    this.#concluded = undefined;
  }

  get kept(): KeptEvidence {
    return this.#evidence.kept(this.#now());
  }

  of(id: InstanceId): InstanceEvidence {
    return this.#evidence.of(id, this.#now());
  }

  get conclusion(): Conclusion {
    const { instances, present, profiles } = this.#options;
    const now = this.#now();
    const known = this.#concluded;
    if (known !== undefined && Math.abs(now - known.at) < REVIEWED_EVERY_MS) return known.conclusion;
    const conclusion = conclude(
      instances.map((id) => this.of(id)),
      present,
      profiles,
    );
    this.#concluded = { at: now, conclusion };
    return conclusion;
  }

  /** To be called now and then: tells what has changed. The first call only notes what holds. */
  look(): void {
    const { conclusion } = this;
    const day = Math.floor(this.#now() / DAY_MS);
    const told = this.#told;
    this.#told = { advice: conclusion.advice, day };
    if (told === undefined) return;
    if (told.advice !== conclusion.advice) this.#options.onAdvice(conclusion, told.advice);
    if (told.day !== day) this.#options.onDay(conclusion);
  }
}
