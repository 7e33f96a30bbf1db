import { describe, expect, test } from 'vitest';
import { withFailback } from '../../src/core/agreement/acts.ts';
import type { Configured } from '../../src/core/agreement/configured.ts';
import { eventOfConfigured, withConfigured } from '../../src/core/agreement/configured.ts';
import type { AgreedRules, Failback } from '../../src/core/agreement/policy.ts';
import { NO_POLICY } from '../../src/core/agreement/policy.ts';

const RULES: AgreedRules = { quorum: 'majority', quarantines: true, countsLives: false };
const NIGHTLY: Failback = { kind: 'at', time: '03:30', zone: 'UTC' };

const given = (failback: Failback, rules: Partial<AgreedRules> = {}): Configured => ({
  failback,
  rules: { ...RULES, ...rules },
});

describe('a gateway that starts', () => {
  const policy = withConfigured(NO_POLICY, given(NIGHTLY));

  test('is believed as to failback and rules', () => {
    expect(policy).toEqual({ ...NO_POLICY, failback: NIGHTLY, rules: RULES });
  });

  test("leaves an operator's failback as it is", () => {
    const decided = withFailback(policy, { kind: 'never' });
    expect(withConfigured(decided, given(NIGHTLY, { quorum: 'all' }))).toEqual({
      ...decided,
      rules: { ...RULES, quorum: 'all' },
    });
    expect(eventOfConfigured(decided, given({ kind: 'immediate' }), 'g2')).toBeUndefined();
  });

  test('has nothing to write where the policy says the same already', () => {
    expect(eventOfConfigured(policy, given({ ...NIGHTLY }), 'g2')).toBeUndefined();
  });

  test.each<[string, Configured]>([
    ['another failback', given({ kind: 'never' })],
    ['another time of it', given({ kind: 'at', time: '04:30', zone: 'UTC' })],
    ['another time zone of it', given({ kind: 'at', time: '03:30', zone: 'Europe/Berlin' })],
    ['another quorum', given(NIGHTLY, { quorum: 'any' })],
    ['no quarantine', given(NIGHTLY, { quarantines: false })],
    ['another way to count lives', given(NIGHTLY, { countsLives: true })],
  ])('writes %s', (_, configured) => {
    expect(eventOfConfigured(policy, configured, 'g2')).toMatchObject({ kind: 'configured', by: 'g2' });
  });

  test('says what was, and what is from now on', () => {
    const told = (event = eventOfConfigured(NO_POLICY, given(NIGHTLY), 'g1')) => [event?.from, event?.to];
    const nightly = JSON.stringify({ failback: 'at', ...RULES });
    expect(told()).toEqual(['', nightly]);
    const never = JSON.stringify({ failback: 'never', ...RULES });
    expect(told(eventOfConfigured(policy, given({ kind: 'never' }), 'g2'))).toEqual([nightly, never]);
  });
});
