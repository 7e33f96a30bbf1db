import * as Type from 'typebox';
import type { PoolEvent } from '../../core/view/agreed-view.ts';
import { MOST_EVENTS } from '../../core/view/view-store-limits.ts';
import { CURSOR, count, INSTANCE, limit, MOMENT_EXPECTS, NEXT, query, text, time, word } from './fields.ts';

// Every kind of event, once; a kind that is missing here is an error.
const KINDS: Readonly<Record<PoolEvent['kind'], true>> = {
  up: true,
  down: true,
  restarted: true,
  quarantined: true,
  cleared: true,
  active: true,
  drained: true,
  admin: true,
  moved: true,
  forgotten: true,
  'failback-policy': true,
  rebalance: true,
  configured: true,
  activate: true,
  release: true,
  maintenance: true,
  stop: true,
  restart: true,
  reload: true,
  state: true,
  options: true,
};

export const EVENT_KINDS = Object.keys(KINDS) as [PoolEvent['kind'], ...PoolEvent['kind'][]];

export const BASIS = Type.Object(
  {
    reports: Type.Record(Type.String(), word(['up', 'down', 'unknown', 'abstains']), {
      description: 'what each live gateway had reported of the instance',
    }),
    agents: Type.Optional(count('agents bound to the instance at that moment; missing if not counted')),
    doubtedMs: Type.Optional(
      count(
        'milliseconds from the first failed probe or request, or the first passed probe, at the gateway that proposed the view; missing if it saw none itself',
      ),
    ),
  },
  {
    title: 'EventBasis',
    description:
      "what a change of an instance's health follows from; missing from gateways of the last release",
  },
);

const EVENT = Type.Object(
  {
    at: time('when it happened'),
    epoch: count('the number of the view that it made'),
    kind: word(EVENT_KINDS),
    instance: Type.String({ description: 'the instance concerned; empty if it concerns the whole pool' }),
    from: Type.String(),
    to: Type.String(),
    by: Type.String({ description: 'the gateway or the operator that caused it' }),
    why: Type.String(),
    source: Type.Optional(Type.String({ description: 'the address from which the operator acted' })),
    gateway: Type.Optional(Type.String({ description: 'the gateway that alone is concerned' })),
    basis: Type.Optional(BASIS),
    times: Type.Optional(count('how often an act was repeated within minutes; missing for once')),
    firstAt: Type.Optional(time('when a repeated act was made first')),
  },
  { title: 'PoolEvent', description: 'a change of the view or by an operator' },
);

export const EVENTS = Type.Object(
  { events: Type.Array(EVENT), next: NEXT },
  { title: 'EventLog', description: 'the event log, newest first' },
);

export const EVENTS_QUERY = query({
  since: Type.Optional(text(40, MOMENT_EXPECTS)),
  until: Type.Optional(text(40, MOMENT_EXPECTS)),
  by: Type.Optional(text(100, 'the name of a gateway or an operator')),
  kind: Type.Optional(word(EVENT_KINDS, { description: `one of ${EVENT_KINDS.join(', ')}` })),
  instance: Type.Optional(INSTANCE),
  limit: limit(MOST_EVENTS),
  cursor: CURSOR,
});
