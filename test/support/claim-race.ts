import { randomBytes, randomUUID } from 'node:crypto';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { PoolCoordinator } from '../../src/coordination/pool-coordinator.ts';
import type { Claim } from '../../src/core/binding.ts';
import type { Name } from '../../src/core/identity.ts';
import { StaleView, StoreUnavailable } from '../../src/core/ports.ts';
import { withAdmin } from '../../src/core/view/policy-changes.ts';
import { placementAt } from '../../src/core/view/view.ts';
import type { RedisAddress } from '../../src/redis/clients.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { Histogram } from '../../src/simulator/histogram.ts';
import { startBareReplica } from './bare-replica.ts';
import { eventually } from './eventually.ts';
import { REDIS_TIMEOUTS } from './redis-timeouts.ts';

export interface RaceResult {
  readonly pairs: number;
  /** Agents whose first two claims returned different bindings. */
  readonly splits: number;
  /** Pairs in which the two replicas proposed different instances, so that they really compete. */
  readonly contested: number;
  /** Claims that were refused because the view had changed, and repeated on the new one. */
  readonly refused: number;
  /** Views that took effect during the race. */
  readonly views: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface RaceOptions {
  readonly redis: RedisAddress;
  readonly pairs: number;
  /** Called from time to time with the number of finished pairs. */
  readonly onProgress?: (pairs: number) => void;
}

interface Racer {
  readonly redis: RedisConnection;
  readonly store: RedisStore;
  readonly coordinator: PoolCoordinator;
}

const REPLICAS = 3;
// Shorter than a gateway's, so that the race starts sooner; but syncs must be answered within a third of it beside the
// claims of one turn.
const LEASE_MS = 2_000;
const INSTANCES = ['a', 'b', 'c'];
const PAIRS_AT_ONCE = 100;
const DRAIN_EVERY_MS = 500;
const PROGRESS_PAIRS = 50_000;
// A view waits for a replica that a busy machine delays for up to a lease; one claim may meet several such views.
const REFUSED_FOR_MS = 20 * LEASE_MS;

/**
 * Makes two of three replicas claim the same new agent at the same moment, each
 * with its own proposal, many times, while instances start and stop draining
 * and the fencing token changes accordingly.
 */
export async function raceClaims({ redis: address, pairs, onProgress }: RaceOptions): Promise<RaceResult> {
  const keyPrefix = `race-${randomBytes(4).toString('hex')}`;
  const racers: Racer[] = [];
  const latencies = new Histogram();
  let drains: NodeJS.Timeout | undefined;
  let splits = 0;
  let contested = 0;
  let refused = 0;
  let begun = 0;

  const claim = async ({ store, coordinator }: Racer, names: readonly Name[]): Promise<[Claim, string]> => {
    const begunAt = performance.now();
    while (performance.now() - begunAt < REFUSED_FOR_MS) {
      const { fencingToken, view } = coordinator.routingState;
      if (fencingToken === '') {
        await coordinator.renew();
        // While the view store is in doubt that resolves at once, and no answer can be read before the next turn.
        await new Promise(setImmediate);
        continue;
      }
      const { assignable } = view;
      const chosen = assignable[Math.floor(Math.random() * assignable.length)];
      if (chosen === undefined) throw new Error('no instance takes agents');
      try {
        const made = await store.claim(names, placementAt(chosen), fencingToken);
        latencies.record(performance.now() - begunAt);
        return [made, chosen.id];
      } catch (error) {
        if (!(error instanceof StaleView)) throw error;
        refused += 1;
        await coordinator.renew();
      }
    }
    throw new Error(`a claim was refused for ${REFUSED_FOR_MS} ms`);
  };
  const lane = async (): Promise<void> => {
    while (begun < pairs) {
      const number = begun;
      begun += 1;
      if (begun % PROGRESS_PAIRS === 0) onProgress?.(begun);
      const names: Name[] = [
        { kind: 'user', value: `AGENT${number}` },
        { kind: 'session', value: `session ${number}` },
      ];
      const one = Math.floor(Math.random() * REPLICAS);
      const other = (one + 1 + Math.floor(Math.random() * (REPLICAS - 1))) % REPLICAS;
      const [[left, leftProposal], [right, rightProposal]] = await Promise.all([
        claim(racers[one] as Racer, names),
        claim(racers[other] as Racer, names),
      ]);
      if (leftProposal !== rightProposal) contested += 1;
      if (!isSame(left, right)) splits += 1;
    }
  };

  try {
    for (let i = 0; i < REPLICAS; i += 1) racers.push(await startRacer(address, keyPrefix, `r${i}`));
    await eventually(
      () => {
        for (const { coordinator } of racers) {
          const { fencingToken, view } = coordinator.routingState;
          if (fencingToken === '' || view.assignable.length === 0)
            throw new Error('a replica may not claim yet');
        }
      },
      { within: 30_000 },
    );
    const [first] = racers as [Racer];
    const epochBefore = first.coordinator.agreed.epoch;
    drains = setInterval(() => void drainInTurn(first.coordinator), DRAIN_EVERY_MS);
    const begunAt = performance.now();
    await Promise.all(Array.from({ length: PAIRS_AT_ONCE }, lane));
    const seconds = (performance.now() - begunAt) / 1_000;
    const { p50Ms, p99Ms } = latencies.summary();
    const views = first.coordinator.agreed.epoch - epochBefore;
    return { pairs, splits, contested, refused, views, seconds, p50Ms, p99Ms };
  } finally {
    clearInterval(drains);
    for (const { coordinator, store, redis } of racers) {
      await coordinator.close();
      await store.close();
      await redis.close();
    }
  }
}

async function startRacer(address: RedisAddress, keyPrefix: string, id: string): Promise<Racer> {
  // Everything runs on this machine, and the race itself is its load.
  const redis = openRedis({ ...REDIS_TIMEOUTS, ...address, commandTimeoutMs: 5_000 });
  await eventually(() => redis.ping());
  const coordinator = await startBareReplica(redis, {
    id,
    pool: 'race',
    keyPrefix,
    instances: INSTANCES,
    leaseMs: LEASE_MS,
  });
  const store = new RedisStore(redis, 'race', { keyPrefix, idleLifetimeMs: 12 * 3_600_000 });
  return { redis, store, coordinator };
}

/** The last instance drains and is enabled by turns: each time with a new view and a new fencing token. */
async function drainInTurn(coordinator: PoolCoordinator): Promise<void> {
  try {
    await coordinator.commitPolicy((policy) => {
      const state = policy.instances['c']?.state === 'draining' ? 'enabled' : 'draining';
      const act = { id: randomUUID(), state, by: 'race', at: 0, why: 'race', deadline: 0 } as const;
      return withAdmin(policy, 'c', act);
    }, []);
  } catch (error) {
    // If this process pauses for half a lease, the view store needs new syncs of its replicas before it accepts claims.
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}

function isSame({ binding: one }: Claim, { binding: other }: Claim): boolean {
  return (
    one.instance === other.instance &&
    one.incarnation === other.incarnation &&
    one.generation === other.generation
  );
}
