import { describe, expect, test } from 'vitest';
import type { ConfigParts } from '../../../../src/core/view/config-parts.ts';
import { withAgreedRules } from '../../../../src/core/view/legacy-policy.ts';
import type { AgreedRules, Failback } from '../../../../src/core/view/policy.ts';
import { NO_POLICY } from '../../../../src/core/view/policy.ts';
import { withFailback } from '../../../../src/core/view/policy-changes.ts';

const RULES: AgreedRules = { quorum: 'majority', quarantines: true, countsLives: false };
const NIGHTLY: Failback = { kind: 'at', time: '03:30', zone: 'UTC' };

const given = (failback: Failback, other: ConfigParts = {}): ConfigParts => ({
  failback,
  quorum: 'majority',
  quarantine: true,
  countRestarts: false,
  ...other,
});

describe('the policy, for releases that know no agreed configuration', () => {
  const policy = withAgreedRules(NO_POLICY, given(NIGHTLY));

  test('contains the agreed failback and rules', () => {
    expect(policy).toEqual({ ...NO_POLICY, failback: NIGHTLY, rules: RULES });
  });

  test("keeps an operator's failback", () => {
    const decided = withFailback(policy, { kind: 'never' });
    expect(withAgreedRules(decided, given(NIGHTLY, { quorum: 'all' }))).toEqual({
      ...decided,
      rules: { ...RULES, quorum: 'all' },
    });
    expect(withAgreedRules(decided, given({ kind: 'immediate' }))).toBe(decided);
  });

  test('stays the same object if it says so already', () => {
    expect(withAgreedRules(policy, given({ ...NIGHTLY }))).toBe(policy);
    expect(withAgreedRules(policy, {})).toBe(policy);
  });

  test.each<[string, ConfigParts]>([
    ['failback', given({ kind: 'never' })],
    ['time of it', given({ kind: 'at', time: '04:30', zone: 'UTC' })],
    ['time zone of it', given({ kind: 'at', time: '03:30', zone: 'Europe/Berlin' })],
    ['quorum', given(NIGHTLY, { quorum: 'any' })],
    ['quarantine', given(NIGHTLY, { quarantine: false })],
    ['way to count lives', given(NIGHTLY, { countRestarts: true })],
  ])('changes with another agreed %s', (_, agreed) => {
    expect(withAgreedRules(policy, agreed)).not.toBe(policy);
  });
});
