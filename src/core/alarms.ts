import type { ErrorCode } from './errors.ts';
import { ERRORS } from './errors.ts';
import type { Alarm, GatewayStatus, InstanceStatus, PoolStatus } from './gateway-status.ts';
import type { InstanceId } from './instance.ts';

/** What was counted lately, at this gateway. */
export interface RecentCounts {
  /** Agents found bound to two instances, in the last 10 minutes. */
  splits(pool: string): number;
  /** Changes of the instance between up and down, or to a new incarnation, in the last 15 minutes. */
  transitions(pool: string, instance: InstanceId): number;
  /** Claims refused because the pool has all the names that it may have, in the last 5 minutes. */
  refused(pool: string): number;
  /** Names that gave way to new ones for the same reason, in the last 5 minutes. */
  replaced(pool: string): number;
  /** How often this gateway began to withhold its health report, in the last 15 minutes. */
  abstentions(pool: string): number;
  /** Requests that took longer than {@link SLOW_SECONDS}, and all, in the last 5 minutes. */
  slow(pool: string): { readonly over: number; readonly of: number };
  /** Requests that name no agent, and all of a pool that binds agents, in the last 15 minutes. */
  unnamed(pool: string): { readonly over: number; readonly of: number };
  /** Requests with an unknown outcome, in the last 10 minutes. */
  readonly outcomeUnknown: number;
  /** Errors of the gateway that its clients did not cause, and all requests, in the last 2 minutes. */
  readonly failures: { readonly over: number; readonly of: number };
  /** Connections closed because of the limit, in the last 5 minutes. */
  readonly dropped: number;
}

/** When each condition was first seen, by its id, in milliseconds since the Unix epoch. */
export type AlarmMemory = ReadonlyMap<string, number>;

type Facts = Omit<GatewayStatus, 'alarms'>;

/** A condition that is an alarm once it has lasted for some time. */
interface Condition extends Omit<Alarm, 'since'> {
  /** Since when it holds, as far as anything but the memory knows. */
  readonly since?: string | null | undefined;
  /** How long it may last without being an alarm, in milliseconds. */
  readonly toleratedMs?: number;
}

/** The bound of the histogram from which on a request is slow. */
export const SLOW_SECONDS = 10;
const SLOW_SHARE = 0.01;
const FAILED_SHARE = 0.02;
const UNNAMED_SHARE = 0.01;
const MOST_TRANSITIONS = 4;
const MOST_ABSTENTIONS = 2;
const MINUTE_MS = 60_000;
// Changes take a moment until every gateway acts on them, and a gateway that starts waits for its first lease.
const MOMENT_MS = 15_000;

/** Is an error of the gateway a failure for which an operator is needed? */
export function isFailure(code: string): boolean {
  // An operator forgot a trusted proxy.
  if (code === 'GW_FORWARDED_UNTRUSTED') return true;
  // The agent logs on again; the loss of the instance is an alarm of its own.
  if (code === 'GW_SESSION_LOST') return false;
  return ERRORS[code as ErrorCode]?.source !== 'client';
}

/**
 * What is wrong, as far as this gateway knows: the conditions of `deploy/prometheus/alerts.yaml` in the same words,
 * but for those that compare gateways. Alarms come at once if their cause never heals in a moment; Prometheus waits
 * longer, because it calls people.
 *
 * @param memory what the previous call returned
 * @param now milliseconds since the Unix epoch
 */
export function alarmsOf(
  status: Facts,
  recent: RecentCounts,
  memory: AlarmMemory,
  now: number,
): { readonly alarms: readonly Alarm[]; readonly memory: AlarmMemory } {
  const conditions = [...gatewayConditions(status, recent)];
  for (const pool of status.pools) conditions.push(...poolConditions(status.replica, pool, recent));
  const seen = new Map(
    conditions.map(({ id, since }) => [id, since ? Date.parse(since) : (memory.get(id) ?? now)]),
  );
  const alarms = conditions
    .filter(({ id, toleratedMs = 0 }) => now - (seen.get(id) ?? now) >= toleratedMs)
    .map(({ toleratedMs: _, ...condition }) => ({
      ...condition,
      since: new Date(seen.get(condition.id) ?? now).toISOString(),
    }));
  return { alarms: alarms.toSorted(byUrgency), memory: seen };
}

/** Critical ones first, and of those the oldest. */
function byUrgency(a: Alarm, b: Alarm): number {
  if (a.severity !== b.severity) return a.severity === 'critical' ? -1 : 1;
  return (a.since ?? '').localeCompare(b.since ?? '');
}

function* gatewayConditions({ replica }: Facts, recent: RecentCounts): Generator<Condition> {
  const { outcomeUnknown, failures, dropped } = recent;
  if (failures.over > failures.of * FAILED_SHARE)
    yield {
      ...ofGateway('IciRequestsFail', 'critical', '#requests-fail'),
      // One failure at night is half of the requests.
      toleratedMs: MINUTE_MS,
      text: `${percent(failures)} of requests get an error of the gateway`,
      remedy: 'The error code in the log says which section of the runbook to read.',
    };
  if (dropped > 0)
    yield {
      ...ofGateway('IciConnectionsDropped', 'critical', '#overload'),
      text: `gateway ${replica} drops connections: limits.connections or the limit of open files is reached`,
      remedy:
        'The log says which limit. Find out which hosts open them; raise it only if they are real clients.',
    };
  if (outcomeUnknown > 0)
    yield {
      ...ofGateway('IciOutcomeUnknown', 'warning', '#outcome-unknown'),
      text: `${outcomeUnknown} requests lost their connection after they were sent`,
      remedy:
        'Expected when a connector is lost. Otherwise lower timeouts.instanceIdle, which is longer than the connector keeps idle connections.',
    };
}

function* poolConditions(replica: string, pool: PoolStatus, recent: RecentCounts): Generator<Condition> {
  yield* healthConditions(replica, pool, recent);
  yield* configurationConditions(replica, pool);
  yield* agreementConditions(replica, pool, recent);
  const { name } = pool;
  const splits = recent.splits(name);
  if (splits > 0)
    yield {
      ...ofPool('IciAgentsSplit', 'warning', name, '#conflicts'),
      text: `${splits} agents of pool ${name} were bound to two connectors`,
      remedy:
        'Expected after an outage of the store: those agents log on again. Otherwise compare the store and the clocks of all gateways.',
    };
  if (recent.refused(name) > 0)
    yield {
      ...ofPool('IciBindingsFull', 'critical', name, '#bindings-full'),
      text: `new agents of pool ${name} are refused: affinity.maxBindings or the memory of Redis is used up`,
      remedy: 'Find out who sends the names; raise the limit only if they are real agents.',
    };
  if (recent.replaced(name) > 0)
    yield {
      ...ofPool('IciNamesGiveWay', 'warning', name, '#bindings-full'),
      text: `pool ${name} has all the names that it may have: new ones take the places of those that came once`,
      remedy: 'Find out who sends the names; raise affinity.maxBindings only if they are real agents.',
    };
  yield* groupConditions(pool);
  const unnamed = recent.unnamed(name);
  if (unnamed.over > unnamed.of * UNNAMED_SHARE)
    yield {
      ...ofPool('IciAgentsUnnamed', 'warning', name, '#agents-unnamed'),
      // A single request at night is all of them.
      toleratedMs: 5 * MINUTE_MS,
      text: `${percent(unnamed)} of the requests of pool ${name} name no agent`,
      remedy: `ici-gateway admin identity ${name} shows which operations, and why; the runbook says which option helps.`,
    };
  const slow = recent.slow(name);
  if (slow.over > slow.of * SLOW_SHARE)
    yield {
      ...ofPool('IciRequestsSlow', 'warning', name, '#requests-slow'),
      text: `one in a hundred requests of pool ${name} takes longer than ${SLOW_SECONDS}s`,
      remedy:
        'The request lines of the log say whether they wait for a connector or for an instance to come up.',
    };
}

/** The file of groups cannot be used, or members have no room where the others of their group are. */
function* groupConditions({ name, instances, groupFileProblem }: PoolStatus): Generator<Condition> {
  // Earlier releases do not tell.
  if (groupFileProblem != null)
    yield {
      ...ofPool('IciGroupFileInvalid', 'warning', name, '#group-file-invalid'),
      since: groupFileProblem.since,
      // The file may be written at this moment.
      toleratedMs: MOMENT_MS,
      text: `the file of groups of pool ${name} cannot be used: its last valid content counts`,
      remedy: `${groupFileProblem.reason}. Correct the file; the gateway reads it again within a second.`,
    };
  for (const { id, maxAgents, groups } of instances) {
    // Earlier releases do not tell.
    if (maxAgents == null || groups == null || groups.agents <= maxAgents) continue;
    const { largest } = groups;
    yield {
      ...ofInstance('IciGroupsTooLarge', 'warning', name, id, '#groups-too-large'),
      text: `the groups at connector ${id} of pool ${name} have more members than its maxAgents`,
      remedy: `${groups.agents} members, maxAgents is ${maxAgents}${largest === null ? '' : `, the largest group is ${largest.name} with ${largest.agents}`}. Split it, raise maxAgents, or add an instance.`,
    };
  }
}

/** An operator who stops a connector for a patch has disabled it before. */
function remedyOfDown({ admin, act }: InstanceStatus): string {
  if (admin !== 'disabled')
    return 'Read what the last probe found, check the connector from the host of a gateway, and restart it.';
  const who = act === null ? 'It is disabled by configuration' : `${act.by} has disabled it: “${act.why}”`;
  return `${who}. When the work on it is done, start it and enable it.`;
}

function* healthConditions(replica: string, pool: PoolStatus, recent: RecentCounts): Generator<Condition> {
  const { name, instances, settled } = pool;
  const isDown = ({ health }: InstanceStatus): boolean =>
    health === 'down' || (health === 'unknown' && settled);
  const down = instances.filter(isDown);
  if (instances.length > 0 && down.length === instances.length)
    yield {
      ...ofPool('IciPoolDown', 'critical', name, '#instance-down'),
      since: latest(down),
      text: `no connector of pool ${name} is up`,
      remedy:
        'Start the connectors. If they run, compare the health check with what their health pages show.',
    };
  if (down.length > 0 && instances.length - down.length === 1)
    yield {
      ...ofPool('IciPoolWithoutSpare', 'warning', name, '#instance-down'),
      since: latest(down),
      text: `only one connector of pool ${name} is left`,
      remedy: 'Start the others: the loss of one more is an outage.',
    };
  for (const instance of instances) {
    const { id } = instance;
    if (isDown(instance))
      yield {
        ...ofInstance('IciInstanceDown', 'warning', name, id, '#instance-down'),
        since: instance.healthSince,
        text: `connector ${id} of pool ${name} is down`,
        remedy: remedyOfDown(instance),
      };
    if (recent.transitions(name, id) > MOST_TRANSITIONS)
      yield {
        ...ofInstance('IciInstanceFlapping', 'warning', name, id, '#instance-flapping'),
        text: `connector ${id} of pool ${name} goes up and down`,
        remedy: 'Disable it until the cause is found: after each change its agents have to log on again.',
      };
    // Until it is up again its quarantine changes nothing, and the remedy is the same.
    if (instance.quarantined && !isDown(instance))
      yield {
        ...ofInstance('IciInstanceQuarantined', 'warning', name, id, '#quarantine'),
        text: `connector ${id} of pool ${name} is in quarantine`,
        remedy: 'Restart the connector, or release it if you know that it holds no session.',
      };
    if (instance.cutOffHere)
      yield {
        ...ofInstance('IciGatewayCutOff', 'warning', name, id, '#isolated'),
        text: `gateway ${replica} cannot reach connector ${id}, its peers can`,
        remedy: 'Check routes and the firewall between this gateway and the connector.',
      };
  }
}

function* configurationConditions(
  replica: string,
  { name, configuration: { differences, missingHere } }: PoolStatus,
): Generator<Condition> {
  const refused = new Set(differences.filter(({ effect }) => effect === 'refused').map((one) => one.replica));
  if (missingHere.length > 0) refused.add(replica);
  for (const gateway of refused)
    yield {
      ...ofPool('IciConfigRefused', 'critical', name, '#config-drift', gateway),
      text: `the configuration of gateway ${gateway} keeps it from serving pool ${name}`,
      remedy: 'Correct its configuration and restart it; if it is right and the others are wrong, adopt it.',
    };
  for (const gateway of new Set(differences.map((one) => one.replica))) {
    if (!refused.has(gateway))
      yield {
        ...ofPool('IciConfigDrift', 'warning', name, '#config-drift', gateway),
        text: `the configuration of gateway ${gateway} for pool ${name} differs from the agreed one`,
        remedy: 'Agents are safe. Finish the rolling change, or roll it back.',
      };
  }
}

function* agreementConditions(
  replica: string,
  { name, affinity, leaseRemainingMs, view, replicas }: PoolStatus,
  recent: RecentCounts,
): Generator<Condition> {
  if (!affinity.available)
    yield {
      ...ofPool('IciStoreAway', 'critical', name, '#redis-away'),
      since: affinity.claimsFail?.since,
      text: `the affinity store is away for pool ${name} at gateway ${replica}`,
      remedy:
        'Check the store. Do not restart gateways meanwhile: they serve known agents from memory and write the bindings back.',
    };
  if (leaseRemainingMs === 0)
    yield {
      ...ofPool('IciLeaseLost', 'critical', name, '#redis-away'),
      toleratedMs: MOMENT_MS,
      text: `gateway ${replica} holds no lease for pool ${name}`,
      remedy: 'Check the connection of this gateway to the store.',
    };
  if (!view.effective)
    yield {
      ...ofPool('IciViewNotEffective', 'warning', name, '#view-pending'),
      since: view.pendingSince,
      toleratedMs: MOMENT_MS,
      text: `a new view of pool ${name} is not in effect at gateway ${replica}`,
      remedy:
        'Find the gateway that has not acknowledged it. If this lasts, the gateways do not share a store.',
    };
  for (const { replica: gateway, abstains } of replicas) {
    const isOften = gateway === replica && recent.abstentions(name) > MOST_ABSTENTIONS;
    if (abstains || isOften)
      yield {
        ...ofPool('IciGatewayLags', 'warning', name, '#overload', gateway),
        toleratedMs: isOften ? 0 : MOMENT_MS,
        text: `gateway ${gateway} withholds its health report: its process was paused or its clock jumped`,
        remedy: 'Check the processor time and pauses of its machine, and its time service.',
      };
  }
}

/** When the last of them went down, if that is known of all. */
function latest(instances: readonly InstanceStatus[]): string | null {
  const times = instances.map(({ healthSince }) => healthSince);
  return times.includes(null) ? null : (times.toSorted().at(-1) ?? null);
}

function percent({ over, of }: { readonly over: number; readonly of: number }): string {
  return of === 0 ? 'all' : `${Number(((over / of) * 100).toPrecision(3))}%`;
}

type Head = Pick<Condition, 'id' | 'severity' | 'pool' | 'instance' | 'runbook'>;

function ofGateway(alert: string, severity: Alarm['severity'], runbook: string): Head {
  return { id: alert, severity, pool: null, instance: null, runbook };
}

/** @param gateway if several gateways may have the condition */
function ofPool(
  alert: string,
  severity: Alarm['severity'],
  pool: string,
  runbook: string,
  gateway?: string,
): Head {
  const id = [alert, pool, ...(gateway === undefined ? [] : [gateway])].join('/');
  return { id, severity, pool, instance: null, runbook };
}

function ofInstance(
  alert: string,
  severity: Alarm['severity'],
  pool: string,
  instance: InstanceId,
  runbook: string,
): Head {
  return { id: `${alert}/${pool}/${instance}`, severity, pool, instance, runbook };
}
