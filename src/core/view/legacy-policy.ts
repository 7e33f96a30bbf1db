import { failbackIn, rulesIn } from './agreed-config.ts';
import type { ConfigParts } from './config-parts.ts';
import type { Policy } from './policy.ts';

/**
 * Copies the rules of the agreed configuration into the policy, where earlier releases look for them. Returns the
 * same object if nothing changes. A failback set by an operator stays.
 */
export function withAgreedRules(policy: Policy, config: ConfigParts): Policy {
  const failback = policy.failbackBy === 'operator' ? undefined : failbackIn(config);
  const next: Policy = {
    ...policy,
    failback: failback ?? policy.failback,
    rules: rulesIn(config) ?? policy.rules,
  };
  return JSON.stringify([next.failback, next.rules]) === JSON.stringify([policy.failback, policy.rules])
    ? policy
    : next;
}
