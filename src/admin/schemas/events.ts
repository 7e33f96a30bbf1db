import Type from 'typebox';
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

const EVENT_KINDS = Object.keys(KINDS) as [PoolEvent['kind'], ...PoolEvent['kind'][]];

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
