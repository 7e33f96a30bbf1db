import type { Binding } from '../core/binding.ts';
import { NOWHERE } from '../core/view/agreed-view.ts';
import type { AgentName } from './binding-change.ts';
import { bindingOf, changeBinding, requireSticky } from './binding-change.ts';
import type { Act } from './pool-acts.ts';
import { EFFECT_MS } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';

// No instance serves the agent during this time, so it is hardly longer than the wait for all gateways.
const FORGET_MS = EFFECT_MS + 1_000;

/**
 * Ends the binding of one agent and resolves to it. The agent's next request is placed as that of a new agent; requests
 * that arrive in between wait.
 *
 * @throws ActRefused
 * @throws StoreUnavailable
 */
export async function forgetAgent(pool: PoolSource, agent: AgentName, act: Act): Promise<Binding> {
  requireSticky(pool);
  const bound = await bindingOf(pool, agent);
  return changeBinding(pool, agent, bound, act, {
    kind: 'forgotten',
    to: NOWHERE,
    lastsMs: FORGET_MS,
    noun: 'the end of the binding',
    check: () => {},
    run: async (expected, fencingToken) => {
      const holds = await pool.bindings.release(expected, fencingToken);
      return holds === undefined ? { result: expected } : { holds };
    },
  });
}
