import type { AffinityStore } from '../../src/core/ports.ts';
import type { Person } from './dialogue.ts';

/** The instance and its incarnation that last served an agent. */
interface Home {
  readonly instance: string;
  readonly incarnation: number;
}

/** Knows the real sender of each request, and reports a broken promise. */
export class Oracle {
  readonly #homes = new Map<string, Home>();
  readonly #incarnations = new Map<string, number>();

  /** The instance is lost: its agents may be served elsewhere from now on. */
  lost(instance: string): void {
    this.#incarnations.set(instance, this.#incarnationOf(instance) + 1);
  }

  /** Records that a request of this agent went there. */
  served(speaker: string, instance: string): string | undefined {
    const home = this.#homes.get(speaker);
    this.#homes.set(speaker, { instance, incarnation: this.#incarnationOf(instance) });
    if (home === undefined || home.instance === instance) return undefined;
    if (home.incarnation !== this.#incarnationOf(home.instance)) return undefined;
    return `${speaker} was at ${home.instance}, which lives, and is served by ${instance}`;
  }

  #incarnationOf(instance: string): number {
    return this.#incarnations.get(instance) ?? 0;
  }
}

/** The instances to which the names of these people lead now. */
export async function placesOf(
  store: AffinityStore,
  people: readonly Person[],
): Promise<(string | undefined)[]> {
  const places: (string | undefined)[] = [];
  for (const { user, session } of people) {
    places.push((await store.renew([{ kind: 'session', value: session }]))?.instance);
    places.push((await store.renew([{ kind: 'user', value: user }]))?.instance);
  }
  return places;
}
