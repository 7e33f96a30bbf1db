import { healthProfiles } from '../config/computed.ts';
import type { Config } from '../config/schema.ts';
import type { Conclusion, NamedTimes, Profile } from '../core/probes/advice.ts';
import type { KeptEvidence } from '../core/probes/evidence.ts';
import { WatchedProbes } from '../health/watched-probes.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** What the probes of each pool show, for operators and for the next controller. */
export class ProbesOfPools {
  readonly #pools: ReadonlyMap<string, WatchedProbes>;

  constructor({ pools }: Pick<Config, 'pools'>, logger: Logger, metrics: Metrics) {
    this.#pools = new Map(
      pools.map(({ name: pool, health, instances }) => [
        pool,
        new WatchedProbes({
          instances: instances.map(({ id }) => id),
          ...timesOf(health),
          onSilence: (instance, { ms }) => metrics.probeSilence.observe({ pool, instance }, ms / 1_000),
          onDay: (conclusion) => logger.info(fieldsOf(pool, conclusion), 'answer times of probes'),
          onAdvice: (conclusion, before) =>
            logger.info({ ...fieldsOf(pool, conclusion), before }, 'advice on health.profile'),
        }),
      ]),
    );
  }

  of(pool: string): WatchedProbes {
    return this.#pools.get(pool) as WatchedProbes;
  }

  get kept(): Record<string, KeptEvidence> {
    return Object.fromEntries([...this.#pools].map(([pool, probes]) => [pool, probes.kept]));
  }

  /** @param kept by an earlier controller, if it was one of this release */
  inherit(kept: Readonly<Record<string, KeptEvidence>> = {}): void {
    for (const [pool, probes] of this.#pools) probes.inherit(kept[pool] ?? {});
  }
}

type Times = Pick<Config['pools'][number]['health'], 'interval' | 'fastInterval' | 'timeout' | 'fall'>;

function timesOf(health: Times): { present: NamedTimes; profiles: readonly NamedTimes[] } {
  const profiles = healthProfiles().map(({ profile, ...times }) => named(profile, times));
  const { times } = named(undefined, health);
  const present = profiles.find((one) => JSON.stringify(one.times) === JSON.stringify(times));
  return { profiles, present: present ?? { profile: undefined, times } };
}

function named(profile: Profile | undefined, { interval, fastInterval, timeout, fall }: Times): NamedTimes {
  const times = { intervalMs: interval, fastIntervalMs: fastInterval, timeoutMs: timeout, fall };
  return { profile, times };
}

function fieldsOf(pool: string, { advice, text, since }: Conclusion): object {
  return { pool, advice, ...(since === undefined ? {} : { since: new Date(since).toISOString() }), text };
}
