import { HealthHistory } from '../admin/health-history.ts';
import type { LastProbe, PoolBindings, PoolSource } from '../admin/pool-source.ts';
import type { Pattern } from '../config/pattern.ts';
import { compilePattern } from '../config/pattern.ts';
import { probedUrl } from '../config/rules-addresses.ts';
import type { Config, HealthConfig, InstanceConfig, PoolConfig } from '../config/schema.ts';
import { parsePointer, parseStatusRange } from '../config/syntax.ts';
import type { CoordinatorEvents, Publisher } from '../coordination/coordinator-options.ts';
import { PoolCoordinator } from '../coordination/pool-coordinator.ts';
import type { AgentGroups } from '../core/agent-groups.ts';
import type { GroupsThere } from '../core/groups.ts';
import { NO_GROUPS } from '../core/groups.ts';
import type { PoolSample } from '../core/history/pool-history.ts';
import type { InstanceId } from '../core/instance.ts';
import type { ViewStoreClient } from '../core/ports.ts';
import { compactIncarnation } from '../core/stored-name.ts';
import type { ConfigParts } from '../core/view/config-parts.ts';
import type { Knowledge } from '../core/view/replica-options.ts';
import type { KnownAddresses, Resolve } from '../health/addresses.ts';
import { Addresses } from '../health/addresses.ts';
import { byPattern, byPointer } from '../health/incarnation.ts';
import type { Probe } from '../health/probe.ts';
import { createProbe } from '../health/probe.ts';
import { Prober } from '../health/prober.ts';
import type { WatchedProbes } from '../health/watched-probes.ts';
import { HOST_CLOCK_OFFSET_MS } from '../process/ipc/host-clock.ts';
import type { PoolLoad } from '../process/ipc/pool-load.ts';
import { instanceConnector } from '../proxy/instance-connector.ts';
import { InstanceClient } from '../proxy/upstream.ts';
import { pageText } from '../soap/encoding.ts';
import { parseMediaType } from '../soap/media-type.ts';
import { maxAgentsOf, tlsOf } from './data-pool.ts';
import { poolParts, poolRules, poolWeights } from './pool-parts.ts';

/** What the control half needs from the workers, or from the data half in the same process. */
export interface Traffic {
  load(): PoolLoad;
  /** {@link PoolCoordinatorOptions.writeBack} */
  writeBack(storeGeneration: string): Promise<unknown>;
  /** Lets waiting requests try again, because a suspect instance has passed a probe. */
  wakeParked(): void;
  seenNames: PoolSource['seenNames'];
  explain: PoolSource['explain'];
}

export interface ControlPoolParts {
  readonly viewStore: ViewStoreClient;
  readonly leaseMs: number;
  /** This gateway's name among its peers; unique among the live ones. */
  readonly replica: string;
  /** Is the gateway neither starting nor in maintenance nor stopping? */
  readonly isRunning: () => boolean;
  readonly coordinatorEvents: CoordinatorEvents;
  /** Makes the ids of views unique. */
  readonly newId: () => string;
  readonly bindings: PoolBindings & {
    readonly counts: ReadonlyMap<InstanceId, number> | undefined;
    readonly groups: ReadonlyMap<InstanceId, GroupsThere> | undefined;
    refreshCounts(): Promise<void>;
  };
  readonly traffic: Traffic;
  /** The counters of the pool's requests. */
  readonly counted: Pick<PoolSource, 'traffic' | 'relayed' | 'identitySources' | 'history'>;
  /** The configuration of the workers. Missing if this process carries the traffic itself. */
  readonly workerParts?: () => ConfigParts | undefined;
  /** Who belongs to which group. */
  readonly groups?: AgentGroups | undefined;
  /** Passes the routing state to the processes that act on it. */
  readonly publisher?: Publisher;
  /** What the workers know from an earlier controller. */
  readonly earlierKnowledge?: Knowledge | undefined;
  readonly probes: WatchedProbes;
  /** Called with each error of a probe's connection. */
  readonly onConnectError: (error: Error) => void;
  /** Replaces the system's resolver. */
  readonly resolve?: Resolve;
}

/** The half of a pool that probes, agrees with the other gateways and serves operators. */
export interface ControlPool {
  readonly coordinator: PoolCoordinator;
  readonly source: PoolSource;
  boundAgents(instance: InstanceId): number;
  /** The pool at this moment, for its history. */
  sample(): PoolSample;
  /** The resolved addresses of instances whose URLs contain a host name. */
  addresses(): KnownAddresses;
  /** Resolves after the first request to the view store, while the first probes run. */
  start(): Promise<void>;
  /** @param leave ends the lease now, so that peers need not wait for its end; false if a successor continues it */
  close(options?: { readonly leave: boolean }): Promise<void>;
}

// How many times a lease is renewed before it ends.
const RENEWALS_PER_LEASE = 3;
const LONGEST_RENEWAL_MS = 1_000;
const COUNT_EVERY_MS = 1_000;
// Enough to find when each instance last went up or down; only the times of older changes stay unknown.
const EVENTS_READ = 200;
// A store that hangs for less than this share is not away yet: it may still carry out a claim that waits in it.
const AWAY_SHARE_OF_LEASE = 0.6;
// Short, because without peers no other gateway can place an agent elsewhere.
const AWAY_ALONE_MS = 100;

export function composeControlPool(
  poolConfig: PoolConfig,
  config: Config,
  parts: ControlPoolParts,
): ControlPool {
  const { name, mode } = poolConfig;
  const { bindings, traffic } = parts;
  const boundAgents = (id: InstanceId): number => bindings.counts?.get(id) ?? 0;
  // The view in effect when the agents were last counted.
  let countedIn = '';
  let isCounting = false;
  const count = async (): Promise<void> => {
    if (isCounting) return;
    isCounting = true;
    const view = coordinator.isEffective ? coordinator.agreed.id : '';
    const { counts } = bindings;
    await bindings.refreshCounts();
    isCounting = false;
    // While the store is away, the last counts stay.
    if (bindings.counts !== counts) countedIn = view;
  };
  const coordinator = composeCoordinator(poolConfig, config, parts, {
    writeBack: (storeGeneration) => traffic.writeBack(storeGeneration),
    boundAgents: (id) => (countedIn === coordinator.agreed.id ? boundAgents(id) : undefined),
    isIdle: () => traffic.load().idleMs >= poolConfig.idleAfter,
  });
  const addresses = new Addresses({
    hosts: new Map(poolConfig.instances.map(({ id, url }) => [id, new URL(url).hostname])),
    everyMs: config.timeouts.resolve,
    ...(parts.resolve === undefined ? {} : { resolve: parts.resolve }),
    onChange: (id) => {
      parts.publisher?.publish();
      prober.hasten(id);
    },
  });
  const lastProbes = new Map<InstanceId, LastProbe>();
  const prober = composeProber(poolConfig, config, coordinator, traffic, addresses, lastProbes, parts);
  coordinator.attach(prober);
  const health = new HealthHistory(coordinator);
  const origins = new Map(poolConfig.instances.map(({ id, url }) => [id, new URL(url).origin]));
  let counting: NodeJS.Timeout | undefined;

  return {
    coordinator,
    boundAgents,
    sample: () => {
      const { counts } = bindings;
      const { instances, parked } = traffic.load();
      let inFlight = 0;
      for (const load of instances.values()) inFlight += load.inFlight;
      const ids = [...coordinator.routingState.view.instances.keys()];
      const agents = counts && new Map(ids.map((id) => [id, counts.get(id) ?? 0]));
      return { inFlight, parked, agents };
    },
    addresses: () => addresses.known,
    source: {
      name,
      mode,
      operations: coordinator,
      balancer: poolConfig.balancer,
      maxAgents: maxAgentsOf(poolConfig),
      onStoreLoss: config.affinity.onStoreLoss,
      knowsLogOffs: knowsLogOffs(poolConfig, config),
      rebalancesAlways: poolConfig.rebalance === 'logon',
      groupOf: (user) => parts.groups?.ofUser(user)?.name,
      get groupFileProblem() {
        return parts.groups?.fileProblem;
      },
      groupsAt: (id) => bindings.groups && (bindings.groups.get(id) ?? NO_GROUPS),
      url: (id) => origins.get(id) ?? '',
      lastProbe: (id) => lastProbes.get(id),
      healthSince: (id) => health.since(id),
      probes: parts.probes,
      ...parts.counted,
      seenNames: traffic.seenNames,
      explain: traffic.explain,
      inFlight: (id) => traffic.load().instances.get(id)?.inFlight ?? 0,
      queued: (id) => traffic.load().instances.get(id)?.queued ?? 0,
      boundAgents,
      parked: () => traffic.load().parked,
      claimTrouble: () => traffic.load().claimTrouble,
      bindings,
      idleLifetimeMs: config.affinity.idleLifetime,
      zone: poolConfig.failbackZone,
    },
    start: async () => {
      addresses.start();
      prober.start();
      await coordinator.start();
      void health.readLog(EVENTS_READ);
      counting = setInterval(() => {
        void count();
        parts.probes.look();
        // Reads a changed file, and tells what is wrong with it, also while no operator asks.
        void parts.groups?.version;
      }, COUNT_EVERY_MS);
    },
    close: async ({ leave } = { leave: true }) => {
      clearInterval(counting);
      prober.stop();
      addresses.stop();
      await coordinator.close(leave);
    },
  };
}

function knowsLogOffs({ sessionLost }: PoolConfig, { identity }: Config): boolean {
  return identity.logoff.length > 0 && identity.logon.length + sessionLost.logonOperations.length > 0;
}

function composeCoordinator(
  poolConfig: PoolConfig,
  config: Config,
  parts: ControlPoolParts,
  callbacks: {
    writeBack: (storeGeneration: string) => Promise<unknown>;
    boundAgents: (id: InstanceId) => number | undefined;
    isIdle: () => boolean;
  },
): PoolCoordinator {
  const { name, health } = poolConfig;
  const { coordination, affinity } = config;
  const own = poolParts(poolConfig, config);
  return new PoolCoordinator({
    replica: {
      id: parts.replica,
      pool: name,
      rules: poolRules(poolConfig, coordination.quorum),
      weights: poolWeights(poolConfig),
      parts: () => parts.workerParts?.() ?? own,
      leaseMs: parts.leaseMs,
      onStoreLoss: affinity.onStoreLoss,
      awayMs: Number.isFinite(parts.leaseMs) ? parts.leaseMs * AWAY_SHARE_OF_LEASE : AWAY_ALONE_MS,
      // Long enough for the peers to notice the same failure.
      cutOffMs: health.fall * health.fastInterval + health.timeout,
      newId: parts.newId,
      knowsAgents: () => poolConfig.mode === 'failover' || parts.traffic.load().isMirrored,
      claimTrouble: () => parts.traffic.load().claimTrouble,
      awaitsConfirmation: parts.publisher !== undefined,
      othersHold: (mono) => (parts.publisher?.mayActUntil() ?? mono) > mono,
      clockOffsetMs: HOST_CLOCK_OFFSET_MS,
      ...(parts.earlierKnowledge === undefined ? {} : { earlierKnowledge: parts.earlierKnowledge }),
    },
    thresholds: { rise: health.rise, fall: health.fall },
    viewStore: parts.viewStore,
    renewMs: Math.min(parts.leaseMs / RENEWALS_PER_LEASE, LONGEST_RENEWAL_MS),
    doubtMs: affinity.redis?.commandTimeout ?? LONGEST_RENEWAL_MS,
    answerMs: parts.leaseMs / RENEWALS_PER_LEASE,
    suspectEveryMs: health.fastInterval,
    relay: config.peers && {
      at: config.peers.advertise ?? config.peers.address,
      isRunning: parts.isRunning,
    },
    ...callbacks,
    events: parts.coordinatorEvents,
    ...(parts.publisher === undefined ? {} : { publisher: parts.publisher }),
  });
}

function composeProber(
  poolConfig: PoolConfig,
  config: Config,
  coordinator: PoolCoordinator,
  traffic: Traffic,
  addresses: Addresses,
  lastProbes: Map<InstanceId, LastProbe>,
  { probes, onConnectError }: Pick<ControlPoolParts, 'probes' | 'onConnectError'>,
): Prober {
  const { health } = poolConfig;
  return new Prober({
    intervalMs: health.interval,
    fastIntervalMs: health.fastInterval,
    timeoutMs: health.timeout,
    jitter: health.jitter,
    settleTimeoutMs: health.settleTimeout,
    probes: new Map(
      poolConfig.instances.map((instance) => [
        instance.id,
        composeProbe(instance, health, config, addresses, onConnectError),
      ]),
    ),
    onResult: (id, result) => probes.observed(id, result),
    epoch: () => coordinator.agreed.epoch,
    onObservation: (id, observation, epoch) => {
      const { passed, reason } = observation;
      const { inFlight = 1, idleMs = 0 } = traffic.load().instances.get(id) ?? {};
      const isUnused = inFlight === 0 && idleMs >= config.identity.logoffGrace;
      lastProbes.set(id, { at: Date.now(), passed, reason });
      return coordinator.observed(id, { ...observation, isUnused }, epoch);
    },
    onSettled: () => coordinator.settle(),
    onSuspectPassed: () => traffic.wakeParked(),
    silenceOf: (id) => traffic.load().instances.get(id)?.silenceMs ?? 0,
  });
}

function composeProbe(
  instance: InstanceConfig,
  health: HealthConfig,
  config: Config,
  addresses: Addresses,
  onConnectError: (error: Error) => void,
): Probe {
  const url = probedUrl(instance.url, health.port);
  const ranges = health.expectedStatus.flatMap((text) => parseStatusRange(text) ?? []);
  const pattern = (text: string | undefined): Pattern | undefined =>
    text === undefined ? undefined : compilePattern(text);
  const timeoutMs = Math.min(config.timeouts.connect, health.timeout);
  const connect = instanceConnector(url, tlsOf(instance), timeoutMs, onConnectError);
  return createProbe(
    {
      path: health.path,
      host: health.host,
      headers: health.headers,
      via: config.forwarding.via,
      open: () =>
        new InstanceClient(url.origin, { pipelining: 1 }, connect, () => addresses.known.get(instance.id)),
    },
    {
      timeoutMs: health.timeout,
      status: (status) => ranges.some(({ from, to }) => status >= from && status <= to),
      bodyMatches: pattern(health.bodyMatches),
      bodyRejects: pattern(health.bodyRejects),
      incarnation: incarnationOf(health),
      emptyMatches: pattern(health.emptyMatches),
    },
    {
      text: (page, type) => pageText(page, parseMediaType(type?.toString()).charset),
      compact: compactIncarnation,
    },
  );
}

function incarnationOf({
  incarnation,
  incarnationPointer,
}: HealthConfig): ((page: string) => string | undefined) | undefined {
  if (incarnation !== undefined) return byPattern(compilePattern(incarnation));
  const tokens = incarnationPointer === undefined ? undefined : parsePointer(incarnationPointer);
  return tokens && byPointer(tokens);
}
