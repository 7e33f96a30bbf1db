import { BindingCache } from '../affinity/binding-cache.ts';
import { Bindings } from '../affinity/bindings.ts';
import type { BindingsEvents } from '../affinity/bindings-options.ts';
import type { Config, InstanceConfig, PoolConfig } from '../config/schema.ts';
import { readClientTls } from '../config/secrets.ts';
import type { AgentGroups } from '../core/agent-groups.ts';
import { createBalancer } from '../core/balancers.ts';
import type { InstanceId } from '../core/instance.ts';
import { isUsable } from '../core/instance.ts';
import type { AffinityStore } from '../core/ports.ts';
import type { Rebalance } from '../core/rebalance.ts';
import { heardWithinMs } from '../core/rebalance.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { PoolLoad } from '../process/ipc/pool-load.ts';
import type { OperationRule } from '../proxy/agent-operations.ts';
import { AgentOperations, OperationList } from '../proxy/agent-operations.ts';
import { AttemptAborter } from '../proxy/attempt-aborter.ts';
import { instanceConnector } from '../proxy/instance-connector.ts';
import type { Pool } from '../proxy/pool.ts';
import { bindsAgents } from '../proxy/pool.ts';
import { ANSWER_HEADER_BYTES, Upstream } from '../proxy/upstream.ts';
import { WaitQueue } from '../proxy/wait-queue.ts';

/** What the data half of a pool needs from its control half: the routing state, bound agents and addresses. */
export interface ControlHalf {
  readonly routingState: RoutingState;
  onChange(listener: () => void): void;
  /** Live bindings at the instance, about a second old. */
  boundAgents(instance: InstanceId): number;
  /** The resolved addresses of the instance; `undefined` if its URL has none to resolve, or they are not known yet. */
  addresses(instance: InstanceId): readonly string[] | undefined;
}

export interface DataPoolParts {
  readonly bindings: Bindings;
  readonly groups: AgentGroups | undefined;
  readonly control: ControlHalf;
  /** Called with each error of a connection to an instance that could not be opened. */
  readonly onConnectError: (error: Error) => void;
}

/** The half of a pool that carries traffic. */
export interface DataPool {
  readonly pool: Pool;
  load(): PoolLoad;
  /** Lets waiting requests try again, because a suspect instance has passed a probe. */
  wakeParked(): void;
  /** Gives up attempts that the routing state no longer lets wait, now and when the lease ends. */
  giveUp(): void;
  close(): Promise<void>;
}

/**
 * @param gateway the name of this gateway
 * @param epoch of the newest agreed view that this process knows
 */
export function composeBindings(
  config: Config,
  store: AffinityStore,
  gateway: string,
  events: BindingsEvents,
  epoch: () => number,
  groups?: AgentGroups,
): Bindings {
  const { affinity, identity } = config;
  return new Bindings({
    store,
    gateway,
    cache: new BindingCache({ maxEntries: affinity.cacheEntries, idleLifetimeMs: affinity.idleLifetime }),
    sessionsAreProvisional: identity.order.some((source) => source === 'header' || source === 'body'),
    epoch,
    groups,
    hasLogOffs: identity.logoff.length > 0,
    newsWithinMs: heardIn(config).heardMs,
    events,
  });
}

export function composeDataPool(
  poolConfig: PoolConfig,
  config: Config,
  { bindings, groups, control, onConnectError }: DataPoolParts,
): DataPool {
  const { limits } = config;
  const upstreams = new Map(
    poolConfig.instances.map((instance) => [
      instance.id,
      composeUpstream(instance, poolConfig, config, onConnectError),
    ]),
  );
  const parking = new WaitQueue(limits.parked);
  const pool: Pool = {
    name: poolConfig.name,
    mode: poolConfig.mode,
    bindsAgents: bindsAgents(poolConfig),
    anonymous: poolConfig.anonymous,
    sessionLost: poolConfig.sessionLost.answer,
    operations: composeOperations(poolConfig, config),
    logoffGraceMs: config.identity.logoffGrace,
    balancer: createBalancer(poolConfig.balancer),
    balancerName: poolConfig.balancer,
    anonymousBalancer: createBalancer('round-robin'),
    load: {
      inFlight: (id) => upstreams.get(id)?.inFlight ?? 0,
      boundAgents: (id) => control.boundAgents(id),
    },
    rebalancesAlways: poolConfig.rebalance === 'logon',
    heard: heardIn(config),
    groups,
    maxAgents: maxAgentsOf(poolConfig),
    bindings,
    upstreams,
    parking,
    routingState: control.routingState,
    changes: 0,
    lastRequestAt: performance.now(),
  };
  const aborter = new AttemptAborter(pool, (id) => control.addresses(id));
  const wakeAll = (): void => {
    pool.changes += 1;
    parking.wakeAll();
  };
  bindings.onLateAnswers(wakeAll);
  control.onChange(() => {
    wakeAll();
    for (const [id, upstream] of upstreams) {
      const instance = pool.routingState.view.instances.get(id);
      // A request that waits for a free slot there is better served elsewhere.
      if (instance === undefined || !isUsable(instance)) upstream.queue.dismissAll();
    }
  });

  return {
    pool,
    load: () => {
      const now = performance.now();
      return {
        instances: new Map(
          [...upstreams].map(([id, upstream]) => [
            id,
            {
              inFlight: upstream.inFlight,
              queued: upstream.queue.size,
              silenceMs: upstream.silence(now),
              idleMs: upstream.idle(now),
            },
          ]),
        ),
        parked: parking.size,
        cachedBindings: bindings.cached,
        isMirrored: bindings.isMirrored,
        idleMs: now - pool.lastRequestAt,
        claimTrouble: bindings.trouble,
      };
    },
    wakeParked: () => parking.wakeAll(),
    giveUp: () => aborter.look(),
    close: async () => {
      aborter.stop();
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
    },
  };
}

function heardIn({ coordination: { lease }, affinity }: Config): Pick<Rebalance, 'heardMs' | 'leaseMs'> {
  return { heardMs: heardWithinMs(lease, affinity.redis?.commandTimeout ?? 0), leaseMs: lease };
}

export function maxAgentsOf({ instances }: PoolConfig): ReadonlyMap<InstanceId, number> {
  return new Map(
    instances.flatMap(({ id, maxAgents }) => (maxAgents === undefined ? [] : [[id, maxAgents]])),
  );
}

function composeOperations({ sessionLost }: PoolConfig, { identity, limits }: Config): AgentOperations {
  const { logon, logoff, elementMatch: match } = identity;
  const maxBytes = limits.identityBytes;
  const list = (rules: readonly OperationRule[]): OperationList =>
    new OperationList(rules, { match, maxBytes, maxDepth: limits.xmlDepth });
  const older = sessionLost.logonOperations.map((operation) => ({ operation }));
  return new AgentOperations({ logon: list([...logon, ...older]), logoff: list(logoff), maxBytes });
}

function composeUpstream(
  instance: InstanceConfig,
  pool: PoolConfig,
  config: Config,
  onConnectError: DataPoolParts['onConnectError'],
): Upstream {
  const { timeouts, limits } = config;
  const url = new URL(instance.url);
  return new Upstream({
    id: instance.id,
    origin: url.origin,
    connect: instanceConnector(url, tlsOf(instance), timeouts.connect, onConnectError),
    maxInFlight: instance.maxInFlight,
    maxQueued: limits.queued,
    closeAfterEach: pool.connections === 'per-request',
    idleTimeoutMs: timeouts.instanceIdle,
    maxAgeMs: timeouts.connectionAge,
    responseHeaderBytes: Math.max(limits.headerBytes, ANSWER_HEADER_BYTES),
    responseHeaderTimeoutMs: timeouts.responseHeader,
    responseIdleTimeoutMs: timeouts.responseIdle,
  });
}

export function tlsOf(instance: InstanceConfig): ReturnType<typeof readClientTls> {
  return instance.tls === undefined ? {} : readClientTls(instance.tls);
}
