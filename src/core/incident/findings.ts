import { isFailure } from '../alarms.ts';
import type { PoolStatus } from '../gateway-status.ts';
import { span } from '../span.ts';
import type { Finding, IncidentFacts } from './facts.ts';
import { instanceFindings } from './instance-findings.ts';
import { intervals, moment, poolsText } from './moments.ts';
import { STATE_LINES } from './state-lines.ts';

/**
 * What is wrong, or was in the period: the worst first. Each rule reads the same data that the archive holds, so a
 * reader can check it.
 */
export function findingsOf(facts: IncidentFacts): readonly Finding[] {
  const found = [
    ...storeFindings(facts),
    ...claimFindings(facts),
    ...instanceFindings(facts),
    ...gatewayFindings(facts),
    ...clockFindings(facts),
    ...operatorFindings(facts),
  ];
  return [...found, ...alarmFindings(facts), ...requestFindings(facts)].toSorted(
    (a, b) => b.weight - a.weight || (a.since ?? facts.from) - (b.since ?? facts.from),
  );
}

/** From the first pool that loses the store until the last one that has it again. */
function storeFindings({ lines, status, to }: IncidentFacts): Finding[] {
  const away = new Set<string>();
  const changes = lines.flatMap(({ msg, at, fields }) => {
    if (msg === STATE_LINES.storeAway) away.add(String(fields['pool']));
    else if (msg === STATE_LINES.storeAvailable) away.delete(String(fields['pool']));
    else return [];
    return [{ at, begins: away.size > 0 }];
  });
  const details = lines.filter(({ msg }) => msg === STATE_LINES.storeAway);
  const isAwayNow = status.pools.some(({ affinity }) => !affinity.available && affinity.claimsFail === null);
  const found: Finding[] = intervals(changes).map((interval) => {
    const own = details.filter(({ at }) => at >= interval.since && at <= (interval.until ?? to));
    const detail = own.find(({ fields }) => fields['detail'] !== undefined)?.fields['detail'];
    return {
      ...interval,
      text: `the affinity store is away for gateway ${status.replica}, ${poolsText(own.map(({ fields }) => String(fields['pool'])))}${detail === undefined ? '' : `: ${String(detail)}`}`,
      weight: interval.until === undefined ? 90 : 65,
    };
  });
  if (isAwayNow && !found.some(({ until }) => until === undefined)) {
    const pools = status.pools.filter(({ affinity }) => !affinity.available).map(({ name }) => name);
    const text = `the affinity store is away for gateway ${status.replica}, ${poolsText(pools)}`;
    found.push({ text, since: undefined, until: undefined, weight: 90 });
  }
  const renewed = lines.filter(({ msg }) => msg === STATE_LINES.storeRenewed);
  const [first] = renewed;
  if (first !== undefined)
    found.push({
      text: 'the affinity store may have lost data, because it was emptied, started again or replaced by a replica; the gateways have written bindings back',
      since: first.at,
      until: renewed.at(-1)?.at,
      weight: 62,
    });
  return found;
}

/** The store answers, but not about bindings. */
function claimFindings({ lines, status }: IncidentFacts): Finding[] {
  const changes = lines.flatMap(({ msg, at }) =>
    msg === STATE_LINES.claimsFail || msg === STATE_LINES.claimsWork
      ? [{ at, begins: msg === STATE_LINES.claimsFail }]
      : [],
  );
  const past = intervals(changes).filter(({ until }) => until !== undefined);
  const text = `operations on bindings fail at gateway ${status.replica}, although the store answers`;
  return [
    ...status.pools.flatMap(({ name, affinity: { claimsFail } }) =>
      claimsFail === null
        ? []
        : [
            {
              text: `${text}: pool ${name}, ${claimsFail.error}`,
              since: Date.parse(claimsFail.since),
              until: undefined,
              weight: 88,
            },
          ],
    ),
    ...past.map((interval) => ({ ...interval, text, weight: 60 })),
  ];
}

/** Other gateways: silent, gone, or away for a while. */
function gatewayFindings({ gateways, lines, events, to }: IncidentFacts): Finding[] {
  const changes = new Map<string, { at: number; begins: boolean; pool: string }[]>();
  for (const { msg, at, fields } of lines) {
    if (msg !== STATE_LINES.gatewayGone && msg !== STATE_LINES.gatewayCame) continue;
    const gateway = String(fields['gateway']);
    const own = changes.get(gateway) ?? [];
    own.push({ at, begins: msg === STATE_LINES.gatewayGone, pool: String(fields['pool']) });
    changes.set(gateway, own);
  }
  const found: Finding[] = [];
  for (const [gateway, own] of changes) {
    const stop = events.find((event) => event.gateway === gateway && event.kind === 'stop');
    for (const interval of intervals(own)) {
      const isBack = interval.until !== undefined;
      const cause =
        stop === undefined
          ? isBack
            ? 'it was paused, or cut off from the store'
            : 'it was stopped, its processes were killed, or it is cut off from the store'
          : `${stop.by} has stopped it: “${stop.why}”`;
      found.push({
        ...interval,
        text: `gateway ${gateway} ${isBack ? 'took no part' : 'is gone'}: ${cause}`,
        weight: isBack ? 55 : stop === undefined ? 80 : 40,
      });
    }
  }
  const told = (replica: string): boolean =>
    found.some(({ text }) => text.startsWith(`gateway ${replica} is gone`));
  for (const { replica, silent, seenSecondsAgo } of gateways)
    if (silent && !told(replica))
      found.push({
        text: `gateway ${replica} is silent: its processes were killed or hang, or it is cut off from the store`,
        since: to - (seenSecondsAgo ?? 0) * 1_000,
        until: undefined,
        weight: 80,
      });
  return found;
}

/** A gateway that was paused, or whose clock jumped, says so itself. */
function clockFindings({ lines, status }: IncidentFacts): Finding[] {
  const own = lines.filter(({ msg }) => msg === STATE_LINES.withheld || msg === STATE_LINES.sentAgain);
  const changes = own.map(({ msg, at }) => ({ at, begins: msg === STATE_LINES.withheld }));
  const reasons = [
    ...new Set(own.flatMap(({ fields }) => (fields['abstains'] === true ? [String(fields['reason'])] : []))),
  ];
  return intervals(changes).map((interval) => ({
    ...interval,
    text: `gateway ${status.replica} withheld its health report: ${reasons.join(', ')}`,
    weight: interval.until === undefined ? 75 : 50,
  }));
}

/** What operators keep from taking agents. */
function operatorFindings({ status }: IncidentFacts): Finding[] {
  const kept = status.pools.flatMap(({ name, instances }) =>
    instances.flatMap(({ id, admin, act }) =>
      admin === 'enabled' || act === null
        ? []
        : [
            {
              text: `instance ${id} of pool ${name} is ${admin} by ${act.by}: “${act.why}”`,
              since: Date.parse(act.at),
              until: undefined,
              weight: 35,
            },
          ],
    ),
  );
  const { state, replica } = status;
  if (state === 'Running' || state === 'Isolated' || state === 'Drifted') return kept;
  return [
    ...kept,
    { text: `gateway ${replica} is in the state ${state}`, since: undefined, until: undefined, weight: 70 },
  ];
}

// Findings of their own say more.
const TOLD =
  /^Ici(StoreAway|InstanceDown|PoolDown|PoolWithoutSpare|GatewayCutOff|RequestsFail|OutcomeUnknown|GatewayLags)/;

function alarmFindings({ status }: IncidentFacts): Finding[] {
  const isStoreAway = status.pools.some(({ affinity }: PoolStatus) => !affinity.available);
  return status.alarms
    .filter(({ id }) => !TOLD.test(id) && !(isStoreAway && id.startsWith('IciLeaseLost')))
    .map(({ text, since, severity }) => ({
      text,
      since: since === null ? undefined : Date.parse(since),
      until: undefined,
      weight: severity === 'critical' ? 72 : 45,
    }));
}

function requestFindings({ requests, to }: IncidentFacts): Finding[] {
  const failures = requests.errors.filter(({ code }) => isFailure(code));
  const failed = failures.reduce((sum, one) => sum + one.requests, 0);
  if (failed === 0) return [];
  const codes = failures.map((one) => `${one.code} ${one.requests}`).join(', ');
  return [
    {
      text: `${failed} of ${requests.ended} requests of the last ${span(requests.withinMs)} until ${moment(to, to)} got an error of the gateway: ${codes}`,
      since: undefined,
      until: to,
      weight: 20,
    },
  ];
}
