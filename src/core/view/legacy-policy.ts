import { failbackIn, rulesIn } from './agreed-config.ts';
import type { ConfigParts } from './config-parts.ts';
import type { Policy } from './policy.ts';

/**
 * The policy with the rules of the agreed configuration, for releases that look for
 * them there; the very same policy where it has them. An operator's word on the
 * failback stays.
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
