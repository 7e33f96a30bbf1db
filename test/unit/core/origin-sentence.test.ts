import { describe, expect, test } from 'vitest';
import type { Cause, Loss } from '../../../src/core/origin.ts';
import { activationOf, explainActive, explainBinding } from '../../../src/core/origin-sentence.ts';
import type { LoggedEvent } from '../../../src/core/view/agreed-view.ts';

const SINCE = Date.parse('2026-11-29T08:02:31Z');
const NOW = Date.parse('2026-11-29T17:30:00Z');

function sentence(
  cause: Cause,
  more: { gateway?: string; epoch?: number; loss?: Loss; now?: number } = {},
): string {
  const { gateway = 'gw1', epoch = 7, loss, now = NOW } = more;
  const origin = { since: SINCE, epoch, gateway, cause };
  return explainBinding({ agent: 'MILLER', instance: 'b', origin, loss }, now);
}

describe('the sentence on an agent of a sticky pool', () => {
  test.each<readonly [Cause, string]>([
    [
      { kind: 'claimed', balancer: 'least-bound' },
      "because the balancer least-bound chose it for the agent's first request (at gateway gw1, in epoch 7).",
    ],
    [{ kind: 'joined' }, "because the agent's session was already bound there (at gateway gw1, in epoch 7)."],
    [{ kind: 'rebound', from: 'a', loss: 'down' }, 'because a was down (at gateway gw1, in epoch 7).'],
    [
      { kind: 'rebound', from: 'a', loss: 'disabled' },
      'because a was disabled (at gateway gw1, in epoch 7).',
    ],
    [
      { kind: 'rebound', from: 'b', loss: 'restarted' },
      'because b had restarted and forgotten the agent (at gateway gw1, in epoch 7).',
    ],
    [
      { kind: 'rebound', from: 'a', loss: 'removed' },
      'because a was no longer in the pool (at gateway gw1, in epoch 7).',
    ],
    [
      { kind: 'moved', by: 'KLEIN', why: 'complains of echo' },
      'because KLEIN moved the agent: “complains of echo” (at gateway gw1, in epoch 7).',
    ],
    [{ kind: 'moved', by: '', why: '' }, 'because an operator moved the agent (at gateway gw1, in epoch 7).'],
    [
      { kind: 'placed-alone' },
      'because the store was away, and the gateway placed the agent by itself (at gateway gw1).',
    ],
  ])('%j', (cause, because) => {
    expect(sentence(cause)).toBe(`MILLER is on b since 08:02 UTC, ${because}`);
  });

  test('a member of a group is where the group was', () => {
    const origin = { since: SINCE, epoch: 7, gateway: 'gw1', cause: { kind: 'grouped' } } as const;
    const of = (group?: string) => explainBinding({ agent: 'MILLER', instance: 'b', origin, group }, NOW);
    expect(of('sales')).toContain(', because its group sales was there (at gateway gw1, in epoch 7).');
    // Named by a header of the request, or in no group any more.
    expect(of()).toContain(', because its group was there (');
  });

  test('a binding that was written back may be older', () => {
    expect(sentence({ kind: 'written-back' }, { epoch: 0 })).toBe(
      'MILLER is on b since 08:02 UTC or earlier, because the gateway still knew b when it wrote back what the ' +
        'store had lost (at gateway gw1).',
    );
  });

  test('another day is named', () => {
    expect(sentence({ kind: 'joined' }, { now: NOW + 86_400_000 })).toContain('since 2026-11-29 08:02 UTC,');
  });

  test('a gateway that is not known is left out', () => {
    expect(sentence({ kind: 'joined' }, { gateway: '', epoch: 0 })).toMatch(/already bound there\.$/);
  });

  test('an instance that has lost the agent since is told', () => {
    expect(sentence({ kind: 'joined' }, { loss: 'restarted' })).toMatch(
      /\. But b has restarted and forgotten the agent, so the next request moves the agent\.$/,
    );
  });

  test('a binding of an earlier release has no reason', () => {
    expect(explainBinding({ agent: 'session ~x', instance: 'a', origin: undefined }, NOW)).toBe(
      'session ~x is on a; since when and why is not known, because a gateway of an earlier release bound the agent.',
    );
  });
});

describe('the sentence on an agent of a failover pool', () => {
  const event = (kind: LoggedEvent['kind'], to: string, more: Partial<LoggedEvent> = {}): LoggedEvent => ({
    kind,
    instance: to,
    from: 'a',
    to,
    by: 'gw1',
    why: '',
    at: SINCE,
    epoch: 9,
    ...more,
  });
  const said = (...events: LoggedEvent[]): string => {
    const activation = { pool: 'ici', active: 'b', since: SINCE, ...activationOf(events, 'b') };
    return explainActive('MILLER', activation, NOW);
  };
  const SERVES =
    'MILLER is on b since 08:02 UTC, because it is the active instance of the failover pool ici, which serves all agents';

  test('names the instance that was lost', () => {
    const lost = event('active', 'b', { why: 'the active instance is lost' });
    expect(said(event('up', 'c'), lost, event('active', 'a'))).toBe(`${SERVES}: a was lost.`);
    expect(said({ ...lost, from: '' })).toBe(`${SERVES}.`);
  });

  test('names the failback', () => {
    expect(said(event('active', 'b', { why: 'failback when-idle' }))).toBe(`${SERVES}: failback when-idle.`);
  });

  test('names the operator and the reason', () => {
    const events = [
      event('active', 'b', { why: 'requested by an operator' }),
      event('activate', 'c', { by: 'GROSS', why: 'other' }),
      event('activate', 'b', { by: 'KLEIN', why: 'patch of a' }),
      event('activate', 'b', { by: 'OLD', why: 'long ago' }),
    ];
    expect(said(...events)).toBe(`${SERVES}; KLEIN activated it: “patch of a”.`);
    expect(said(...events.slice(0, 1))).toBe(`${SERVES}: requested by an operator.`);
  });

  test('goes without an event that the log no longer has', () => {
    expect(said(event('active', 'a'))).toBe(`${SERVES}.`);
  });
});
