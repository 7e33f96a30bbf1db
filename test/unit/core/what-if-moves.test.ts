import { expect, test } from 'vitest';
import type { Binding } from '../../../src/core/binding.ts';
import { movesBetween } from '../../../src/core/what-if.ts';
import { anInstance, aView } from '../../support/instances.ts';

/** What the question costs the controller, which has leases to renew meanwhile. */

const AGENTS = 1_000;
const GROUPS = 50;
const bindings = Array.from(
  { length: AGENTS },
  (_, i): Binding => ({
    root: { kind: 'user', value: `AGENT${i}` },
    instance: i % 2 === 0 ? 'a' : 'b',
    incarnation: '',
    generation: 1,
  }),
);

test('gives others a turn for each agent, and looks at the agents once for all groups', async () => {
  const others = ['b', 'c', 'd'].map((id) => anInstance({ id }));
  const before = aView(anInstance(), ...others);
  const after = aView(anInstance({ health: 'down', incarnation: '2', past: [''] }), ...others);
  let asked = 0;
  let turns = 0;
  const placing = {
    balancer: 'round-robin' as const,
    maxAgents: new Map<string, number>(),
    load: { boundAgents: () => 0, inFlight: () => 0 },
    groupOf: ({ root }: Binding) => {
      asked += 1;
      return `g${Number(root.value.slice('AGENT'.length)) % GROUPS}`;
    },
  };
  const { moving, names } = await movesBetween(before, after, others, bindings, placing, 3, async () => {
    turns += 1;
  });
  expect(moving).toBe(AGENTS / 2);
  expect(names).toHaveLength(3);
  expect(turns).toBe(moving);
  expect(asked).toBeLessThanOrEqual(AGENTS);
});
