import { describe, expect, test } from 'vitest';
import type { AgreedView } from '../../../../src/core/view/agreed-view.ts';
import { NO_VIEW } from '../../../../src/core/view/agreed-view.ts';
import type { ReplicaReport, Verdict } from '../../../../src/core/view/health-report.ts';
import type { Circumstances } from '../../../../src/core/view/next-view.ts';
import { nextView } from '../../../../src/core/view/next-view.ts';
import type { AdminAct, Failback, Policy } from '../../../../src/core/view/policy.ts';
import { NO_POLICY } from '../../../../src/core/view/policy.ts';
import type { PoolRules } from '../../../../src/core/view/pool-rules.ts';

const UP: Verdict = { health: 'up', incarnation: '', emptyAt: 0 };
const DOWN: Verdict = { health: 'down', incarnation: '', emptyAt: 0 };

/** A pool that gets the reports of its replicas, one step after the other. */
class Story {
  view: AgreedView = NO_VIEW;
  policy: Policy = NO_POLICY;
  now = 1_000_000;
  bound: number | undefined = undefined;
  readonly log: string[] = [];
  readonly rules: PoolRules;

  constructor(rules: Partial<PoolRules> = {}, ids = ['a', 'b']) {
    this.rules = {
      mode: 'sticky',
      quorum: 'majority',
      quarantines: false,
      countsLives: false,
      instances: ids.map((id, i) => ({ id, priority: i + 1, admin: 'enabled' })),
      ...rules,
    };
  }

  /** One report for each argument; `undefined` abstains. */
  say(...says: (Record<string, Verdict> | undefined)[]): this {
    return this.tell(
      says.map((verdicts, i) => ({
        replica: `g${i}`,
        report: verdicts && { verdicts, settled: true, idle: false },
      })),
    );
  }

  tell(reports: readonly ReplicaReport[]): this {
    const circumstances: Circumstances = {
      reports,
      policy: this.policy,
      rules: this.rules,
      now: this.now,
      boundAgents: () => this.bound,
    };
    const decision = nextView(this.view, circumstances);
    if (decision === undefined) return this;
    this.view = { ...decision.view, epoch: this.view.epoch + 1, id: String(this.view.epoch + 1) };
    for (const { kind, instance } of decision.events) this.log.push(`${kind} ${instance}`);
    // With the same reports no further view follows.
    expect(nextView(this.view, circumstances)).toBeUndefined();
    return this;
  }

  of(id: string) {
    const instance = this.view.instances[id];
    if (instance === undefined) throw new Error(`${id} is not in the view`);
    return instance;
  }

  act(instance: string, state: AdminAct['state'], deadline = 0): void {
    const act: AdminAct = { id: `${this.policy.version}`, state, by: 'x', at: 0, why: 'y', deadline };
    this.policy = {
      ...this.policy,
      version: this.policy.version + 1,
      instances: { ...this.policy.instances, [instance]: act },
    };
  }
}

const both = { a: UP, b: UP };

test('the first active instance of a pool takes over from none that was lost', () => {
  const circumstances: Circumstances = {
    reports: [{ replica: 'g0', report: { verdicts: both, settled: true, idle: false } }],
    policy: NO_POLICY,
    rules: new Story({ mode: 'failover' }).rules,
    now: 0,
    boundAgents: () => 0,
  };
  const events = nextView(new Story().view, circumstances)?.events ?? [];
  expect(events.find(({ kind }) => kind === 'active')?.why).toBe('no instance was active before');
});

test("an operator's rebalancing holds until its time is over, or an operator ends it", () => {
  const story = new Story().say(both);
  const ask = (until: number): void => {
    story.policy = { ...story.policy, version: 1, rebalance: { by: 'x', why: 'y', until } };
    story.say(both);
  };
  const { now } = story;
  expect(story.view.rebalancesUntil).toBeUndefined();
  ask(now + 1_000);
  expect(story.view.rebalancesUntil).toBe(now + 1_000);
  story.now = now + 1_000;
  expect(story.say(both).view.rebalancesUntil).toBe(0);

  ask(now + 2_000);
  expect(story.view.rebalancesUntil).toBe(now + 2_000);
  ask(0);
  expect(story.view.rebalancesUntil).toBe(0);
});

describe('the health of an instance', () => {
  test.each([
    { quorum: 'majority', down: 1, live: 3, health: 'up' },
    { quorum: 'majority', down: 2, live: 3, health: 'down' },
    { quorum: 'majority', down: 1, live: 2, health: 'up' },
    { quorum: 'majority', down: 2, live: 2, health: 'down' },
    { quorum: 'any', down: 1, live: 3, health: 'down' },
    { quorum: 'all', down: 2, live: 3, health: 'up' },
    { quorum: 'all', down: 3, live: 3, health: 'down' },
  ] as const)(
    'with quorum $quorum, $down of $live replicas that cannot reach it leave it $health',
    ({ quorum, down, live, health }) => {
      const all = Array.from({ length: live }, () => both);
      const story = new Story({ quorum }).say(...all);
      story.say(...all.map((_, i) => (i < down ? { a: DOWN, b: UP } : both)));
      expect(story.of('a').health).toBe(health);
    },
  );

  test('is not decided by a minority while the others abstain', () => {
    const story = new Story().say(both, both, both).say({ a: DOWN, b: UP }, undefined, undefined);
    expect(story.of('a').health).toBe('up');
  });

  test('comes back by the same quorum', () => {
    const story = new Story().say(both, both).say({ a: DOWN, b: UP }, { a: DOWN, b: UP });
    expect(story.say({ a: DOWN, b: UP }, both).of('a').health).toBe('down');
    expect(story.say(both, both).of('a').health).toBe('up');
  });

  test('at the beginning one replica that reaches it is enough, once all have reported', () => {
    expect(new Story().say({ b: UP }, both).of('a').health).toBe('unknown');
    expect(new Story().say({ a: DOWN, b: UP }, both).of('a').health).toBe('up');
  });

  test('an instance that no gateway has any more leaves the view', () => {
    const story = new Story({}, ['a', 'b']).say(both);
    const later = new Story({}, ['a']);
    later.view = story.view;
    expect(Object.keys(later.say({ a: UP }, undefined).view.instances)).toEqual(['a', 'b']);
    expect(Object.keys(later.say({ a: UP }).view.instances)).toEqual(['a']);
  });
});

describe('an incarnation of an instance', () => {
  const life = (incarnation: string): Record<string, Verdict> => ({ a: { ...UP, incarnation }, b: UP });

  test('is new as soon as one replica has seen it, whatever the others still report', () => {
    const story = new Story().say(life('1'), life('1')).say(life('2'), life('1'));
    expect(story.of('a')).toMatchObject({ incarnation: '2', past: ['1'] });
    expect(story.say(life('1'), life('2')).of('a').incarnation).toBe('2');
  });

  test('that has ended counts again only when a majority sees it', () => {
    const story = new Story().say(life('1'), life('1'), life('1')).say(life('2'), life('1'), life('1'));
    expect(story.say(undefined, life('1'), undefined).of('a').incarnation).toBe('2');
    expect(story.say(life('1'), life('1'), life('1')).of('a').incarnation).toBe('1');
  });

  test('is counted if the page does not show it and the configuration says so', () => {
    const story = new Story({ countsLives: true }).say(both);
    expect(story.of('a').incarnation).toBe('+1');
    story.say({ a: DOWN, b: UP });
    expect(story.of('a').incarnation).toBe('+1');
    expect(story.say(both).of('a')).toMatchObject({ incarnation: '+2', past: ['+1'] });
  });
});

describe('quarantine', () => {
  const cut = { a: { ...DOWN }, b: UP };

  test('keeps an instance that comes back with the same incarnation', () => {
    const story = new Story({ quarantines: true }).say(both).say(cut).say(both);
    expect(story.of('a')).toMatchObject({ health: 'up', quarantinedAt: 2 });
  });

  test('ends with a new incarnation', () => {
    const story = new Story({ quarantines: true });
    story.say({ a: { ...UP, incarnation: '1' }, b: UP }).say(cut);
    expect(story.say({ a: { ...UP, incarnation: '2' }, b: UP }).of('a').quarantinedAt).toBe(0);
  });

  test('ends when a probe that began in it sees no sessions, not by an earlier one', () => {
    const story = new Story({ quarantines: true }).say(both).say(cut);
    const since = story.of('a').quarantinedAt;
    expect(story.say({ a: { ...UP, emptyAt: since - 1 }, b: UP }).of('a').quarantinedAt).toBe(since);
    expect(story.say({ a: { ...UP, emptyAt: since }, b: UP }).of('a').quarantinedAt).toBe(0);
  });

  test('ends when an operator releases it, and a later one is not released with it', () => {
    const story = new Story({ quarantines: true }).say(both).say(cut).say(both);
    story.policy = { ...story.policy, version: 1, released: { a: story.view.epoch } };
    expect(story.say(both).of('a').quarantinedAt).toBe(0);
    expect(story.say(cut).say(both).of('a').quarantinedAt).toBeGreaterThan(0);
  });

  test('applies in a failover pool to the instance that was active, not to others', () => {
    const story = new Story({ mode: 'failover', quarantines: true }).say(both);
    story.say({ a: UP, b: DOWN }).say(both);
    expect(story.of('b').quarantinedAt).toBe(0);
    story.say(cut).say(both);
    expect(story.view.active).toBe('b');
    expect(story.of('a').quarantinedAt).toBeGreaterThan(0);
  });
});

describe('the active instance of a failover pool', () => {
  const failover = (ids?: string[]): Story => new Story({ mode: 'failover' }, ids);

  test('is missing before the first round of probes, then the preferred one that is up', () => {
    const story = failover();
    const early = { replica: 'g0', report: { verdicts: { b: UP }, settled: false, idle: false } };
    expect(story.tell([early]).view.active).toBe('');
    expect(story.say(both).view.active).toBe('a');
    expect(failover().say({ a: DOWN, b: UP }).view.active).toBe('b');
  });

  test('is replaced by the next in line, which stays when the first comes back', () => {
    const story = failover().say(both).say({ a: DOWN, b: UP });
    expect(story.view).toMatchObject({ active: 'b', activeSince: story.now });
    expect(story.say(both).view.active).toBe('b');
  });

  test('remains active when no other can take over', () => {
    const story = failover().say(both).say({ a: DOWN, b: DOWN });
    expect(story.view.active).toBe('a');
    expect(story.say(both).view.active).toBe('a');
  });

  test('is one in quarantine only if there is no other', () => {
    const story = new Story({ mode: 'failover', quarantines: true }, ['a', 'b', 'c']);
    const all = { ...both, c: UP };
    story
      .say(all)
      .say({ ...all, a: DOWN })
      .say(all);
    expect(story.say({ ...all, b: DOWN }).view.active).toBe('c');
    expect(story.say({ a: UP, b: DOWN, c: DOWN }).view.active).toBe('a');
  });

  test('drains until the pool is idle, then hands over', () => {
    const story = failover().say(both);
    story.act('a', 'draining');
    expect(story.say(both).view.active).toBe('a');
    const idle = { replica: 'g0', report: { verdicts: both, settled: true, idle: true } };
    expect(story.tell([idle]).view.active).toBe('b');
    expect(story.of('a').admin).toBe('disabled');
  });

  test('is changed once by an operator’s act, and not again by the same act', () => {
    const story = failover().say(both);
    story.policy = { ...story.policy, version: 1, activate: { id: 'w1', instance: 'b' } };
    expect(story.say(both).view.active).toBe('b');
    story.say({ a: UP, b: DOWN });
    expect(story.say(both).view.active).toBe('a');
  });

  test.each([{ kind: 'immediate' }, { kind: 'at', time: '00:16', zone: 'UTC' }] as const)(
    'stays where an operator put it, although the policy is failback $kind',
    (failback) => {
      const story = failover().say(both);
      story.policy = { ...story.policy, version: 1, failback, activate: { id: 'w1', instance: 'b' } };
      expect(story.say(both).view.active).toBe('b');
      // Once that instance is lost, the policy counts again.
      expect(story.say({ a: UP, b: DOWN }).view.active).toBe('a');
      expect(story.say(both).view.active).toBe('a');
    },
  );

  const failbacks: [Failback, boolean][] = [
    [{ kind: 'never' }, false],
    [{ kind: 'immediate' }, true],
    [{ kind: 'when-idle' }, false],
    [{ kind: 'at', time: '00:16', zone: 'UTC' }, true],
    [{ kind: 'at', time: '03:30', zone: 'UTC' }, false],
  ];
  test.each(failbacks)('with failback %j goes back at once: %s', (failback, back) => {
    const story = failover().say(both).say({ a: DOWN, b: UP });
    // 00:16:40 on the first day.
    story.now = 1_000_000;
    story.policy = { ...story.policy, version: 1, failback };
    expect(story.say(both).view.active).toBe(back ? 'a' : 'b');
  });

  test('with failback when-idle goes back when every replica says it is idle', () => {
    const story = failover().say(both).say({ a: DOWN, b: UP });
    story.policy = { ...story.policy, version: 1, failback: { kind: 'when-idle' } };
    const idle = (is: boolean, replica: string): ReplicaReport => ({
      replica,
      report: { verdicts: both, settled: true, idle: is },
    });
    expect(story.tell([idle(true, 'g0'), idle(false, 'g1')]).view.active).toBe('b');
    expect(story.tell([idle(true, 'g0'), idle(true, 'g1')]).view.active).toBe('a');
  });

  test('never fails back to an instance in quarantine', () => {
    const story = new Story({ mode: 'failover', quarantines: true }).say(both).say({ a: DOWN, b: UP });
    story.policy = { ...story.policy, version: 1, failback: { kind: 'immediate' } };
    expect(story.say(both).view.active).toBe('b');
    story.policy = { ...story.policy, version: 2, released: { a: story.view.epoch } };
    expect(story.say(both).view.active).toBe('a');
  });
});

describe('an operator’s act', () => {
  test('a drain ends by itself when no agent is bound any more', () => {
    const story = new Story().say(both);
    story.act('a', 'draining');
    expect(story.say(both).of('a').admin).toBe('draining');
    story.bound = 1;
    expect(story.say(both).of('a').admin).toBe('draining');
    story.bound = 0;
    expect(story.say(both).of('a').admin).toBe('disabled');
    expect(story.log).toContain('drained a');
    story.bound = 5;
    expect(story.say(both).of('a').admin).toBe('disabled');
  });

  test('a drain does not end by a count that is older than it', () => {
    const story = new Story().say(both);
    story.act('a', 'draining');
    const next = nextView(story.view, {
      reports: [],
      policy: story.policy,
      rules: story.rules,
      now: story.now,
      boundAgents: () => 0,
    });
    expect(next?.view.instances['a']?.admin).toBe('draining');
  });

  test('a drain ends at its deadline, whatever agents are still bound', () => {
    const story = new Story().say(both);
    story.bound = 3;
    story.act('a', 'draining', story.now + 60_000);
    story.now += 59_999;
    expect(story.say(both).of('a').admin).toBe('draining');
    story.now += 1;
    expect(story.say(both).of('a').admin).toBe('disabled');
  });

  test('overrides the configured value', () => {
    const story = new Story().say(both);
    story.act('a', 'disabled');
    expect(story.say(both).of('a').admin).toBe('disabled');
    story.act('a', 'enabled');
    expect(story.say(both).of('a').admin).toBe('enabled');
  });

  test('after the move of an agent, cached bindings to the old instance are outdated', () => {
    const story = new Story().say(both);
    const move = { key: 'uMILLER', from: 'a', to: 'b', until: story.now + 60_000 };
    story.policy = { ...story.policy, version: 1, moves: [move] };
    story.say(both);
    expect(story.view.moving).toEqual([move]);
    const during = story.view.epoch;
    story.now = move.until;
    expect(story.say(both).view.moving).toEqual([]);
    expect(story.of('a').lostAt).toBe(during);
    expect(story.of('b').lostAt).toBeLessThan(during);
  });
});

test('cached bindings to an instance that was away are outdated when it is back', () => {
  const story = new Story().say(both).say({ a: DOWN, b: UP });
  const away = story.view.epoch;
  expect(story.say(both).of('a').lostAt).toBe(away);
  expect(story.of('b').lostAt).toBe(0);
});

test('cached bindings to an earlier incarnation are outdated, even if the incarnation seems to return', () => {
  const life = (incarnation: string): Record<string, Verdict> => ({ a: { ...UP, incarnation }, b: UP });
  const story = new Story().say(life('1')).say(life('2'));
  const second = story.view.epoch;
  expect(story.say(life('1')).of('a')).toMatchObject({ incarnation: '1', lostAt: second });
});
