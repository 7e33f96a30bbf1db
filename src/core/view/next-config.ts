import type { InstanceId } from '../instance.ts';
import { widens } from '../naming-rules.ts';
import {
  describeChange,
  effectOf,
  instancesIn,
  isAgreed,
  isRefused,
  isSame,
  splitPart,
  withoutRefused,
} from './agreed-config.ts';
import type { AgreedView, PoolEvent } from './agreed-view.ts';
import type { ConfigParts, RequestedConfig } from './config-parts.ts';
import type { ReplicaReport } from './health-report.ts';
import type { Policy } from './policy.ts';

/** A replica's contribution to the agreement on the configuration. */
export interface LocalConfigPart {
  readonly own: ConfigParts;
  /** This gateway has just started, so it may replace gateways that were stopped. */
  readonly mayReplace: boolean;
}

/** The configuration in the next view. */
export interface ConfigStep {
  readonly config: ConfigParts | undefined;
  /** The operator's request that this step or an earlier one carries out. */
  readonly carriedOut: string | undefined;
  readonly events: readonly Omit<PoolEvent, 'by'>[];
}

/** @param part `undefined` for a replica in degraded mode, which never changes the configuration */
export function configStep(
  view: AgreedView,
  part: LocalConfigPart | undefined,
  policy: Policy,
  reports: readonly ReplicaReport[],
): ConfigStep {
  const { config: agreed, configWish } = view;
  if (part === undefined) return { config: agreed, carriedOut: configWish, events: [] };
  const asked = policy.config;
  const requested =
    asked === undefined || asked.id === configWish || agreed === undefined ? undefined : asked;
  const own = agreed === undefined ? { ...part.own, ...agreedBefore(policy) } : part.own;
  const next = nextConfig({ agreed, own, reports, requested, mayReplace: part.mayReplace });
  return {
    config: next?.config ?? agreed,
    carriedOut: requested?.id ?? configWish,
    // The operator's request was logged when it was made.
    events:
      next === undefined || requested !== undefined
        ? []
        : [{ kind: 'configured', instance: '', ...describeChange(agreed, next.config), why: next.why }],
  };
}

/** Rules agreed by a release that kept them only in the policy. */
function agreedBefore({ rules, failback, failbackBy }: Policy): ConfigParts {
  if (rules === undefined) return {};
  const { quorum, quarantines, countsLives } = rules;
  return {
    quorum,
    quarantine: quarantines,
    countRestarts: countsLives,
    ...(failbackBy === 'configuration' ? { failback } : {}),
  };
}

export interface ConfigCircumstances {
  /** `undefined` until the first gateway of this release has started. */
  readonly agreed: ConfigParts | undefined;
  readonly own: ConfigParts;
  /** One for each live gateway. */
  readonly reports: readonly ReplicaReport[];
  /** An operator's request that has not been carried out yet. */
  readonly requested: RequestedConfig | undefined;
  /** This gateway has just started, so it may replace gateways that were stopped. */
  readonly mayReplace: boolean;
}

export interface NextConfig {
  readonly config: ConfigParts;
  readonly why: string;
}

/**
 * The next agreed configuration, or `undefined` if it does not change.
 *
 * A part changes when an operator requests it, or when every live gateway that has the part configures the same new
 * value. Refused gateways have no say, so a mistake at one gateway does not block the others. A part that causes
 * refusal changes only when no live gateway serves by the agreed value and a new gateway starts. A part that names
 * agents is widened as soon as one gateway has it wider, so that a third one cannot widen it in another way.
 */
export function nextConfig(circumstances: ConfigCircumstances): NextConfig | undefined {
  const { agreed, own, requested } = circumstances;
  if (agreed === undefined)
    return { config: tidy(own), why: 'a gateway started, and nothing was agreed yet' };
  if (requested !== undefined) {
    const config = tidy({ ...withoutInstances(agreed), ...requested.parts });
    return isSame(config, agreed) ? undefined : { config, why: 'requested by an operator' };
  }
  if (circumstances.reports.every(({ config }) => config === undefined || isAgreed(agreed, config)))
    return undefined;
  const replaced = mayReplaceRefused(circumstances, agreed) ? withRefusedParts(agreed, own) : agreed;
  const config = withUnanimous(replaced, circumstances.reports);
  if (isSame(config, agreed)) return undefined;
  const isByAll = withoutRefused(circumstances.reports, config).every(
    (report) => report.config === undefined || isAgreed(config, report.config),
  );
  return {
    config,
    why: isByAll
      ? 'all gateways are configured like this'
      : 'a gateway is configured like this, and finds names where the others find none',
  };
}

/** No live gateway serves by the agreed configuration, and all are configured like this one. */
function mayReplaceRefused({ own, reports, mayReplace }: ConfigCircumstances, agreed: ConfigParts): boolean {
  if (!mayReplace || !isRefused(agreed, own)) return false;
  // A release that registers no configuration acts by an unknown one.
  return reports.every(({ config }) => config !== undefined && !isRefused(own, config));
}

function withRefusedParts(agreed: ConfigParts, own: ConfigParts): ConfigParts {
  const parts = Object.entries(own).filter(([part]) => effectOf(part) === 'refused');
  return tidy({ ...agreed, ...Object.fromEntries(parts) });
}

function withUnanimous(agreed: ConfigParts, reports: readonly ReplicaReport[]): ConfigParts {
  const configs = withoutRefused(reports, agreed).flatMap(({ config }): ConfigParts[] =>
    config === undefined ? [] : [config],
  );
  const all = (part: string): unknown => unanimous(configs, part);
  const next: Record<string, unknown> = { ...agreed };
  const instances = all('instances') as readonly InstanceId[] | undefined;
  if (instances !== undefined) {
    const known = new Set(instancesIn(agreed));
    const added = instances.filter((id) => !known.has(id));
    // All gateways must mean the same connector by this name before agents are sent there.
    if (added.every((id) => partsOfInstance(configs, id).every((part) => all(part) !== undefined)))
      next['instances'] = instances;
  }
  const listed = new Set(instancesIn(next));
  for (const part of new Set(configs.flatMap((config) => Object.keys(config)))) {
    const { instance } = splitPart(part);
    if (part === 'instances' || (instance !== undefined && !listed.has(instance))) continue;
    const isNew = agreed[part] === undefined;
    if (effectOf(part) === 'refused' && !isNew) {
      const value = widest(configs, part, agreed[part]);
      if (value !== undefined) next[part] = value;
      continue;
    }
    // This part comes from a later release. If gateways differ in it, one of them must be refused at once.
    const isDecided = isNew && effectOf(part) === 'refused';
    const value = isDecided ? configs.find((config) => config[part] !== undefined)?.[part] : all(part);
    if (value !== undefined) next[part] = value;
  }
  return tidy(next);
}

/** The value that names more requests than the agreed one, or that all gateways have now and that names fewer. */
function widest(configs: readonly ConfigParts[], part: string, agreed: unknown): unknown {
  const values = configs.flatMap((config) => (config[part] === undefined ? [] : [config[part]]));
  const wider = values.find((value) => !isSame(value, agreed) && widens(part, agreed, value));
  const common = unanimous(configs, part);
  return wider ?? (common !== undefined && widens(part, common, agreed) ? common : undefined);
}

/** The value that all gateways with this part agree on; `undefined` if they differ. */
function unanimous(configs: readonly ConfigParts[], part: string): unknown {
  const values = configs.flatMap((config) => (config[part] === undefined ? [] : [config[part]]));
  return values.every((value) => isSame(value, values[0])) ? values[0] : undefined;
}

function partsOfInstance(configs: readonly ConfigParts[], id: InstanceId): string[] {
  return configs.flatMap((config) => Object.keys(config).filter((part) => splitPart(part).instance === id));
}

function withoutInstances(parts: ConfigParts): ConfigParts {
  return Object.fromEntries(Object.entries(parts).filter(([part]) => splitPart(part).instance === undefined));
}

/** Drops parts of instances that are not listed, and sorts the rest. */
function tidy(parts: ConfigParts): ConfigParts {
  const listed = new Set(instancesIn(parts));
  const entries = Object.entries(parts).filter(([part]) => {
    const { instance } = splitPart(part);
    return instance === undefined || listed.has(instance);
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
