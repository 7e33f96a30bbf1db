import type { Random } from '../../src/simulator/random.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import type { Kind } from './faults.ts';

/** A fault that is to come. Times are in milliseconds from the begin. */
export interface Planned {
  readonly kind: Kind;
  /** The gateway that it strikes, by its number, if it strikes one. */
  readonly gateway: number;
  readonly instance: number;
  readonly atMs: number;
  readonly forMs: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly kinds: readonly Kind[];
  readonly gateways: number;
  readonly instances: number;
}

/** Without a fault: at the begin, between two and at the end, so that the recovery from each is seen. */
export const CALM = { first: 5_000, least: 15_000, most: 25_000, last: 12_000 } as const;
const PAIR_SHARE = 1 / 3;
/** The second of a pair begins at least so long after the first. */
const AFTER_FIRST_MS = 300;

/**
 * One or two faults at a time, and then none for a while. Every kind comes once before any comes again. The last gateway keeps
 * its processes, so that their memory can be followed from the begin to the end.
 */
export function planOf({ seed, minutes, kinds, gateways, instances }: PlanOptions): (readonly Planned[])[] {
  const random = seededRandom(seed);
  const end = minutes * 60_000 - CALM.last;
  const deck: Kind[] = [];
  const draw = (fits: (kind: Kind) => boolean): Kind | undefined => {
    // What is left of the last round comes before the next one.
    if (!deck.some(fits)) deck.push(...shuffled(kinds, random));
    const index = deck.findIndex(fits);
    return index < 0 ? undefined : deck.splice(index, 1)[0];
  };
  const aimed = (kind: Kind, atMs: number): Planned => ({
    kind,
    gateway: below(kind.ends === true ? gateways - 1 : gateways, random),
    instance: below(instances, random),
    atMs: Math.round(atMs),
    forMs: Math.round(between(kind.lasts[0], kind.lasts[1], random) * 1_000),
  });

  const plan: (readonly Planned[])[] = [];
  for (let at = CALM.first; ; ) {
    const kind = draw(() => true);
    if (kind === undefined) return plan;
    const episode = [aimed(kind, at)];
    if (random() < PAIR_SHARE) {
      const [first] = episode as [Planned];
      const later = at + between(AFTER_FIRST_MS, Math.max(AFTER_FIRST_MS, first.forMs), random);
      const other = draw((one) => clashOf(kind, one) === undefined);
      if (other !== undefined) episode.push(apart(first, aimed(other, later), { gateways, instances }));
    }
    const over = Math.max(...episode.map(({ atMs, forMs }) => atMs + forMs));
    if (over > end) return plan;
    plan.push(episode);
    at = over + between(CALM.least, CALM.most, random);
  }
}

/** Why the two are never caused at once; undefined if they may be. */
export function clashOf(one: Kind, other: Kind): string | undefined {
  if (one.name === other.name) return 'one kind twice';
  if (one.victim === 'redis' && other.victim === 'redis') return 'the replica is the last copy';
  const pair = [one, other];
  if (pair.some(({ isolates }) => isolates) && pair.some(({ bereaves }) => bereaves))
    return 'a gateway that alone loses Redis does not learn of moves';
  if (pair.some(({ isAway }) => isAway) && pair.some(({ isStarted }) => isStarted))
    return 'a process that starts while Redis is away knows no agent';
  if (pair.every(({ ends }) => ends)) return 'a process that is replaced must not be missing otherwise';
  return undefined;
}

/** The second strikes another gateway and another instance than the first, where both strike one. */
function apart(
  first: Planned,
  second: Planned,
  { gateways, instances }: { gateways: number; instances: number },
): Planned {
  const own = (of: number, taken: number, count: number): number => (of === taken ? (of + 1) % count : of);
  return {
    ...second,
    gateway: own(second.gateway, first.gateway, second.kind.ends === true ? gateways - 1 : gateways),
    instance: own(second.instance, first.instance, instances),
  };
}

function between(least: number, most: number, random: Random): number {
  return least + (most - least) * random();
}

function below(count: number, random: Random): number {
  return Math.floor(random() * count);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** The fault in words. */
export function titleOf({ kind, gateway, instance }: Planned): string {
  const name = String.fromCharCode('a'.charCodeAt(0) + instance);
  return kind.title.replace('{g}', `g${gateway + 1}`).replace('{i}', name);
}
