import { ActRefused } from '../core/act-refused.ts';
import type { Binding } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import { StaleView, StoreUnavailable } from '../core/ports.ts';
import type { AgentMove, PoolEvent } from '../core/view/agreed-view.ts';
import { NOWHERE } from '../core/view/agreed-view.ts';
import type { Policy } from '../core/view/policy.ts';
import { isSameMove, withMove, withoutMove } from '../core/view/policy-changes.ts';
import type { Act } from './pool-acts.ts';
import { event, takesEffect } from './pool-acts.ts';
import type { PoolOperations, PoolSource } from './pool-source.ts';

/** One agent, under the name that the operator entered. */
export interface AgentName {
  readonly name: Name;
  /** The form that may be logged. */
  readonly shown: string;
  /** The key of the name's stored form. */
  readonly keyOf: (name: Name) => string;
}

/** What an operator does to the binding of one agent. */
export interface BindingChange<Result> {
  /** Of the line in the event log. */
  readonly kind: PoolEvent['kind'];
  readonly to: AgentMove['to'];
  /** The most time that gateways refuse the agent at its instance if this gateway crashes during the change. */
  readonly lastsMs: number;
  /** Completes "… of MILLER": `the move`. */
  readonly noun: string;
  /** @throws ActRefused if the change has become impossible */
  check(): void;
  /**
   * Changes the binding if it is still the expected one; else resolves to the binding that holds.
   *
   * @throws StaleView
   */
  run(
    expected: Binding,
    fencingToken: string,
  ): Promise<{ readonly result: Result } | { readonly holds: Binding }>;
}

// A try fails if the view changed, or a request or another operator moved the agent, in between.
const MOST_TRIES = 5;

/** @throws ActRefused if the agents of the pool have no bindings of their own */
export function requireSticky({ name, mode }: PoolSource): void {
  if (mode !== 'sticky')
    throw new ActRefused(409, `pool ${name} is failover: all its agents are at the active instance together`);
}

/** @throws ActRefused if the agent has no binding */
export async function bindingOf(pool: PoolSource, { name, shown }: AgentName): Promise<Binding> {
  const bound = await pool.bindings.find([name]);
  if (bound !== undefined) return bound.binding;
  throw new ActRefused(404, `${shown} is not bound; an agent without a binding gets one at the next request`);
}

/**
 * Changes the binding of one agent.
 *
 * A binding changes only when the epoch changes, so that gateways may trust what they know of it. So the change is
 * first written into the policy. Once every gateway refuses the agent at the old instance, the binding changes. Then
 * the policy entry is removed; the view without it makes all that gateways knew of the binding outdated.
 *
 * @throws ActRefused
 * @throws StoreUnavailable
 */
export async function changeBinding<Result>(
  { operations }: PoolSource,
  agent: AgentName,
  bound: Binding,
  act: Act,
  change: BindingChange<Result>,
): Promise<Result> {
  const { to } = change;
  const { by, why } = act;
  const entryFor = ({ root, instance }: Binding, laterThan: number): AgentMove => ({
    key: agent.keyOf(root),
    from: instance,
    to,
    // Two entries differ by it.
    until: Math.max(operations.storeNow + change.lastsMs, laterThan + 1),
    by,
    why,
  });
  let expected = bound;
  let move = entryFor(bound, 0);
  const logged = {
    ...event(change.kind, { ...act, why: `${agent.shown}: ${why}` }),
    from: bound.instance,
    to,
  };
  const instance = to === NOWHERE ? bound.instance : to;
  await enter(operations, agent, move, undefined, [{ ...logged, instance }], act.ifView);
  try {
    for (let attempt = 0; attempt < MOST_TRIES; attempt += 1) {
      if (!(await isRefusedEverywhere(operations, move)))
        throw new ActRefused(
          409,
          `not every gateway has acknowledged ${change.noun} of ${agent.shown} in time; see the replicas in /status, and try again`,
        );
      change.check();
      const outcome = await change
        .run(expected, operations.routingState.fencingToken)
        .catch((error: unknown) => {
          if (!(error instanceof StaleView)) throw error;
          return undefined;
        });
      if (outcome === undefined) {
        await operations.renew();
        continue;
      }
      if ('result' in outcome) return outcome.result;
      expected = outcome.holds;
      const next = entryFor(expected, move.until);
      if (next.from === move.from && next.key === move.key) continue;
      // A request moved the agent before the entry was in effect. Gateways may still trust the place that it moved to.
      await enter(operations, agent, next, move, []);
      move = next;
    }
    throw new ActRefused(
      409,
      `the binding or the view changed during each of ${MOST_TRIES} attempts at ${change.noun} of ${agent.shown}; try again`,
    );
  } finally {
    await withdraw(operations, move);
  }
}

/** @param before the entry that this one replaces */
async function enter(
  operations: PoolOperations,
  { shown }: AgentName,
  move: AgentMove,
  before: AgentMove | undefined,
  events: readonly PoolEvent[],
  onView?: string,
): Promise<void> {
  const change = (policy: Policy): Policy => {
    const now = operations.storeNow;
    const rest = before === undefined ? policy : withoutMove(policy, before, now);
    const other = rest.moves.find(({ key, until }) => key === move.key && now < until);
    if (other === undefined) return withMove(rest, move, now);
    const act = other.to === NOWHERE ? 'forgotten' : `moved to ${other.to}`;
    throw new ActRefused(409, `${shown} is already being ${act}; try again in a minute`);
  };
  await operations.commitPolicy(change, events, onView);
}

/** Waits until every gateway that may act refuses the agent where it was. */
function isRefusedEverywhere(operations: PoolOperations, move: AgentMove): Promise<boolean> {
  return takesEffect(
    operations,
    () =>
      operations.routingState.fencingToken !== '' &&
      operations.agreed.moving.some((entry) => isSameMove(entry, move)),
  );
}

async function withdraw(operations: PoolOperations, move: AgentMove): Promise<void> {
  await operations
    .commitPolicy((policy) => withoutMove(policy, move, operations.storeNow), [])
    .catch((error: unknown) => {
      // If the store is away, the entry expires by itself.
      if (!(error instanceof StoreUnavailable)) throw error;
    });
}
