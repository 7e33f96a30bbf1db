import { BindingCache } from '../affinity/binding-cache.ts';
import type { BindingsEvents } from '../affinity/bindings.ts';
import { Bindings } from '../affinity/bindings.ts';
import { compactIncarnation } from '../affinity/stored-name.ts';
import type { Config, HealthConfig, InstanceConfig, PoolConfig } from '../config/schema.ts';
import { readClientTls } from '../config/secrets.ts';
import { compilePattern, parsePointer, parseStatusRange } from '../config/syntax.ts';
import type { PoolSource } from '../control-plane/pool-source.ts';
import type { CoordinatorEvents } from '../coordination/pool-coordinator.ts';
import { PoolCoordinator } from '../coordination/pool-coordinator.ts';
import { parseFailback } from '../core/agreement/failback.ts';
import type { PoolRules } from '../core/agreement/next-view.ts';
import type { Failback } from '../core/agreement/policy.ts';
import { createBalancer } from '../core/balancers.ts';
import type { InstanceId } from '../core/instance.ts';
import { isUsable } from '../core/instance.ts';
import type { AffinityStore, LedgerClient } from '../core/ports.ts';
import { instanceConnector } from '../data-plane/instance-connector.ts';
import type { Pool } from '../data-plane/pools.ts';
import { Upstream } from '../data-plane/upstream.ts';
import { WaitingRoom } from '../data-plane/waiting-room.ts';
import { byPattern, byPointer } from '../health/incarnation.ts';
import type { Probe } from '../health/probe.ts';
import { createProbe } from '../health/probe.ts';
import { Prober } from '../health/prober.ts';

/** A pool with everything that works for it. */
export interface RunningPool {
  readonly pool: Pool;
  readonly source: PoolSource;
  readonly bindings: Bindings;
  readonly coordinator: PoolCoordinator;
  /** Resolves once the ledger was asked and the first round of probes is under way. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface PoolParts {
  readonly store: AffinityStore;
  readonly ledger: LedgerClient;
  /** Infinite where the gateway is alone. */
  readonly leaseMs: number;
  /** This gateway's name towards the others; unique among the live ones. */
  readonly replica: string;
  readonly bindingsEvents: BindingsEvents;
  readonly coordinatorEvents: CoordinatorEvents;
  /** Makes what no other view will be called. */
  readonly newId: () => string;
}

// How often a lease is renewed before it ends.
const RENEWALS_PER_LEASE = 3;
const LONGEST_RENEWAL_MS = 1_000;
const COUNT_EVERY_MS = 1_000;
// The store has failed for so long that new agents need not wait for it any more: one command's time.
const STORE_AWAY_MS = 100;

export function composePool(poolConfig: PoolConfig, config: Config, parts: PoolParts): RunningPool {
  const { name, mode } = poolConfig;
  const { affinity, identity, limits } = config;
  const upstreams = new Map(
    poolConfig.instances.map((instance) => [instance.id, composeUpstream(instance, poolConfig, config)]),
  );
  const bindings = new Bindings({
    store: parts.store,
    cache: new BindingCache({ maxEntries: affinity.cacheEntries, idleLifetimeMs: affinity.idleLifetime }),
    sessionsAreProvisional: identity.order.some((source) => source === 'header' || source === 'body'),
    epoch: () => coordinator.agreed.epoch,
    events: parts.bindingsEvents,
  });
  const parking = new WaitingRoom(limits.parked);
  const inFlight = (id: InstanceId): number => upstreams.get(id)?.inFlight ?? 0;
  const boundAgents = (id: InstanceId): number => bindings.counts?.get(id) ?? 0;
  // The view that was in effect when the agents were counted last.
  let countedIn = '';
  let isCounting = false;
  const count = async (): Promise<void> => {
    if (isCounting) return;
    isCounting = true;
    const view = coordinator.isEffective ? coordinator.agreed.id : '';
    const { counts } = bindings;
    await bindings.refreshCounts();
    isCounting = false;
    // While the store is away the last counts stand.
    if (bindings.counts !== counts) countedIn = view;
  };
  const coordinator = composeCoordinator(poolConfig, config, parts, {
    writeBack: (life) => bindings.writeBack(life),
    boundAgents: (id) => (countedIn === coordinator.agreed.id ? boundAgents(id) : undefined),
    isIdle: () => pool.lastRequestAt + poolConfig.idleAfter <= performance.now(),
  });
  const pool: Pool = {
    name,
    mode,
    anonymous: poolConfig.anonymous,
    sessionLost: poolConfig.sessionLost,
    balancer: createBalancer(poolConfig.balancer),
    anonymousBalancer: createBalancer('round-robin'),
    load: { inFlight, boundAgents },
    bindings,
    upstreams,
    parking,
    standing: coordinator.standing,
    changes: 0,
    lastRequestAt: performance.now(),
  };
  coordinator.onChange(() => {
    pool.changes += 1;
    parking.wakeAll();
    for (const [id, upstream] of upstreams) {
      const instance = pool.standing.view.instances.get(id);
      // Whoever waits for a place there is better served elsewhere.
      if (instance === undefined || !isUsable(instance)) upstream.queue.dismissAll();
    }
  });
  const prober = composeProber(poolConfig, config, coordinator, pool);
  coordinator.attach(prober);
  let counting: NodeJS.Timeout | undefined;

  return {
    pool,
    bindings,
    coordinator,
    source: {
      name,
      mode,
      operations: coordinator,
      url: (id) => upstreams.get(id)?.origin ?? '',
      inFlight,
      queued: (id) => upstreams.get(id)?.queue.size ?? 0,
      boundAgents,
      parked: () => parking.size,
      bindings,
      idleLifetimeMs: affinity.idleLifetime,
      zone: poolConfig.failbackZone,
    },
    start: async () => {
      prober.start();
      await coordinator.start();
      counting = setInterval(() => void count(), COUNT_EVERY_MS);
    },
    close: async () => {
      clearInterval(counting);
      prober.stop();
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
      await coordinator.close();
      await bindings.close();
    },
  };
}

function composeCoordinator(
  poolConfig: PoolConfig,
  { coordination, affinity }: Config,
  parts: PoolParts,
  does: {
    writeBack: (life: string) => Promise<unknown>;
    boundAgents: (id: InstanceId) => number | undefined;
    isIdle: () => boolean;
  },
): PoolCoordinator {
  const { name, instances, health } = poolConfig;
  return new PoolCoordinator({
    replica: {
      id: parts.replica,
      pool: name,
      rules: poolRules(poolConfig, coordination.quorum),
      weights: new Map(instances.map(({ id, weight }) => [id, weight])),
      leaseMs: parts.leaseMs,
      onStoreLoss: affinity.onStoreLoss,
      awayMs: STORE_AWAY_MS,
      // Longer than peers can take to notice what this one has noticed.
      cutOffMs: health.fall * health.fastInterval + health.timeout,
      newId: parts.newId,
    },
    thresholds: { rise: health.rise, fall: health.fall },
    ledger: parts.ledger,
    renewMs: Math.min(parts.leaseMs / RENEWALS_PER_LEASE, LONGEST_RENEWAL_MS),
    suspectEveryMs: health.fastInterval,
    ...does,
    configuredFailback: failbackOf(poolConfig),
    events: parts.coordinatorEvents,
  });
}

function failbackOf({ failback, failbackZone }: PoolConfig): Failback {
  const parsed = parseFailback(failback);
  // Refused long before, with a message.
  if (parsed === undefined) throw new Error(`not a failback: ${failback}`);
  return parsed.kind === 'at' ? { ...parsed, zone: failbackZone } : parsed;
}

function poolRules(pool: PoolConfig, quorum: PoolRules['quorum']): PoolRules {
  const { health, mode, instances } = pool;
  const canTell =
    health.incarnation !== undefined ||
    health.incarnationPointer !== undefined ||
    health.emptyMatches !== undefined;
  return {
    mode,
    quorum,
    quarantines: pool.quarantine === 'always' || (pool.quarantine === 'auto' && canTell),
    countsLives: pool.countRestarts,
    instances: instances.map(({ id, priority, admin }) => ({ id, priority, admin })),
  };
}

function composeUpstream(instance: InstanceConfig, pool: PoolConfig, config: Config): Upstream {
  const { timeouts, limits } = config;
  const url = new URL(instance.url);
  return new Upstream({
    id: instance.id,
    origin: url.origin,
    connect: instanceConnector(url, tlsOf(instance), timeouts.connect),
    maxInFlight: instance.maxInFlight,
    maxQueued: limits.queued,
    closeAfterEach: pool.connections === 'per-request',
    idleTimeoutMs: timeouts.instanceIdle,
    responseHeaderTimeoutMs: timeouts.responseHeader,
    responseIdleTimeoutMs: timeouts.responseIdle,
  });
}

function composeProber(
  poolConfig: PoolConfig,
  config: Config,
  coordinator: PoolCoordinator,
  pool: Pool,
): Prober {
  const { health } = poolConfig;
  return new Prober({
    intervalMs: health.interval,
    fastIntervalMs: health.fastInterval,
    timeoutMs: health.timeout,
    jitter: health.jitter,
    settleTimeoutMs: health.settleTimeout,
    probes: new Map(
      poolConfig.instances.map((instance) => [instance.id, composeProbe(instance, health, config)]),
    ),
    epoch: () => coordinator.agreed.epoch,
    onObservation: (id, observation, epoch) => coordinator.observed(id, observation, epoch),
    onSettled: () => coordinator.settle(),
    onReassured: () => pool.parking.wakeAll(),
    silenceOf: (id) => pool.upstreams.get(id)?.silence(performance.now()) ?? 0,
  });
}

function composeProbe(instance: InstanceConfig, health: HealthConfig, config: Config): Probe {
  const url = new URL(instance.url);
  const ranges = health.expectedStatus.flatMap((text) => parseStatusRange(text) ?? []);
  const pattern = (text: string | undefined): RegExp | undefined =>
    text === undefined ? undefined : compilePattern(text);
  return createProbe(
    {
      origin: url.origin,
      path: health.path,
      host: health.host,
      connect: instanceConnector(url, tlsOf(instance), Math.min(config.timeouts.connect, health.timeout)),
    },
    {
      timeoutMs: health.timeout,
      status: (status) => ranges.some(({ from, to }) => status >= from && status <= to),
      bodyMatches: pattern(health.bodyMatches),
      bodyRejects: pattern(health.bodyRejects),
      incarnation: incarnationOf(health),
      emptyMatches: pattern(health.emptyMatches),
    },
    compactIncarnation,
  );
}

function incarnationOf({
  incarnation,
  incarnationPointer,
}: HealthConfig): ((page: string) => string) | undefined {
  if (incarnation !== undefined) return byPattern(compilePattern(incarnation));
  const tokens = incarnationPointer === undefined ? undefined : parsePointer(incarnationPointer);
  return tokens && byPointer(tokens);
}

function tlsOf(instance: InstanceConfig): ReturnType<typeof readClientTls> {
  return instance.tls === undefined ? {} : readClientTls(instance.tls);
}
