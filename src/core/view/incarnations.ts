import type { AgreedInstance } from './agreed-view.ts';
import type { Verdict } from './health-report.ts';
import { votesNeeded } from './health-report.ts';

// Lives that ended within the time a binding can outlive them; more only cost memory.
const MAX_PAST_INCARNATIONS = 16;

/** The instance in another life; the one that it was in has ended. */
export function withIncarnation(instance: AgreedInstance, incarnation: string): AgreedInstance {
  const { incarnation: ended } = instance;
  const past = ended === '' ? instance.past : [...instance.past, ended].slice(-MAX_PAST_INCARNATIONS);
  return { ...instance, incarnation, past: past.filter((earlier) => earlier !== incarnation) };
}

/**
 * The life that the probes show and the view does not know. To have seen it once
 * is proof, so no quorum is asked. A life that has ended is what a replica says
 * that has not probed since; only a majority of them can be right about it.
 */
export function newIncarnation(
  instance: AgreedInstance,
  verdicts: readonly Verdict[],
  live: number,
): string | undefined {
  const seen = verdicts.flatMap(({ incarnation }) => (incarnation === '' ? [] : [incarnation]));
  const unseen = seen.find((id) => id !== instance.incarnation && !instance.past.includes(id));
  if (unseen !== undefined || seen.includes(instance.incarnation)) return unseen;
  return seen.find(
    (id) => seen.filter((other) => other === id).length >= votesNeeded('majority', 'up', live),
  );
}
