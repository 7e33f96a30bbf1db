import type { AdminState, InstanceId } from '../instance.ts';
import { widens } from '../naming-rules.ts';
import type { ConfigParts } from './config-parts.ts';
import type { Quorum, ReplicaReport } from './health-report.ts';
import { memoizePair } from './memoize.ts';
import type { AgreedRules, Failback } from './policy.ts';
import type { PoolRules } from './pool-rules.ts';
import type { Fit } from './view.ts';

/**
 * What happens when a gateway configures another value than the agreed one.
 *
 * - `overridden`: the gateway uses the agreed value.
 * - `tolerated`: the gateway uses its own value. One of the two only names requests that the other does not.
 * - `refused`: the gateway does not serve the pool, because it would send agents to other instances than its peers
 *   do.
 */
export type DriftEffect = 'overridden' | 'tolerated' | 'refused';

/** One part of the configuration in which a gateway differs from what is agreed. */
export interface Difference {
  readonly part: string;
  readonly effect: DriftEffect;
  readonly agreed: unknown;
  readonly configured: unknown;
}

// All other parts are `refused`, so a part that a later release adds is safe by default.
const OVERRIDDEN: ReadonlySet<string> = new Set([
  'instances',
  'priority',
  'weight',
  'admin',
  'quorum',
  'failback',
  'quarantine',
  'countRestarts',
]);

/** The name of a part and the instance it belongs to; `undefined` for a part of the whole pool. */
export function splitPart(part: string): {
  readonly name: string;
  readonly instance: InstanceId | undefined;
} {
  const at = part.indexOf(':');
  return at === -1
    ? { name: part, instance: undefined }
    : { name: part.slice(0, at), instance: part.slice(at + 1) };
}

/** The effect of a difference, unless it is tolerated. */
export function effectOf(part: string): Exclude<DriftEffect, 'tolerated'> {
  return OVERRIDDEN.has(splitPart(part).name) ? 'overridden' : 'refused';
}

export interface Configuration {
  readonly rules: PoolRules;
  readonly weights: ReadonlyMap<InstanceId, number>;
  readonly failback?: Failback;
  /** Parts that must be the same in all gateways, such as `url:a`. */
  readonly fixed?: ConfigParts;
}

const NEVER: Failback = { kind: 'never' };

/** What a gateway's own configuration says. */
export function partsOf({ rules, weights, failback = NEVER, fixed = {} }: Configuration): ConfigParts {
  const parts: Record<string, unknown> = {
    mode: rules.mode,
    quorum: rules.quorum,
    failback: failbackPart(failback),
    quarantine: rules.quarantines,
    countRestarts: rules.countsLives,
    instances: rules.instances.map(({ id }) => id).sort(),
  };
  for (const { id, priority, admin } of rules.instances) {
    parts[`priority:${id}`] = priority;
    parts[`weight:${id}`] = weights.get(id) ?? 1;
    parts[`admin:${id}`] = admin;
  }
  return { ...parts, ...fixed };
}

/** The keys are in a fixed order, because values are compared as JSON text. */
function failbackPart(failback: Failback): Failback {
  const { kind } = failback;
  return kind === 'at' ? { kind, time: failback.time, zone: failback.zone } : { kind };
}

/**
 * The rules for making views: the agreed ones, or the gateway's own if nothing is agreed yet.
 *
 * @param earlier rules agreed by releases that did not store the configuration
 */
export function rulesBy(agreed: ConfigParts | undefined, own: PoolRules, earlier?: AgreedRules): PoolRules {
  const rules = earlier === undefined ? own : { ...own, ...earlier };
  return agreed === undefined ? rules : completed(agreed, rules);
}

// Memoized, because every sync with the view store needs it.
const completed = memoizePair((agreed: ConfigParts, own: PoolRules): PoolRules => {
  const value = <T>(part: string, otherwise: T): T => (agreed[part] as T | undefined) ?? otherwise;
  const configured = new Map(own.instances.map((instance) => [instance.id, instance]));
  return {
    mode: value('mode', own.mode),
    quorum: value('quorum', own.quorum),
    quarantines: value('quarantine', own.quarantines),
    countsLives: value('countRestarts', own.countsLives),
    instances: instancesIn(agreed).map((id) => ({
      id,
      priority: value(`priority:${id}`, configured.get(id)?.priority ?? Number.MAX_SAFE_INTEGER),
      admin: value<AdminState>(`admin:${id}`, configured.get(id)?.admin ?? 'enabled'),
    })),
  };
});

/** The rules that earlier releases agree on too; `undefined` if a part is missing. */
export function rulesIn({ quorum, quarantine, countRestarts }: ConfigParts): AgreedRules | undefined {
  if (quorum === undefined || quarantine === undefined || countRestarts === undefined) return undefined;
  return { quorum: quorum as Quorum, quarantines: quarantine === true, countsLives: countRestarts === true };
}

export function failbackIn({ failback }: ConfigParts): Failback | undefined {
  return failback === undefined ? undefined : (failback as Failback);
}

export function weightIn(agreed: ConfigParts, id: InstanceId): number {
  const weight = agreed[`weight:${id}`];
  return typeof weight === 'number' ? weight : 1;
}

export function instancesIn(parts: ConfigParts): readonly InstanceId[] {
  return (parts['instances'] as readonly InstanceId[] | undefined) ?? [];
}

/** The comparison of two configurations. It is memoized, because every sync needs it. */
interface Comparison {
  readonly differences: readonly Difference[];
  /** Parts, of the pool or of listed instances, that are not agreed yet. */
  readonly open: readonly string[];
  readonly isRefused: boolean;
}

const compare = memoizePair(compared);

function compared(agreed: ConfigParts, configured: ConfigParts): Comparison {
  const listed = new Set(instancesIn(agreed));
  const differences: Difference[] = [];
  const open: string[] = [];
  for (const [part, value] of Object.entries(configured)) {
    const { instance } = splitPart(part);
    if (agreed[part] !== undefined) {
      if (!isSame(agreed[part], value)) differences.push({ part, ...difference(part, agreed[part], value) });
    } else if (instance === undefined || listed.has(instance)) open.push(part);
  }
  return { differences, open, isRefused: differences.some(({ effect }) => effect === 'refused') };
}

function difference(part: string, agreed: unknown, configured: unknown): Omit<Difference, 'part'> {
  const isTolerated = widens(part, agreed, configured) || widens(part, configured, agreed);
  return { effect: isTolerated ? 'tolerated' : effectOf(part), agreed, configured };
}

/** The parts in which a gateway differs from the agreed configuration. */
export function differencesOf(agreed: ConfigParts, configured: ConfigParts): readonly Difference[] {
  return compare(agreed, configured).differences;
}

/**
 * How a gateway's configuration relates to the agreed one. It is `unknown` while nothing is agreed, or while a part
 * that decides where agents are sent is not agreed.
 */
export function fitOf(agreed: ConfigParts | undefined, configured: ConfigParts): Fit {
  if (agreed === undefined) return 'unknown';
  const { isRefused: differs, open } = compare(agreed, configured);
  if (differs) return 'differs';
  return open.some((part) => effectOf(part) === 'refused') ? 'unknown' : 'agreed';
}

/** Whether a gateway with this configuration must not serve the pool. */
export function isRefused(agreed: ConfigParts, configured: ConfigParts): boolean {
  return compare(agreed, configured).isRefused;
}

/** Whether every part of this configuration is agreed. */
export function isAgreed(agreed: ConfigParts, configured: ConfigParts): boolean {
  const { differences, open } = compare(agreed, configured);
  return differences.length === 0 && open.length === 0;
}

/** The reports that may be counted. A refused gateway may probe other connectors under the same names. */
export function withoutRefused(
  reports: readonly ReplicaReport[],
  agreed: ConfigParts | undefined,
): readonly ReplicaReport[] {
  if (agreed === undefined) return reports;
  return reports.filter(({ config }) => config === undefined || !isRefused(agreed, config));
}

/** The changed parts before and after, as the event log shows them. */
export function describeChange(
  before: ConfigParts | undefined,
  after: ConfigParts,
): { readonly from: string; readonly to: string } {
  const was = before ?? {};
  const changed = [...new Set([...Object.keys(was), ...Object.keys(after)])].filter(
    (part) => !isSame(was[part], after[part]),
  );
  const show = (parts: ConfigParts): string =>
    JSON.stringify(Object.fromEntries(changed.map((part) => [part, parts[part]])));
  return { from: before === undefined ? '' : show(was), to: show(after) };
}

/** Values are compared as JSON text; this works because their keys are in a fixed order. */
export function isSame(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}
