import type { InstanceStatus, PoolStatus } from '../gateway-status.ts';
import type { Finding, IncidentFacts } from './facts.ts';
import { intervals, poolsText } from './moments.ts';
import { STATE_LINES } from './state-lines.ts';

/** What happened to an instance in one pool. */
interface Trouble extends Pick<Finding, 'since' | 'until'> {
  readonly id: string;
  readonly pool: string;
  /** The same kind of trouble of the same process in another pool is told once. */
  readonly kind: string;
  readonly text: string;
  readonly weight: number;
}

/** Instances that are down, were down, have started again, or that this or another gateway alone cannot reach. */
export function instanceFindings(facts: IncidentFacts): Finding[] {
  const { status } = facts;
  const troubles = status.pools.flatMap((pool) => [
    ...poolTroubles(pool),
    ...pool.instances.flatMap((instance) => [
      ...downTroubles(facts, pool, instance),
      ...restartTroubles(facts, pool, instance),
    ]),
  ]);
  return [...together(troubles), ...cutOffFindings(facts)];
}

/** One finding of each kind and instance, whatever pools have it. */
function together(troubles: readonly Trouble[]): Finding[] {
  const groups = new Map<string, Trouble[]>();
  for (const trouble of troubles) {
    const key = `${trouble.kind} ${trouble.id}`;
    const group = groups.get(key) ?? [];
    group.push(trouble);
    groups.set(key, group);
  }
  return [...groups.values()].map((group) => {
    const [first] = group as [Trouble];
    return {
      text: first.text.replace('%', poolsText(group.map(({ pool }) => pool))),
      since: group.some(({ since }) => since === undefined)
        ? undefined
        : Math.min(...group.map(({ since = 0 }) => since)),
      until: group.some(({ until }) => until === undefined)
        ? undefined
        : Math.max(...group.map(({ until = 0 }) => until)),
      weight: first.weight,
    };
  });
}

function poolTroubles({ name, instances, settled }: PoolStatus): Trouble[] {
  if (!settled || instances.length === 0 || instances.some(({ health }) => health === 'up')) return [];
  const times = instances.map(({ healthSince }) => timeOf(healthSince));
  const since = times.some((time) => time === undefined)
    ? undefined
    : Math.max(...times.map((time = 0) => time));
  return [
    {
      id: '',
      pool: name,
      kind: 'pool',
      text: 'no instance of % is up',
      since,
      until: undefined,
      weight: 100,
    },
  ];
}

function timeOf(iso: string | null): number | undefined {
  return iso === null ? undefined : Date.parse(iso);
}

function downTroubles(facts: IncidentFacts, { name: pool }: PoolStatus, instance: InstanceStatus): Trouble[] {
  const { id, health, healthSince } = instance;
  const changes = facts.events
    .filter((event) => event.pool === pool && event.instance === id && /^(up|down)$/.test(event.kind))
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, kind }) => ({ at, begins: kind === 'down' }));
  const found: Pick<Finding, 'since' | 'until'>[] = intervals(changes);
  if (health === 'down' && !found.some(({ until }) => until === undefined))
    found.push({ since: timeOf(healthSince), until: undefined });
  return found.map((interval, i) => {
    const isNow = interval.until === undefined;
    const reports = isNow ? reportsText(instance) : '';
    return {
      ...interval,
      id,
      pool,
      kind: isNow ? 'down' : `was down ${i}`,
      text: `instance ${id} of % ${isNow ? 'is' : 'was'} down: ${causeOf(facts, interval, instance)}${reports}`,
      weight: isNow ? 85 : 58,
    };
  });
}

/** What the probes found, in the words of the probe and what they usually mean. */
function causeOf(
  { lines }: IncidentFacts,
  { since, until }: Pick<Finding, 'since' | 'until'>,
  { id, lastProbe }: InstanceStatus,
): string {
  // A probe fails before the gateways agree.
  const line = lines.findLast(
    ({ msg, at, fields }) =>
      msg === STATE_LINES.probesFail &&
      fields['instance'] === id &&
      at <= (until ?? Number.POSITIVE_INFINITY),
  );
  const isNear = line !== undefined && (since === undefined || line.at > since - NEAR_MS);
  const now = until === undefined && lastProbe?.ok === false ? lastProbe.text : null;
  const reason = now ?? (isNear ? String(line.fields['reason']) : undefined);
  if (reason === undefined) return 'the probes of this gateway do not say why';
  const meaning = MEANINGS.find(([pattern]) => pattern.test(reason))?.[1];
  return `probes find “${reason}”${meaning === undefined ? '' : `, so ${meaning}`}`;
}

// Longer than gateways take to agree.
const NEAR_MS = 30_000;

const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'its process does not run, or does not listen'],
  [/ECONNRESET|EPIPE|other side closed|SocketError/i, 'its process has ended, or ends connections'],
  [/EHOSTUNREACH|ENETUNREACH/, 'there is no way to its host'],
  [/ENOTFOUND|EAI_AGAIN/, 'its host name is not known'],
  [/no answer within|time-?out/i, 'its process hangs, or the network to it is cut'],
  [/^health page/, 'it runs, and its health page says that it cannot work'],
];

function reportsText({ reports }: InstanceStatus): string {
  const down = reports.filter(({ verdict }) => verdict === 'down').length;
  return `; ${down} of ${reports.length} gateways report it`;
}

function restartTroubles(
  { events }: IncidentFacts,
  { name: pool }: PoolStatus,
  { id }: InstanceStatus,
): Trouble[] {
  const restarts = events.filter(
    (event) => event.pool === pool && event.instance === id && event.kind === 'restarted',
  );
  const times = restarts.map(({ at }) => at);
  if (times.length === 0) return [];
  const often = times.length === 1 ? 'was started again' : `was started again ${times.length} times`;
  const text = `instance ${id} of % ${often}: it has forgotten its agents, who must log on again`;
  return [
    { id, pool, kind: 'restarted', text, since: Math.min(...times), until: Math.max(...times), weight: 59 },
  ];
}

function cutOffFindings({ status, gateways, lines }: IncidentFacts): Finding[] {
  const changes = lines
    .filter(({ msg }) => msg === STATE_LINES.cutOff || msg === STATE_LINES.reached)
    .map(({ msg, at }) => ({ at, begins: msg === STATE_LINES.cutOff }));
  const own = intervals(changes);
  const here = status.pools.flatMap(({ name, instances }) =>
    instances.filter(({ cutOffHere }) => cutOffHere).map(({ id }) => ({ pool: name, id })),
  );
  const text = (gateway: string, ids: readonly string[], pools: readonly string[]): string =>
    `gateway ${gateway} alone cannot reach ${ids.length === 1 ? 'instance' : 'instances'} ${ids.join(', ')} of ${poolsText(pools)}, other gateways can: the network between them is cut`;
  const found: Finding[] = [];
  if (here.length > 0)
    found.push({
      text: text(
        status.replica,
        [...new Set(here.map(({ id }) => id))],
        here.map(({ pool }) => pool),
      ),
      since: own.at(-1)?.since,
      until: undefined,
      weight: 87,
    });
  for (const { since, until } of own.filter((interval) => interval.until !== undefined)) {
    const then = lines.filter(
      ({ msg, at }) => msg === STATE_LINES.cutOff && at >= since && at <= (until ?? at),
    );
    const ids = then.flatMap(({ fields }) => fields['instances'] as string[]);
    found.push({
      text: text(
        status.replica,
        [...new Set(ids)],
        then.map(({ fields }) => String(fields['pool'])),
      ),
      since,
      until,
      weight: 57,
    });
  }
  for (const { self, replica, pools } of gateways) {
    const cut = self ? [] : pools.filter(({ cutOff }) => (cutOff?.length ?? 0) > 0);
    if (cut.length > 0)
      found.push({
        text: text(
          replica,
          [...new Set(cut.flatMap(({ cutOff }) => cutOff ?? []))],
          cut.map(({ pool }) => pool),
        ),
        since: undefined,
        until: undefined,
        weight: 86,
      });
  }
  return found;
}
