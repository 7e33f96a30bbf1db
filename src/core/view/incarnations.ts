import type { AgreedInstance } from './agreed-view.ts';
import type { Verdict } from './health-report.ts';
import { reportsNeeded } from './health-report.ts';

// Bindings may still name these; keeping more would only cost memory.
const MAX_PAST_INCARNATIONS = 16;

/** The instance with a new incarnation; the previous one has ended. */
export function withIncarnation(instance: AgreedInstance, incarnation: string): AgreedInstance {
  const { incarnation: ended } = instance;
  const past = ended === '' ? instance.past : [...instance.past, ended].slice(-MAX_PAST_INCARNATIONS);
  return { ...instance, incarnation, past: past.filter((earlier) => earlier !== incarnation) };
}

/**
 * The incarnation that probes show and the view does not have. A new incarnation seen once is proof, so it needs no
 * quorum. An ended incarnation can come from a replica that has not probed since the restart, so it takes a majority
 * to believe that one again.
 */
export function newIncarnation(
  instance: AgreedInstance,
  verdicts: readonly Verdict[],
  live: number,
): string | undefined {
  const isKnown = verdicts.every(({ incarnation: id }) => id === '' || id === instance.incarnation);
  if (isKnown) return undefined;
  const seen = verdicts.flatMap(({ incarnation }) => (incarnation === '' ? [] : [incarnation]));
  const unseen = seen.find((id) => id !== instance.incarnation && !instance.past.includes(id));
  if (unseen !== undefined || seen.includes(instance.incarnation)) return unseen;
  return seen.find(
    (id) => seen.filter((other) => other === id).length >= reportsNeeded('majority', 'up', live),
  );
}
