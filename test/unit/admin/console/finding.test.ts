import { describe, expect, test } from 'vitest';
import type { PoolAnswer } from '../../../../src/admin/console/logic/finding.ts';
import { findingOf, suggestionsOf } from '../../../../src/admin/console/logic/finding.ts';
import type { AgentStatus } from '../../../../src/core/agent-status.ts';

const agent = (pool: string, generation: number | null): AgentStatus =>
  ({ pool, name: 'MILLER', kind: 'user', instance: 'a', generation }) as AgentStatus;
const answer = (pool: string, given: Partial<PoolAnswer> = {}): PoolAnswer => ({
  pool,
  agent: undefined,
  problem: undefined,
  ...given,
});
const bound = (pool: string): PoolAnswer => answer(pool, { agent: agent(pool, 1) });
const failover = (pool: string): PoolAnswer => answer(pool, { agent: agent(pool, null) });

describe('a search for an agent', () => {
  test('opens the page of the one binding, also beside a failover pool', () => {
    expect(findingOf('MILLER', [bound('ici'), failover('phone')]).opens).toEqual(agent('ici', 1));
    expect(findingOf('MILLER', [bound('ici'), answer('other')]).opens).toEqual(agent('ici', 1));
  });

  test('opens what the only pool says', () => {
    expect(findingOf('MILLER', [failover('phone')]).opens).toEqual(agent('phone', null));
  });

  test('lets choose between two bindings', () => {
    const { opens, agents } = findingOf('MILLER', [bound('ici'), bound('mail'), failover('phone')]);
    expect([opens, agents.map(({ pool }) => pool)]).toEqual([undefined, ['ici', 'mail']]);
  });

  test('tells a name that is not bound, and does not say that it is anywhere', () => {
    const { opens, agents, texts } = findingOf('MILER', [answer('ici'), failover('phone')]);
    expect([opens, agents]).toEqual([undefined, []]);
    expect(texts[0]).toBe('MILER is not bound in pool ici.');
    expect(texts).toContain('All agents of pool phone are on a.');
  });

  test('says which pool did not answer', () => {
    const away = answer('mail', { problem: 'the store is away' });
    expect(findingOf('MILLER', [away, answer('ici')]).texts).toContain(
      'Pool mail did not answer: the store is away.',
    );
    expect(findingOf('MILLER', [away]).texts).toEqual(['Pool mail did not answer: the store is away.']);
    expect(findingOf('MILLER', [bound('ici'), away])).toMatchObject({ opens: { pool: 'ici' } });
  });
});

describe('the names that are offered while one is typed', () => {
  const offered = (name: string, pool = 'ici') => ({
    pool,
    agent: { name, kind: 'user' as const, instance: 'a' },
  });

  test('begin with the one that is typed, in any case', () => {
    const found = [offered('AGENT10'), offered('AGENT1', 'mail'), offered('AGENT1'), offered('AGENT')];
    expect(suggestionsOf('agent1', found).map(({ pool, agent: { name } }) => `${name} ${pool}`)).toEqual([
      'AGENT1 ici',
      'AGENT1 mail',
      'AGENT ici',
      'AGENT10 ici',
    ]);
  });

  test('are each offered once', () => {
    expect(suggestionsOf('SMITH', [offered('SMITH'), offered('SMITHY'), offered('SMITH')]).length).toBe(2);
  });
});
