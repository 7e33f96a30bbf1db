import type { Metric, Registry } from 'prom-client';
import { Counter } from 'prom-client';
import { latencyBucket } from '../core/history/latencies.ts';
import type { CountsOfSecond, InstanceCounts, PoolCounts } from '../core/history/pool-counts.ts';
import type { InstanceId } from '../core/instance.ts';
import type { NamePlace, NameSource, SeenNames, UnnamedReason } from '../core/seen-names.ts';
import { elementKey, IGNORED, ignoredKey, NAMED, SEEN_SECONDS, UNNAMED } from '../core/seen-names.ts';

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

const SLOT_MS = 5 * 60_000;
const SLOTS = 12;

interface Slot {
  /** Counts periods of SLOT_MS. */
  number: number;
  readonly counts: Map<string, Counts>;
}

/** Counts by pool and one more key over the last hour, in twelve slots of five minutes. */
export class LastHour<Key extends string = string> {
  readonly #slots: readonly Slot[] = Array.from({ length: SLOTS }, () => ({ number: -1, counts: new Map() }));
  readonly #mostKeys: number;
  readonly #others: Key | undefined;

  /**
   * @param mostKeys of a pool in a slot; later ones count as `others`, because clients may choose the keys
   * @param others `undefined`: later ones are not counted
   */
  constructor(mostKeys = Number.POSITIVE_INFINITY, others?: Key) {
    this.#mostKeys = mostKeys;
    this.#others = others;
  }

  /** Returns how often the key came in this slot; 0 if it is not counted. */
  inc(pool: string, key: Key, now = performance.now()): number {
    const number = Math.floor(now / SLOT_MS);
    const slot = this.#slots[number % SLOTS] as Slot;
    if (slot.number !== number) {
      slot.number = number;
      slot.counts.clear();
    }
    const counts = within(slot.counts, pool);
    const isNew = counts.size >= this.#mostKeys && !counts.has(key);
    const counted = isNew ? this.#others : key;
    if (counted === undefined) return 0;
    const count = (counts.get(counted) ?? 0) + 1;
    counts.set(counted, count);
    return count;
  }

  /** The sums of a pool, the greatest first. */
  of(pool: string, now = performance.now()): Map<Key, number> {
    const oldest = Math.floor(now / SLOT_MS) - SLOTS + 1;
    const sums = new Map<Key, number>();
    for (const { number, counts } of this.#slots) {
      if (number < oldest) continue;
      for (const [key, count] of counts.get(pool) ?? [])
        sums.set(key as Key, (sums.get(key as Key) ?? 0) + count);
    }
    return new Map([...sums].sort(([, a], [, b]) => b - a));
  }
}

// Of a pool in five minutes. ICI has some dozens of operations.
const MOST_OPERATIONS = 100;
const MOST_LETTERS = 100;
// In five minutes, of an operation and a pool: the requests whose elements are listed, and the names that are kept.
const MOST_LISTED = 3;
const MOST_ELEMENTS = 1_000;
const OTHERS = '(others)';
const NO_OPERATION = '(no operation)';

// No name of an element is empty.
const SEARCHED = '';

/** What is looked for in bodies, as in {@link lookedForKey}. */
export interface LookedFor {
  readonly user: readonly string[];
  readonly session: readonly string[];
}

/** Which rule of each kind found a name. */
interface FoundAt {
  readonly userRank?: number | undefined;
  readonly sessionRank?: number | undefined;
}

/** How requests name their agents, for Prometheus and over the last hour. */
export class NameCounts {
  readonly #total: Tally;
  readonly #ignoredTotal: Tally;
  readonly #sources = new LastHour<NameSource>();
  readonly #reasons = new LastHour<UnnamedReason>();
  readonly #operations = new LastHour<string>(MOST_OPERATIONS, OTHERS);
  readonly #ignored = new LastHour();
  readonly #conflicts = new LastHour<string>(MOST_OPERATIONS, OTHERS);
  readonly #listed = new LastHour<string>(MOST_OPERATIONS);
  readonly #elements = new LastHour<string>(MOST_ELEMENTS);
  readonly #found = new LastHour<string>();
  readonly #begunAt = performance.now();
  #lookedFor: LookedFor = { user: [], session: [] };

  constructor(registry: Registry) {
    this.#total = new Tally(
      registry,
      'gateway_identity_total',
      'Requests of pools that bind agents, by where the name that decides was found (header, cookie, body, address, none), and why there was none (otherwise empty)',
      ['pool', 'source', 'reason'],
    );
    this.#ignoredTotal = new Tally(
      registry,
      'gateway_names_ignored_total',
      'Names in requests that were not used, by source (header, cookie, body) and reason: found (in a body, and bound to another instance than the name that decides), shared (a session on which several users alternate), conflict (two sessions beside a user), or why the value cannot be a name',
      ['pool', 'source', 'reason'],
    );
  }

  named(pool: string, source: Exclude<NameSource, 'none'>): void {
    this.#total.inc(pool, source, '');
    this.#sources.inc(pool, source);
  }

  /** @param operation its local name, if the body was searched and has one */
  unnamed(pool: string, reason: UnnamedReason, operation: string | undefined): void {
    this.#total.inc(pool, 'none', reason);
    this.#sources.inc(pool, 'none');
    this.#reasons.inc(pool, reason);
    this.#operations.inc(pool, shortened(operation));
  }

  /** Names the elements in which names are looked for, in the order of their rules. */
  lookFor(elements: LookedFor): void {
    this.#lookedFor = elements;
  }

  /** Counts a searched body, and the elements that held its names. */
  searched(pool: string, { userRank, sessionRank }: FoundAt): void {
    const { user, session } = this.#lookedFor;
    this.#found.inc(pool, SEARCHED);
    const [ofUser, ofSession] = [user[userRank ?? -1], session[sessionRank ?? -1]];
    if (ofUser !== undefined) this.#found.inc(pool, ofUser);
    if (ofSession !== undefined) this.#found.inc(pool, ofSession);
  }

  /** Should the elements of this request be listed, because it names no agent? Few are, so that it costs little. */
  wantsElements(pool: string, operation: string | undefined): boolean {
    const count = this.#listed.inc(pool, shortened(operation));
    return count > 0 && count <= MOST_LISTED;
  }

  /** Notes the names of elements in a request that names no agent. */
  elements(pool: string, operation: string | undefined, names: readonly string[]): void {
    for (const name of names) this.#elements.inc(pool, elementKey(shortened(operation), name));
  }

  /** Counts a value that was not used as a name. */
  ignored(pool: string, source: NamePlace, reason: string): void {
    this.#ignoredTotal.inc(pool, source, reason);
    this.#ignored.inc(pool, ignoredKey(source, reason));
  }

  /** Counts a name in a body that is bound to another instance than the name that decided. */
  conflict(pool: string, operation: string | undefined): void {
    this.#conflicts.inc(pool, shortened(operation));
  }

  /** Begins the series of a pool at zero. */
  begin(pool: string): void {
    for (const source of NAMED) this.#total.inc(pool, source, '', 0);
    for (const reason of UNNAMED) this.#total.inc(pool, 'none', reason, 0);
    for (const [source, reasons] of Object.entries(IGNORED))
      for (const reason of reasons) this.#ignoredTotal.inc(pool, source, reason, 0);
  }

  ofLastHour(pool: string): SeenNames {
    const found = this.#found.of(pool);
    const lookedFor = [...this.#lookedFor.user, ...this.#lookedFor.session];
    return {
      sources: this.#sources.of(pool),
      reasons: this.#reasons.of(pool),
      operations: this.#operations.of(pool),
      ignored: this.#ignored.of(pool),
      conflicts: this.#conflicts.of(pool),
      seconds: Math.min(SEEN_SECONDS, Math.round((performance.now() - this.#begunAt) / 1_000)),
      searched: found.get(SEARCHED) ?? 0,
      found: new Map(lookedFor.map((key) => [key, found.get(key) ?? 0])),
      elements: this.#elements.of(pool),
    };
  }
}

function shortened(operation = NO_OPERATION): string {
  return operation.slice(0, MOST_LETTERS);
}

interface Observed {
  /** One bucket per bound, and a last one for values above all bounds. */
  readonly buckets: Float64Array;
  sum: number;
}

/**
 * A histogram by pool for values observed on every request. It costs a tenth of prom-client's, which finds its bucket
 * through label objects. It exports its data to prom-client in that library's format.
 */
export class Durations {
  readonly name: string;
  readonly help: string;
  readonly labelNames = ['pool'] as const;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: readonly number[];
  readonly #byPool = new Map<string, Observed>();

  /** @param bounds upper bounds in seconds, ascending */
  constructor(registry: Registry, name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    registry.registerMetric(this as unknown as Metric);
  }

  observe(pool: string, seconds: number): void {
    const observed = this.#byPool.get(pool) ?? this.begin(pool);
    let bucket = 0;
    while (seconds > (this.#bounds[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    (observed.buckets[bucket] as number) += 1;
    observed.sum += seconds;
  }

  /** Begins a pool's series at zero. */
  begin(pool: string): Observed {
    const observed = { buckets: new Float64Array(this.#bounds.length + 1), sum: 0 };
    this.#byPool.set(pool, observed);
    return observed;
  }

  /** The method through which prom-client reads a metric. */
  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const values: object[] = [];
    for (const [pool, { buckets, sum }] of this.#byPool) {
      let count = 0;
      buckets.forEach((observed, i) => {
        count += observed;
        values.push({
          metricName: `${name}_bucket`,
          labels: { le: this.#bounds[i] ?? '+Inf', pool },
          value: count,
        });
      });
      values.push({ metricName: `${name}_sum`, labels: { pool }, value: sum });
      values.push({ metricName: `${name}_count`, labels: { pool }, value: count });
    }
    return { name, help, type, aggregator, values };
  }

  reset(): void {
    this.#byPool.clear();
  }
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

// The index of the first class is that of answers with 2xx.
const FIRST_CLASS = 2;
const CLASSES = 4;

/** Counts the requests of each pool since they were last taken, for the history. */
export class SecondCounts {
  readonly #pools = new Map<string, Counted>();

  /** @param error the code, if the gateway itself answered with an error */
  ended(pool: string, status: number, durationMs: number, error: string | undefined): void {
    this.#of(pool).ended(status, durationMs, error);
  }

  /** An attempt at an instance has ended. */
  attempted(pool: string, instance: InstanceId, hasFailed: boolean): void {
    this.#of(pool).attempted(instance, hasFailed);
  }

  /** What was counted since the last call, by pool. */
  take(): CountsOfSecond {
    const taken = new Map<string, PoolCounts>();
    for (const [pool, counted] of this.#pools) {
      const counts = counted.take();
      if (counts !== undefined) taken.set(pool, counts);
    }
    return taken;
  }

  #of(pool: string): Counted {
    const known = this.#pools.get(pool);
    if (known !== undefined) return known;
    const made = new Counted();
    this.#pools.set(pool, made);
    return made;
  }
}

class Counted {
  #hasNews = false;
  readonly #answers = new Float64Array(CLASSES);
  /** In milliseconds. */
  #durations: number[] = [];
  #errors = new Map<string, number>();
  #instances = new Map<InstanceId, Mutable<InstanceCounts>>();

  ended(status: number, durationMs: number, error: string | undefined): void {
    this.#hasNews = true;
    const index = Math.floor(status / 100) - FIRST_CLASS;
    if (index >= 0 && index < CLASSES) (this.#answers[index] as number) += 1;
    this.#durations.push(durationMs);
    if (error !== undefined) this.#errors.set(error, (this.#errors.get(error) ?? 0) + 1);
  }

  attempted(instance: InstanceId, hasFailed: boolean): void {
    this.#hasNews = true;
    let counts = this.#instances.get(instance);
    if (counts === undefined) {
      counts = { requests: 0, failures: 0 };
      this.#instances.set(instance, counts);
    }
    counts.requests += 1;
    if (hasFailed) counts.failures += 1;
  }

  take(): PoolCounts | undefined {
    if (!this.#hasNews) return undefined;
    this.#hasNews = false;
    const latencies = new Map<number, number>();
    for (const ms of this.#durations) {
      const bucket = latencyBucket(ms);
      latencies.set(bucket, (latencies.get(bucket) ?? 0) + 1);
    }
    const taken = {
      answers: [...this.#answers],
      errors: this.#errors,
      latencies,
      instances: this.#instances,
    };
    this.#answers.fill(0);
    this.#durations = [];
    this.#errors = new Map();
    this.#instances = new Map();
    return taken;
  }
}
