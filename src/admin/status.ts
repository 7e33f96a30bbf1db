import type {
  AnswersStatus,
  ConfigurationStatus,
  GroupsStatus,
  InstanceStatus,
  PoolStatus,
  ProbeStatus,
  ProbesStatus,
  RelaysStatus,
  ReplicaStatus,
  ReportStatus,
} from '../core/gateway-status.ts';
import type { InstanceId, InstanceState } from '../core/instance.ts';
import { answerTimes } from '../core/probes/evidence.ts';
import { differencesOf } from '../core/view/agreed-config.ts';
import { formatFailback } from '../core/view/failback.ts';
import type { ReplicaReport } from '../core/view/health-report.ts';
import type { Drift } from '../core/view/local-config.ts';
import { driftOf } from '../core/view/local-config.ts';
import type { PoolOperations, PoolSource } from './pool-source.ts';

/** The instances that only this gateway cannot reach, in the form `pool/instance`. */
export function cutOffOf(pools: readonly PoolSource[]): string[] {
  return pools.flatMap(({ name, operations }) =>
    [...operations.routingState.cutOff].map((instance) => `${name}/${instance}`),
  );
}

/** The pools for which operations on bindings fail although the view store answers, each with the error. */
export function claimFailures(pools: readonly PoolSource[]): string[] {
  return pools.flatMap(({ name, operations }) => {
    const { claimFailure } = operations.routingState;
    return claimFailure === undefined ? [] : [`${name}: ${claimFailure}`];
  });
}

/** Why this gateway's configuration makes it unready: one line per pool. */
export function driftReasons(pools: readonly PoolSource[]): string[] {
  return pools.flatMap(({ name, operations }) => {
    const { ready, missing, differences } = driftHere(operations);
    if (ready) return [];
    const refused = differences.filter(({ effect }) => effect === 'refused');
    const texts = [
      ...refused.map(
        ({ part, configured, agreed }) =>
          `${part} is ${JSON.stringify(configured)} here, and ${JSON.stringify(agreed)} is agreed`,
      ),
      ...missing.map((id) => `instance ${id} is agreed and missing here`),
    ];
    return [`pool ${name}: ${texts.join('; ')}`];
  });
}

function driftHere({ agreed, parts }: PoolOperations): Drift {
  return driftOf(agreed, parts);
}

/** Tracks since when a view has been waiting to take effect. */
export class PendingWatch {
  readonly #since = new Map<string, number>();

  watch({ name, operations }: PoolSource): void {
    const look = (): void => {
      if (operations.isEffective) this.#since.delete(name);
      else if (!this.#since.has(name)) this.#since.set(name, Date.now());
    };
    look();
    operations.onChange(look);
  }

  /** Milliseconds since the Unix epoch; `undefined` for a view in effect. */
  since(pool: string): number | undefined {
    return this.#since.get(pool);
  }
}

export function poolStatus(pool: PoolSource, pendingSince: number | undefined): PoolStatus {
  const { operations, bindings } = pool;
  const { agreed, lastSync, routingState, isEffective, leaseRemaining, isStoreAway } = operations;
  const { failback, failbackBy } = lastSync.policy;
  const isFailover = pool.mode === 'failover';
  const mode = routingState.modeAt(performance.now(), Date.now());
  return {
    name: pool.name,
    mode: pool.mode,
    balancer: isFailover ? null : pool.balancer,
    epoch: routingState.view.epoch,
    settled: routingState.view.settled,
    view: {
      id: agreed.id,
      effective: isEffective,
      pendingSince: isEffective || pendingSince === undefined ? null : iso(pendingSince),
    },
    configuration: configurationStatus(operations),
    active:
      isFailover && agreed.active !== '' ? { instance: agreed.active, since: iso(agreed.activeSince) } : null,
    failback: isFailover
      ? {
          policy: formatFailback(failback),
          zone: failback.kind === 'at' ? failback.zone : null,
          by: failbackBy,
        }
      : null,
    rebalance: rebalanceStatus(pool),
    groupFileProblem: groupFileProblem(pool),
    standing: mode === 'degraded' ? 'storeless' : mode,
    leaseRemainingMs: Number.isFinite(leaseRemaining) ? Math.round(leaseRemaining) : null,
    probes: probesStatus(pool),
    replicas: lastSync.reports.map(replicaStatus),
    parked: pool.parked(),
    traffic: pool.traffic(),
    identitySources: pool.identitySources(),
    affinity: {
      available: !isStoreAway && routingState.claimFailure === undefined,
      cachedBindings: bindings.cached,
      claimsFail: claimsFail(pool),
    },
    instances: [...routingState.view.instances.values()].map((instance) => instanceStatus(pool, instance)),
  };
}

function rebalanceStatus({ mode, rebalancesAlways, operations }: PoolSource): PoolStatus['rebalance'] {
  if (mode !== 'sticky') return null;
  if (rebalancesAlways) return { until: null, by: 'configuration', why: '' };
  const { rebalancesUntil = 0 } = operations.agreed;
  const { by = '', why = '' } = operations.lastSync.policy.rebalance ?? {};
  return rebalancesUntil === 0 ? null : { until: iso(rebalancesUntil), by, why };
}

function groupFileProblem({ groupFileProblem: problem }: PoolSource): PoolStatus['groupFileProblem'] {
  return problem === undefined ? null : { since: iso(problem.since), reason: problem.reason };
}

function claimsFail(pool: PoolSource): PoolStatus['affinity']['claimsFail'] {
  const trouble = pool.claimTrouble();
  return trouble === undefined ? null : { since: iso(Date.now() - trouble.firstAgoMs), error: trouble.error };
}

export function configurationStatus(operations: PoolOperations): ConfigurationStatus {
  const { agreed, lastSync } = operations;
  const { config } = agreed;
  const { serves, missing } = driftHere(operations);
  const differences =
    config === undefined
      ? []
      : lastSync.reports.flatMap(({ replica, config: configured }) =>
          configured === undefined
            ? []
            : differencesOf(config, configured).map((one) => ({ replica, ...one })),
        );
  return { agreed: config ?? null, servesHere: serves, missingHere: missing, differences };
}

function replicaStatus({ replica, report }: ReplicaReport): ReplicaStatus {
  const verdicts = Object.entries(report?.verdicts ?? {});
  return {
    replica,
    abstains: report === undefined,
    relayAt: report?.relayAt ?? null,
    down: verdicts.filter(([, { health }]) => health === 'down').map(([id]) => id),
  };
}

export function instanceStatus(pool: PoolSource, instance: InstanceState): InstanceStatus {
  const { routingState, agreed, lastSync } = pool.operations;
  const { id } = instance;
  const act = lastSync.policy.instances[id];
  return {
    id,
    url: pool.url(id),
    admin: instance.admin,
    act:
      act === undefined
        ? null
        : {
            by: act.by,
            why: act.why,
            at: iso(act.at),
            deadline: act.deadline === 0 ? null : iso(act.deadline),
          },
    health: instance.health,
    healthSince: isoOrNull(pool.healthSince(id)),
    lastProbe: probeStatus(pool, id),
    answers: answersStatus(pool, id),
    reports: lastSync.reports.flatMap((report) => reportOn(id, report)),
    quarantined: instance.quarantined,
    incarnation: instance.incarnation === '' ? null : instance.incarnation,
    lives: agreed.instances[id]?.lives ?? 0,
    unreachableHere: routingState.unreachable.has(id),
    cutOffHere: routingState.cutOff.has(id),
    relays: relaysStatus(pool, id),
    weight: instance.weight,
    priority: instance.priority,
    active: pool.mode === 'sticky' || id === routingState.view.active,
    boundAgents: pool.boundAgents(id),
    maxAgents: pool.maxAgents.get(id) ?? null,
    groups: groupsStatus(pool, id),
    ...sharesOf(pool, instance),
    inFlight: pool.inFlight(id),
    queued: pool.queued(id),
  };
}

function probeStatus(pool: PoolSource, id: InstanceId): ProbeStatus | null {
  const probe = pool.lastProbe(id);
  if (probe === undefined) return null;
  const { at, passed, reason = 'the probe failed' } = probe;
  return { at: iso(at), ok: passed, text: passed ? null : reason };
}

function probesStatus({ probes }: PoolSource): ProbesStatus {
  const { since, watchedMs, settings, safeAboveMs = null, advice, text } = probes.conclusion;
  return {
    since: isoOrNull(since),
    watchedSeconds: Math.floor(watchedMs / 1_000),
    settings: settings.map(({ profile = null, isPresent, ...one }) => ({
      profile,
      present: isPresent,
      ...one,
    })),
    safeAboveMs,
    advice,
    text,
  };
}

function relaysStatus({ operations, relayed }: PoolSource, id: InstanceId): RelaysStatus | null {
  const { failing, relays } = operations.routingState;
  const counts = relayed(id);
  return counts === undefined ? null : { active: failing.has(id) && relays?.has(id) === true, ...counts };
}

function answersStatus({ probes }: PoolSource, id: InstanceId): AnswersStatus | null {
  const evidence = probes.of(id);
  const { since, watchedMs, longest } = evidence;
  const times = answerTimes(evidence);
  if (since === undefined || times === undefined) return null;
  return {
    since: iso(since),
    watchedSeconds: Math.floor(watchedMs / 1_000),
    p50Ms: tenths(times.p50),
    p99Ms: tenths(times.p99),
    longest: longest && { ms: longest.ms, at: iso(longest.at) },
  };
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** What a gateway reports about the instance; nothing if it has not seen enough of it. */
function reportOn(id: InstanceId, { replica, report }: ReplicaReport): ReportStatus[] {
  if (report === undefined) return [{ replica, verdict: 'abstains' }];
  const verdict = report.verdicts[id]?.health;
  return verdict === undefined ? [] : [{ replica, verdict }];
}

function groupsStatus(pool: PoolSource, id: InstanceId): GroupsStatus | null {
  const there = pool.groupsAt(id);
  if (there === undefined) return null;
  return { number: there.groups, agents: there.agents, largest: there.largest ?? null };
}

function sharesOf(
  pool: PoolSource,
  { id, weight }: InstanceState,
): Pick<InstanceStatus, 'share' | 'weightShare'> {
  const { view } = pool.operations.routingState;
  const bound = [...view.instances.keys()].reduce((sum, one) => sum + pool.boundAgents(one), 0);
  const weights = view.assignable.reduce((sum, one) => sum + one.weight, 0);
  const isAssignable = view.assignable.some((one) => one.id === id);
  // In a failover pool the weight of the active instance does not count.
  const weighed = view.mode === 'failover' ? 1 : weight / weights;
  return {
    share: bound === 0 ? 0 : pool.boundAgents(id) / bound,
    weightShare: isAssignable ? weighed : 0,
  };
}

function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : iso(ms);
}

// The largest time value of a Date (ECMA-262 §21.4.1.1).
const LAST_MOMENT_MS = 8.64e15;

/** Never throws: a shared value that cannot be shown would take every gateway of the store out of service. */
export function iso(ms: number): string {
  return new Date(Math.min(ms, LAST_MOMENT_MS)).toISOString();
}
