import { BindingCache } from '../affinity/binding-cache.ts';
import type { BindingsEvents } from '../affinity/bindings.ts';
import { Bindings } from '../affinity/bindings.ts';
import { compactIncarnation } from '../affinity/stored-name.ts';
import type { Config, HealthConfig, InstanceConfig, PoolConfig } from '../config/schema.ts';
import { readClientTls } from '../config/secrets.ts';
import { compilePattern, parseStatusRange } from '../config/syntax.ts';
import type { PoolSource } from '../control-plane/status.ts';
import type { LocalCoordinator, LocalPool } from '../coordination/local-coordinator.ts';
import { createBalancer } from '../core/balancers.ts';
import { POOL_NAME } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import { isUsable } from '../core/instance.ts';
import type { AffinityStore } from '../core/ports.ts';
import { instanceConnector } from '../data-plane/instance-connector.ts';
import type { Pool } from '../data-plane/pools.ts';
import { Upstream } from '../data-plane/upstream.ts';
import { WaitingRoom } from '../data-plane/waiting-room.ts';
import type { Probe } from '../health/probe.ts';
import { createProbe } from '../health/probe.ts';
import { Prober } from '../health/prober.ts';

/** A pool with everything that works for it. */
export interface RunningPool {
  readonly pool: Pool;
  readonly source: PoolSource;
  readonly bindings: Bindings;
  /** Resolves once the store was asked and the first round of probes is under way. */
  start(): Promise<void>;
  stopProbing(): void;
  close(): Promise<void>;
}

export function localPool(config: PoolConfig): LocalPool {
  return {
    name: config.name,
    thresholds: { rise: config.health.rise, fall: config.health.fall },
    instances: config.instances.map(({ id, weight, priority, admin }) => ({ id, weight, priority, admin })),
  };
}

export function composePool(
  poolConfig: PoolConfig,
  config: Config,
  coordinator: LocalCoordinator,
  store: AffinityStore,
  events: BindingsEvents,
): RunningPool {
  const { name, mode } = poolConfig;
  const { affinity, identity, limits } = config;
  const upstreams = new Map(
    poolConfig.instances.map((instance) => [instance.id, composeUpstream(instance, poolConfig, config)]),
  );
  const bindings = new Bindings({
    store,
    cache: new BindingCache({ maxEntries: affinity.cacheEntries, idleLifetimeMs: affinity.idleLifetime }),
    onStoreLoss: affinity.onStoreLoss,
    sessionsAreProvisional: identity.order.some((source) => source === 'header' || source === 'body'),
    events,
  });
  const parking = new WaitingRoom(limits.parked);
  coordinator.onChange(name, (view) => {
    parking.wakeAll();
    for (const [id, upstream] of upstreams) {
      const instance = view.instances.get(id);
      // Whoever waits for a place there is better served elsewhere.
      if (instance === undefined || !isUsable(instance)) upstream.queue.dismissAll();
    }
  });
  const inFlight = (id: InstanceId): number => upstreams.get(id)?.inFlight ?? 0;
  const boundAgents = (id: InstanceId): number => bindings.counts.get(id) ?? 0;
  const pool: Pool = {
    name,
    mode,
    anonymous: poolConfig.anonymous,
    balancer: createBalancer(poolConfig.balancer),
    anonymousBalancer: createBalancer('round-robin'),
    load: { inFlight, boundAgents },
    bindings,
    upstreams,
    parking,
    view: () => coordinator.view(name),
  };
  const prober = composeProber(poolConfig, config, coordinator, pool);
  coordinator.attach(name, prober);

  return {
    pool,
    bindings,
    source: {
      name,
      mode,
      view: pool.view,
      activeInstance: () => bindings.get(POOL_NAME)?.binding.instance,
      url: (id) => upstreams.get(id)?.origin ?? '',
      inFlight,
      queued: (id) => upstreams.get(id)?.queue.size ?? 0,
      boundAgents,
      parked: () => parking.size,
      storeAvailable: () => bindings.available,
      cachedBindings: () => bindings.cached,
      listBindings: (query) => bindings.list(query),
    },
    start: async () => {
      prober.start();
      await bindings.start();
    },
    stopProbing: () => prober.stop(),
    close: async () => {
      prober.stop();
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
      await bindings.close();
    },
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
  coordinator: LocalCoordinator,
  pool: Pool,
): Prober {
  const { name, health } = poolConfig;
  return new Prober({
    intervalMs: health.interval,
    fastIntervalMs: health.fastInterval,
    timeoutMs: health.timeout,
    jitter: health.jitter,
    settleTimeoutMs: health.settleTimeout,
    probes: new Map(
      poolConfig.instances.map((instance) => [instance.id, composeProbe(instance, health, config)]),
    ),
    onObservation: (id, observation) => coordinator.observed(name, id, observation),
    onSettled: () => coordinator.settle(name),
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
      incarnation: pattern(health.incarnation),
    },
    compactIncarnation,
  );
}

function tlsOf(instance: InstanceConfig): ReturnType<typeof readClientTls> {
  return instance.tls === undefined ? {} : readClientTls(instance.tls);
}
