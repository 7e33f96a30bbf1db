import type { AffinityStore } from '../../src/core/ports.ts';
import type { Person } from './dialogue.ts';

/** Where an agent was served last, and in which life of the instance. */
interface Home {
  readonly instance: string;
  readonly incarnation: number;
}

/** Knows who really spoke, whatever the requests say, and tells where a promise was broken. */
export class Oracle {
  readonly #homes = new Map<string, Home>();
  readonly #incarnations = new Map<string, number>();

  /** The instance is lost: its agents may be served elsewhere from now on. */
  lost(instance: string): void {
    this.#incarnations.set(instance, this.#incarnationOf(instance) + 1);
  }

  /** A request of this agent went there. */
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

/** Where the names of these people lead now. */
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
