import type { Registry } from 'prom-client';
import { Counter } from 'prom-client';

type Counts = Map<string, number>;

/**
 * A counter with three labels for values counted on every request. prom-client builds and hashes a label object for
 * each increment. Here an increment takes three map lookups, and prom-client gets the sums when it collects.
 */
export class Tally {
  readonly #counts = new Map<string, Map<string, Counts>>();

  constructor(registry: Registry, name: string, help: string, labelNames: readonly [string, string, string]) {
    const counts = this.#counts;
    const [a, b, c] = labelNames;
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [first, seconds] of counts) {
          for (const [second, thirds] of seconds) {
            for (const [third, count] of thirds) this.inc({ [a]: first, [b]: second, [c]: third }, count);
          }
        }
      },
    });
  }

  inc(first: string, second: string, third: string, by = 1): void {
    const thirds = within(within(this.#counts, first), second);
    thirds.set(third, (thirds.get(third) ?? 0) + by);
  }
}

function within<V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const held = map.get(key);
  if (held !== undefined) return held;
  const made = new Map<string, V>();
  map.set(key, made);
  return made;
}
