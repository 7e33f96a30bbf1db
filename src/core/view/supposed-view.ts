import type { InstanceId } from '../instance.ts';
import { rulesBy } from './agreed-config.ts';
import type { AgreedView } from './agreed-view.ts';
import type { ConfigParts } from './config-parts.ts';
import type { ReplicaReport } from './health-report.ts';
import type { Policy } from './policy.ts';
import type { PoolRules } from './pool-rules.ts';
import { viewAfter } from './view-after.ts';

/** What a view follows from, so that one can be supposed to be different. */
export interface ViewCauses {
  readonly agreed: AgreedView;
  readonly reports: readonly ReplicaReport[];
  readonly policy: Policy;
  /** This gateway's configuration of the pool, for what is not agreed yet. */
  readonly parts: ConfigParts;
  /** Milliseconds since the Unix epoch, by the store's clock. */
  readonly now: number;
  readonly boundAgents: (instance: InstanceId) => number | undefined;
}

// A view may give the reason for the next one: an instance that drains without agents is disabled.
const MOST_VIEWS = 5;

const NO_RULES: PoolRules = {
  mode: 'sticky',
  quorum: 'majority',
  quarantines: true,
  countsLives: false,
  instances: [],
};

/** All parts of a pool's configuration are agreed, or this gateway's own. */
export function rulesOf({ agreed, parts }: Pick<ViewCauses, 'agreed' | 'parts'>): PoolRules {
  return rulesBy({ ...parts, ...agreed.config }, NO_RULES);
}

/** The view on which all gateways would agree in the end, if these were its causes. Nothing is decided by it. */
export function supposedView(causes: ViewCauses): AgreedView {
  const { reports, policy, now, boundAgents } = causes;
  const rules = rulesOf(causes);
  let view = causes.agreed;
  for (let i = 0; i < MOST_VIEWS; i += 1) {
    const next = viewAfter(view, { reports, policy, rules, now, boundAgents }, () => 'supposed');
    if (next === undefined) break;
    view = next.view;
  }
  return view;
}
