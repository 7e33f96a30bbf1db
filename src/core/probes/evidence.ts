import { bucketEnd, LATENCY_BUCKETS, latencyBucket, percentiles } from '../history/latencies.ts';
import type { InstanceId } from '../instance.ts';
import type { Watched } from './silences.ts';

/** Today and the days before, in UTC. */
const DAYS_KEPT = 7;
export const DAY_MS = 86_400_000;

export interface Longest {
  readonly ms: number;
  /** When it ended, in milliseconds since the Unix epoch. */
  readonly at: number;
}

/** What is counted of each passed probe: the silence that it ended, by kind, and {@link Watched.slowMs}. */
export const KINDS = ['unanswered', 'failed', 'slow'] as const;

/** By the bucket of their length. */
type Counts = Readonly<Record<(typeof KINDS)[number], Uint32Array>>;

/**
 * One day of one instance, as a controller hands it to the next one, also of another release. Counts are lists: each
 * bucket of `latencyBucket` that is not empty, followed by its count.
 */
export interface KeptDay {
  /** Its number since the Unix epoch. */
  readonly day: number;
  /** The first probe in it, in milliseconds since the Unix epoch. */
  readonly since: number;
  readonly watchedMs: number;
  readonly unanswered: readonly number[];
  readonly failed: readonly number[];
  readonly slow: readonly number[];
  readonly longest: Longest | null;
}

export type KeptEvidence = Readonly<Record<InstanceId, readonly KeptDay[]>>;

interface Day {
  readonly day: number;
  since: number;
  watchedMs: number;
  readonly counts: Counts;
  longest: Longest | null;
}

/** What is known of an instance over the last days. */
export interface InstanceEvidence {
  readonly id: InstanceId;
  /** The first probe that counts, in milliseconds since the Unix epoch; `undefined` before it. */
  readonly since: number | undefined;
  /** The time in which it was the same incarnation from one passed probe to the next. */
  readonly watchedMs: number;
  readonly counts: Counts;
  readonly longest: Longest | null;
}

/** The silences of the instances of one pool over the last days, in memory of a fixed size for each instance. */
export class ProbeEvidence {
  readonly #instances = new Map<InstanceId, Day[]>();

  /** @param now in milliseconds since the Unix epoch */
  add(id: InstanceId, { watchedMs, silence, slowMs }: Watched, now: number): void {
    if (silence === undefined) return;
    const day = this.#dayOf(id, now);
    day.watchedMs += watchedMs;
    count(day.counts[silence.kind], latencyBucket(silence.ms), 1);
    count(day.counts.slow, latencyBucket(slowMs), 1);
    if (silence.ms > (day.longest?.ms ?? 0)) day.longest = { ms: Math.round(silence.ms), at: now };
  }

  of(id: InstanceId, now: number): InstanceEvidence {
    const days = (this.#instances.get(id) ?? []).filter(({ day }) => isKept(day, now));
    const counts = noCounts();
    for (const day of days) for (const kind of KINDS) addCounts(counts[kind], day.counts[kind]);
    const longest = days.flatMap((day) => day.longest ?? []).toSorted((a, b) => b.ms - a.ms)[0] ?? null;
    return {
      id,
      since: days.length === 0 ? undefined : Math.min(...days.map(({ since }) => since)),
      watchedMs: days.reduce((sum, { watchedMs }) => sum + watchedMs, 0),
      counts,
      longest,
    };
  }

  kept(now: number): KeptEvidence {
    return Object.fromEntries(
      [...this.#instances].map(([id, days]) => [
        id,
        days
          .filter(({ day }) => isKept(day, now))
          .map(({ counts: { unanswered, failed, slow }, ...day }) => ({
            ...day,
            unanswered: sparse(unanswered),
            failed: sparse(failed),
            slow: sparse(slow),
          })),
      ]),
    );
  }

  /** Adds what an earlier controller kept. */
  inherit(kept: KeptEvidence): void {
    for (const [id, days] of Object.entries(kept)) {
      for (const { since, watchedMs, longest, ...counts } of days) {
        const day = this.#dayOf(id, since);
        day.since = Math.min(day.since, since);
        day.watchedMs += watchedMs;
        for (const kind of KINDS) addSparse(day.counts[kind], counts[kind]);
        if (longest !== null && longest.ms > (day.longest?.ms ?? 0)) day.longest = longest;
      }
    }
  }

  #dayOf(id: InstanceId, now: number): Day {
    const number = dayNumber(now);
    const days = this.#instances.get(id) ?? [];
    let day = days.find((one) => one.day === number);
    if (day === undefined) {
      day = { day: number, since: now, watchedMs: 0, counts: noCounts(), longest: null };
      // The newest ones, also if the clock was set back.
      const sorted = [...days, day].toSorted((a, b) => a.day - b.day);
      this.#instances.set(id, sorted.slice(-DAYS_KEPT));
    }
    return day;
  }
}

/** How many of these were at least so long, and shorter than `end`. All in the bucket of that length count too. */
export function countFrom(counts: Uint32Array, ms: number, end: number): number {
  let sum = 0;
  for (let bucket = latencyBucket(ms); bucket < latencyBucket(end); bucket += 1)
    sum += counts[bucket] as number;
  return sum;
}

/** What all of these were shorter than that are shorter than `end`, to within a bucket; 0 if there are none. */
export function longestBefore(counts: Uint32Array, end: number): number {
  for (let bucket = latencyBucket(end) - 1; bucket >= 0; bucket -= 1)
    if ((counts[bucket] as number) > 0) return bucketEnd(bucket);
  return 0;
}

/** The median and the 99th percentile of the silences without failures; `undefined` without any. */
export function answerTimes({ counts }: InstanceEvidence): { p50: number; p99: number } | undefined {
  const [p50 = Number.NaN, p99 = Number.NaN] = percentiles(counts.unanswered, [0.5, 0.99]);
  return Number.isNaN(p50) ? undefined : { p50, p99 };
}

function dayNumber(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

function isKept(day: number, now: number): boolean {
  return day > dayNumber(now) - DAYS_KEPT;
}

function noCounts(): Counts {
  const none = (): Uint32Array => new Uint32Array(LATENCY_BUCKETS);
  return { unanswered: none(), failed: none(), slow: none() };
}

function addCounts(to: Uint32Array, counts: Uint32Array): void {
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket += 1) count(to, bucket, counts[bucket] as number);
}

function sparse(counts: Uint32Array): number[] {
  const found: number[] = [];
  for (let bucket = 0; bucket < counts.length; bucket += 1)
    if ((counts[bucket] as number) > 0) found.push(bucket, counts[bucket] as number);
  return found;
}

function addSparse(to: Uint32Array, counts: readonly number[]): void {
  for (let i = 0; i + 1 < counts.length; i += 2) count(to, counts[i] as number, counts[i + 1] as number);
}

function count(counts: Uint32Array, bucket: number, number: number): void {
  counts[bucket] = (counts[bucket] as number) + number;
}
