import type { AdminState, InstanceId } from '../instance.ts';
import type { ConfigParts } from './config-parts.ts';
import type { Quorum, ReplicaReport } from './health-report.ts';
import { memoizePair } from './memoize.ts';
import type { AgreedRules, Failback } from './policy.ts';
import type { PoolRules } from './pool-rules.ts';
import type { Fit } from './view.ts';

/**
 * What a part does where a gateway has another value than the agreed one.
 *
 * - `overridden`: the gateway acts by the agreed value.
 * - `refused`: the gateway does not serve the pool, because it would send agents elsewhere than the others do.
 */
export type DriftEffect = 'overridden' | 'refused';

/** One part in which a gateway differs from what is agreed. */
export interface Difference {
  readonly part: string;
  readonly effect: DriftEffect;
  readonly agreed: unknown;
  readonly configured: unknown;
}

// Everything else is `refused`, so a part that a later release adds is on the safe side.
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

/** A part of one instance: its name, and the id of the instance; `undefined` where it is about the pool. */
export function splitPart(part: string): {
  readonly name: string;
  readonly instance: InstanceId | undefined;
} {
  const at = part.indexOf(':');
  return at === -1
    ? { name: part, instance: undefined }
    : { name: part.slice(0, at), instance: part.slice(at + 1) };
}

export function effectOf(part: string): DriftEffect {
  return OVERRIDDEN.has(splitPart(part).name) ? 'overridden' : 'refused';
}

export interface Configuration {
  readonly rules: PoolRules;
  readonly weights: ReadonlyMap<InstanceId, number>;
  readonly failback?: Failback;
  /** The parts that all gateways must have alike, such as `url:a`. */
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

/** With its members in one order, because values are compared as text. */
function failbackPart(failback: Failback): Failback {
  const { kind } = failback;
  return kind === 'at' ? { kind, time: failback.time, zone: failback.zone } : { kind };
}

/**
 * The rules by which views are made: the agreed ones, and the gateway's own where nothing is agreed.
 *
 * @param earlier agreed by releases that kept no configuration
 */
export function rulesBy(agreed: ConfigParts | undefined, own: PoolRules, earlier?: AgreedRules): PoolRules {
  const rules = earlier === undefined ? own : { ...own, ...earlier };
  return agreed === undefined ? rules : completed(agreed, rules);
}

// Asked for with every look at the ledger.
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

/** What of it releases before this one agree on too; `undefined` where a part is missing. */
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

/** What follows from two configurations that are compared again with every look at the ledger. */
interface Comparison {
  readonly differences: readonly Difference[];
  /** Parts that are not agreed yet, of the pool or of listed instances. */
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
      if (!isSame(agreed[part], value))
        differences.push({ part, effect: effectOf(part), agreed: agreed[part], configured: value });
    } else if (instance === undefined || listed.has(instance)) open.push(part);
  }
  return { differences, open, isRefused: differences.some(({ effect }) => effect === 'refused') };
}

/** In what a gateway differs from what is agreed. */
export function differencesOf(agreed: ConfigParts, configured: ConfigParts): readonly Difference[] {
  return compare(agreed, configured).differences;
}

/**
 * How a gateway's configuration stands to what is agreed. `unknown`: nothing is
 * agreed, or not yet of a part on which it depends where agents are sent.
 */
export function fitOf(agreed: ConfigParts | undefined, configured: ConfigParts): Fit {
  if (agreed === undefined) return 'unknown';
  const { isRefused: differs, open } = compare(agreed, configured);
  if (differs) return 'differs';
  return open.some((part) => effectOf(part) === 'refused') ? 'unknown' : 'agreed';
}

/** Must a gateway with this configuration leave the pool to the others? */
export function isRefused(agreed: ConfigParts, configured: ConfigParts): boolean {
  return compare(agreed, configured).isRefused;
}

/** Is there nothing in it that is not agreed? */
export function isAgreed(agreed: ConfigParts, configured: ConfigParts): boolean {
  const { differences, open } = compare(agreed, configured);
  return differences.length === 0 && open.length === 0;
}

/** Those who may decide: who is refused may look at other connectors under the same names. */
export function withoutRefused(
  reports: readonly ReplicaReport[],
  agreed: ConfigParts | undefined,
): readonly ReplicaReport[] {
  if (agreed === undefined) return reports;
  return reports.filter(({ config }) => config === undefined || !isRefused(agreed, config));
}

/** The parts that have changed, as the event log shows them: before, and after. */
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

/** Values are compared as text, and so is what holds them: its members are in one order. */
export function isSame(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}
