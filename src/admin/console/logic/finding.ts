import type { AgentLine, AgentStatus } from '../data/contract.ts';
import { list } from './text.ts';

/** What one pool answered about a name. */
export interface PoolAnswer {
  readonly pool: string;
  readonly agent: AgentStatus | undefined;
  /** Why the pool could not answer. */
  readonly problem: string | undefined;
}

export interface Finding {
  /** The one agent who was meant, whose page can be opened. */
  readonly opens: AgentStatus | undefined;
  /** The agents to choose from. */
  readonly agents: readonly AgentStatus[];
  /** What else there is to say. */
  readonly texts: readonly string[];
}

/**
 * Decides what a search found. A failover pool answers for every name, even one that does not exist: its agents are where
 * the active instance is. So a binding wins, and without one a name that may be wrong is not said to be anywhere.
 */
export function findingOf(name: string, answers: readonly PoolAnswer[]): Finding {
  const failed = answers.filter(({ problem }) => problem !== undefined);
  const problems = failed.map(({ pool, problem }) => `Pool ${pool} did not answer: ${problem}.`);
  const agents = answers.flatMap(({ agent }) => (agent === undefined ? [] : [agent]));
  const bound = agents.filter(({ generation }) => generation !== null);
  const isSingle = answers.length === 1;
  const opens = bound.length === 1 || isSingle ? (bound[0] ?? agents[0]) : undefined;
  if (opens !== undefined || bound.length > 0) return { opens, agents: bound, texts: problems };
  const without = answers.filter(({ agent, problem }) => agent === undefined && problem === undefined);
  const unbound =
    without.length === 0
      ? []
      : [`${name} is not bound in ${list(without.map(({ pool }) => `pool ${pool}`))}.`, ENDS];
  const places = agents.map(({ pool, instance }) => `All agents of pool ${pool} are on ${instance}.`);
  return { opens: undefined, agents: [], texts: [...unbound, ...places, ...problems] };
}

const ENDS =
  'A binding begins with the first request of an agent, and ends after affinity.idleLifetime without one.';

/** An agent that is offered while a name is typed. */
export interface Suggestion {
  readonly pool: string;
  readonly agent: Pick<AgentLine, 'name' | 'kind' | 'instance'>;
}

/** Each agent once: those whose whole name was typed first, then by name. */
export function suggestionsOf(typed: string, found: readonly Suggestion[]): readonly Suggestion[] {
  const keyOf = ({ pool, agent: { kind, name } }: Suggestion): string => JSON.stringify([name, kind, pool]);
  const isWhole = ({ agent: { name } }: Suggestion): boolean => name.toUpperCase() === typed.toUpperCase();
  const all = [...new Map(found.map((one) => [keyOf(one), one])).values()];
  const byName = all.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return [...byName.filter(isWhole), ...byName.filter((one) => !isWhole(one))];
}
