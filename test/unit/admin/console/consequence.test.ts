import { describe, expect, test } from 'vitest';
import { isSurprise } from '../../../../src/admin/console/logic/consequence.ts';

const logOnAgain = (agents: number) => ({
  agents,
  text: `${agents} ${agents === 1 ? 'agent' : 'agents'} must log on again`,
});

describe('the consequence that an operator has read', () => {
  test('is no surprise while about as many agents are concerned, or fewer', () => {
    expect(isSurprise(logOnAgain(10), logOnAgain(11))).toBe(false);
    expect(isSurprise(logOnAgain(10), logOnAgain(1))).toBe(false);
    expect(
      isSurprise({ agents: 0, text: '3 agents stay at a' }, { agents: 0, text: '9 agents stay at a' }),
    ).toBe(false);
  });

  test('is one when many more agents are concerned', () => {
    expect(isSurprise(logOnAgain(10), logOnAgain(12))).toBe(true);
    expect(isSurprise(logOnAgain(1), logOnAgain(12))).toBe(true);
  });

  test('is one when it means something else', () => {
    const none = { agents: 0, text: 'no agent is bound to a' };
    expect(isSurprise(none, logOnAgain(1))).toBe(true);
    expect(isSurprise(logOnAgain(1), none)).toBe(true);
    expect(
      isSurprise(logOnAgain(2), { agents: null, text: 'all agents of the pool must log on again' }),
    ).toBe(true);
  });
});
