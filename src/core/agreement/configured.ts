import type { PoolEvent } from './agreed-view.ts';
import type { AgreedRules, Failback, Policy } from './policy.ts';

/** What a gateway's configuration says of what all must hold to alike. */
export interface Configured {
  readonly failback: Failback;
  readonly rules: AgreedRules;
}

/** The policy once a gateway with this configuration has started. An operator's word on the failback stays. */
export function withConfigured(policy: Policy, { failback, rules }: Configured): Policy {
  const { quorum, quarantines, countsLives } = rules;
  return {
    ...policy,
    failback: policy.failbackBy === 'operator' ? policy.failback : failback,
    rules: { quorum, quarantines, countsLives },
  };
}

/** What there is to be written of it, as told by the replica `by`; `undefined` where it changes nothing. */
export function eventOfConfigured(policy: Policy, configured: Configured, by: string): PoolEvent | undefined {
  const next = withConfigured(policy, configured);
  const isSame =
    isSameFailback(policy.failback, next.failback) &&
    JSON.stringify(policy.rules) === JSON.stringify(next.rules);
  if (isSame) return undefined;
  return {
    kind: 'configured',
    instance: '',
    from: describe(policy),
    to: describe(next),
    by,
    why: 'a gateway started with this configuration',
  };
}

function isSameFailback(a: Failback, b: Failback): boolean {
  if (a.kind !== 'at' || b.kind !== 'at') return a.kind === b.kind;
  return a.time === b.time && a.zone === b.zone;
}

function describe({ failback, rules }: Policy): string {
  return rules === undefined ? '' : JSON.stringify({ failback: failback.kind, ...rules });
}
