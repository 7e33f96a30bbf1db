import { describe, expect, test } from 'vitest';
import type { Arrival } from '../../support/arrivals.ts';
import { whereaboutsIn } from '../../support/arrivals.ts';

/** `AGENT.NUMBER at INSTANCE/INCARNATION`, one after the other. */
function arrived(...lines: readonly string[]): Arrival[] {
  return lines.map((line, i) => {
    const [, id = '', agent = '', incarnation = '', instance = ''] =
      /^((\w+)\.\d+) at ((\w)\/\d)$/.exec(line) ?? [];
    return { at: i + 1, id, agent, instance, incarnation };
  });
}

const fromA = { mayLeave: ({ instance }: Arrival) => instance === 'a' };
const never = { mayLeave: () => false };

describe('the arrival of requests at instances', () => {
  test('is no split if each agent stays, or leaves an instance that could not serve', () => {
    const found = whereaboutsIn(arrived('U.1 at a/1', 'V.1 at b/1', 'U.2 at b/1', 'V.2 at b/1'), fromA);
    expect(found).toMatchObject({ splits: [], late: [], repeated: [] });
    expect([...found.moved]).toEqual(['U']);
  });

  test('is a split if an agent leaves an instance that could serve it, even for a moment', () => {
    const { splits } = whereaboutsIn(arrived('U.1 at a/1', 'U.2 at b/1', 'U.3 at a/1'), never);
    expect(splits.map(({ from, to }) => `${from.incarnation} ${to.incarnation}`)).toEqual([
      'a/1 b/1',
      'b/1 a/1',
    ]);
  });

  test('is a split if an agent who was moved comes back', () => {
    const { splits } = whereaboutsIn(arrived('U.1 at a/1', 'U.2 at b/1', 'U.3 at a/1'), fromA);
    expect(splits.map(({ to }) => to.id)).toEqual(['U.3']);
  });

  test('is late if the agent had been moved, or the client been answered, before', () => {
    const times = new Map([
      ['U.2', { begunAt: 1.5, endedAt: 9 }],
      ['V.1', { begunAt: 0, endedAt: 3 }],
    ]);
    const found = whereaboutsIn(
      arrived('U.1 at a/1', 'U.3 at b/1', 'U.2 at a/1', 'V.1 at b/1', 'U.4 at b/1'),
      {
        ...fromA,
        request: (id) => times.get(id),
      },
    );
    expect(found.late.map(({ id }) => id)).toEqual(['U.2', 'V.1']);
    expect(found.splits).toEqual([]);
  });

  test('is another place in another incarnation of the same instance', () => {
    const { splits } = whereaboutsIn(arrived('U.1 at a/1', 'U.2 at a/2'), never);
    expect(splits).toHaveLength(1);
  });

  test('is reported if a request arrived twice', () => {
    expect(whereaboutsIn(arrived('U.1 at a/1', 'U.1 at a/1'), never).repeated).toEqual(['U.1']);
  });
});
