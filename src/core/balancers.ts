import { hash } from 'node:crypto';
import type { InstanceId, InstanceState } from './instance.ts';

export type BalancerName = 'rendezvous' | 'round-robin' | 'least-bound' | 'least-in-flight' | 'random';

/** How busy the instances are, as far as the caller knows. */
export interface Load {
  boundAgents(instance: InstanceId): number;
  inFlight(instance: InstanceId): number;
}

/**
 * Proposes an instance for an agent that has none. It is only a proposal: the store decides which of several
 * simultaneous ones becomes the binding.
 *
 * @param candidates assignable instances, so every weight is above zero
 * @param key the deciding name; a hashing balancer maps equal keys to equal instances
 */
export type Balancer = (
  candidates: readonly InstanceState[],
  key: string,
  load: Load,
) => InstanceState | undefined;

/** Some balancers remember what they proposed, so each pool has its own. */
export function createBalancer(name: BalancerName, random: () => number = Math.random): Balancer {
  switch (name) {
    case 'rendezvous':
      return rendezvous;
    case 'round-robin':
      return smoothRoundRobin();
    case 'least-bound':
      return (candidates, key, load) => leastPerWeight(candidates, key, (id) => load.boundAgents(id));
    case 'least-in-flight':
      return (candidates, key, load) => leastPerWeight(candidates, key, (id) => load.inFlight(id));
    case 'random':
      return (candidates) => weightedRandom(candidates, random);
  }
}

/**
 * Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005): every
 * instance draws a score from the key, and the highest wins. Gateways agree without talking to each other. When an
 * instance leaves, only its own agents move.
 */
export function rendezvous(candidates: readonly InstanceState[], key: string): InstanceState | undefined {
  let best: InstanceState | undefined;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const score = -candidate.weight / Math.log(uniform(key, candidate.id));
    if (score > bestScore) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

/** The candidates with room for one more agent; those with most room if none has any. */
export function withRoom(
  candidates: readonly InstanceState[],
  load: Load,
  maxAgents: ReadonlyMap<InstanceId, number>,
): readonly InstanceState[] {
  if (maxAgents.size === 0) return candidates;
  const room = ({ id }: InstanceState): number => (maxAgents.get(id) ?? Infinity) - load.boundAgents(id);
  const most = Math.max(...candidates.map(room));
  return candidates.filter((one) => (most > 0 ? room(one) > 0 : room(one) === most));
}

/** The candidates in the order in which {@link rendezvous} prefers them. */
export function byRendezvous(candidates: readonly InstanceState[], key: string): InstanceState[] {
  const left = [...candidates];
  const order: InstanceState[] = [];
  while (left.length > 0) order.push(...left.splice(left.indexOf(rendezvous(left, key) as InstanceState), 1));
  return order;
}

/** A number in (0, 1) that depends only on the two strings. */
function uniform(key: string, id: InstanceId): number {
  // The id's length comes first, so that no two pairs concatenate to the same text.
  const digest = hash('sha256', `${id.length}:${id}${key}`, 'buffer');
  return (digest.readUIntBE(0, 6) + 0.5) / 2 ** 48;
}

/**
 * Smooth weighted round robin, as in nginx: in each turn every candidate gains its weight, and the one with the most
 * credit is chosen and pays the sum. This spreads the turns of a heavy instance.
 */
function smoothRoundRobin(): Balancer {
  const credit = new Map<InstanceId, number>();
  return (candidates) => {
    let chosen: InstanceState | undefined;
    let highest = Number.NEGATIVE_INFINITY;
    let total = 0;
    for (const candidate of candidates) {
      const gained = (credit.get(candidate.id) ?? 0) + candidate.weight;
      credit.set(candidate.id, gained);
      total += candidate.weight;
      if (gained > highest) {
        chosen = candidate;
        highest = gained;
      }
    }
    if (chosen === undefined) return undefined;
    credit.set(chosen.id, highest - total);
    // Drop the credit of absent candidates, so that they do not return with an old claim.
    if (credit.size > candidates.length) {
      const present = new Set(candidates.map((candidate) => candidate.id));
      for (const id of credit.keys()) if (!present.has(id)) credit.delete(id);
    }
    return chosen;
  };
}

/** Rendezvous breaks ties, so that gateways do not all prefer the first instance in the list. */
function leastPerWeight(
  candidates: readonly InstanceState[],
  key: string,
  amount: (id: InstanceId) => number,
): InstanceState | undefined {
  let least = Number.POSITIVE_INFINITY;
  let tied: InstanceState[] = [];
  for (const candidate of candidates) {
    // Count the new agent too, so that an empty heavy instance comes before an empty light one.
    const share = (amount(candidate.id) + 1) / candidate.weight;
    if (share < least) {
      least = share;
      tied = [candidate];
    } else if (share === least) {
      tied.push(candidate);
    }
  }
  return tied.length > 1 ? rendezvous(tied, key) : tied[0];
}

function weightedRandom(
  candidates: readonly InstanceState[],
  random: () => number,
): InstanceState | undefined {
  let total = 0;
  for (const candidate of candidates) total += candidate.weight;
  let ticket = random() * total;
  for (const candidate of candidates) {
    ticket -= candidate.weight;
    if (ticket < 0) return candidate;
  }
  return candidates.at(-1);
}
