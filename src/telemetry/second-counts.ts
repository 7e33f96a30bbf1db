import { latencyBucket } from '../core/history/latencies.ts';
import type { CountsOfSecond, InstanceCounts, PoolCounts } from '../core/history/pool-counts.ts';
import type { InstanceId } from '../core/instance.ts';

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
