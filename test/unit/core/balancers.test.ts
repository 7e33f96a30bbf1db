import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BalancerName, Load } from '../../../src/core/balancers.ts';
import { createBalancer, rendezvous } from '../../../src/core/balancers.ts';
import type { InstanceState } from '../../../src/core/instance.ts';
import { anInstance, aView } from '../../support/instances.ts';

const IDLE: Load = { boundAgents: () => 0, inFlight: () => 0 };
const SEED = 1640673;

const instances = fc
  .uniqueArray(fc.integer({ min: 0, max: 30 }), { minLength: 2, maxLength: 6 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.integer({ min: 1, max: 8 }).map((weight) => anInstance({ id: `i${id}`, weight })),
      ),
    ),
  );

/** How many of `agents` new agents each instance was proposed for. */
function spread(
  name: BalancerName,
  candidates: readonly InstanceState[],
  agents: number,
): Map<string, number> {
  const chosen = new Map<string, number>();
  let ticket = 0;
  // An even walk through (0, 1) instead of chance.
  const balancer = createBalancer(name, () => (ticket = (ticket + 0.618_033_988_749_895) % 1));
  const load: Load = { boundAgents: (id) => chosen.get(id) ?? 0, inFlight: (id) => chosen.get(id) ?? 0 };
  for (let agent = 0; agent < agents; agent += 1) {
    const id = balancer(candidates, `uAGENT${agent}`, load)?.id ?? '';
    chosen.set(id, (chosen.get(id) ?? 0) + 1);
  }
  return chosen;
}

describe.each<BalancerName>(['rendezvous', 'round-robin', 'least-bound', 'least-in-flight', 'random'])(
  'the %s balancer',
  (name) => {
    test('spreads agents by weight', () => {
      fc.assert(
        fc.property(instances, (candidates) => {
          const agents = 4_000;
          const chosen = spread(name, candidates, agents);
          const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
          for (const { id, weight } of candidates) {
            const share = weight / total;
            // Six standard deviations of a fair draw; deterministic balancers are far within.
            const tolerance = 6 * Math.sqrt((share * (1 - share)) / agents);
            expect(Math.abs((chosen.get(id) ?? 0) / agents - share)).toBeLessThan(tolerance + 2 / agents);
          }
        }),
        { numRuns: 25, seed: SEED },
      );
    });

    test('proposes nothing without candidates, and the only candidate if there is one', () => {
      const balancer = createBalancer(name);
      expect(balancer([], 'uMILLER', IDLE)).toBeUndefined();
      expect(balancer([anInstance({ id: 'only' })], 'uMILLER', IDLE)?.id).toBe('only');
    });

    test('proposes no instance that is draining, disabled, down or without weight', () => {
      const view = aView(
        anInstance({ id: 'draining', admin: 'draining' }),
        anInstance({ id: 'disabled', admin: 'disabled' }),
        anInstance({ id: 'down', health: 'down' }),
        anInstance({ id: 'unknown', health: 'unknown' }),
        anInstance({ id: 'weightless', weight: 0 }),
        anInstance({ id: 'assignable' }),
      );
      const balancer = createBalancer(name);
      for (let agent = 0; agent < 50; agent += 1) {
        expect(balancer(view.assignable, `uAGENT${agent}`, IDLE)?.id).toBe('assignable');
      }
    });
  },
);

describe('rendezvous hashing', () => {
  test('moves only the agents of the instance that left', () => {
    fc.assert(
      fc.property(instances, fc.nat(), (candidates, which) => {
        const gone = candidates[which % candidates.length] as InstanceState;
        const rest = candidates.filter((candidate) => candidate !== gone);
        for (let agent = 0; agent < 300; agent += 1) {
          const before = rendezvous(candidates, `uAGENT${agent}`);
          const after = rendezvous(rest, `uAGENT${agent}`);
          if (before !== gone) expect(after).toBe(before);
        }
      }),
      { numRuns: 50, seed: SEED },
    );
  });

  test('a greater weight attracts agents and moves none away', () => {
    fc.assert(
      fc.property(instances, fc.nat(), (candidates, which) => {
        const i = which % candidates.length;
        const raised = candidates.map((c, at) => (at === i ? { ...c, weight: c.weight * 2 } : c));
        for (let agent = 0; agent < 300; agent += 1) {
          const before = rendezvous(candidates, `uAGENT${agent}`)?.id;
          const after = rendezvous(raised, `uAGENT${agent}`)?.id;
          if (after !== before) expect(after).toBe(candidates[i]?.id);
        }
      }),
      { numRuns: 30, seed: SEED },
    );
  });

  test('does not depend on the order of the list', () => {
    fc.assert(
      fc.property(instances, fc.string(), (candidates, key) => {
        expect(rendezvous([...candidates].reverse(), key)?.id).toBe(rendezvous(candidates, key)?.id);
      }),
      { numRuns: 200, seed: SEED },
    );
  });

  test('is the same in every release: gateways of two versions agree', () => {
    const candidates = ['a', 'b', 'c'].map((id) => anInstance({ id }));
    const placed = ['uMILLER', 'uSMITH', 'uMÜLLER', 'uAGENT01', 'sx'].map(
      (key) => rendezvous(candidates, key)?.id,
    );
    expect(placed).toMatchInlineSnapshot(`
      [
        "b",
        "a",
        "b",
        "b",
        "b",
      ]
    `);
  });
});

describe('weighted round robin', () => {
  test('spreads the turns of a heavy instance over the round', () => {
    const candidates = [
      anInstance({ id: 'a', weight: 4 }),
      anInstance({ id: 'b', weight: 1 }),
      anInstance({ id: 'c', weight: 1 }),
    ];
    const balancer = createBalancer('round-robin');
    const turns = Array.from({ length: 6 }, () => balancer(candidates, '', IDLE)?.id).join('');
    expect(turns).toBe('aabaca');
  });

  test('an instance that comes back gets no extra turns', () => {
    const [a, b] = [anInstance({ id: 'a' }), anInstance({ id: 'b' })];
    const balancer = createBalancer('round-robin');
    balancer([a, b], '', IDLE);
    for (let i = 0; i < 10; i += 1) expect(balancer([a], '', IDLE)?.id).toBe('a');
    const turns = Array.from({ length: 4 }, () => balancer([a, b], '', IDLE)?.id);
    expect(turns.filter((id) => id === 'b').length).toBe(2);
  });
});
