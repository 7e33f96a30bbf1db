import * as Type from 'typebox';
import { WHAT_IF_CHANGES } from '../../core/what-if.ts';
import { count, INSTANCE, nullable, text, word } from './fields.ts';

/** A configuration of many instances is longer than an act. */
export const WHAT_IF_BYTES = 128 * 1_024;

const MOST_NAMES = 1_000;

export const WHAT_IF_BODY = Type.Object(
  {
    change: word([...WHAT_IF_CHANGES], {
      description: `one of ${WHAT_IF_CHANGES.join(', ')}`,
    }),
    instance: Type.Optional(INSTANCE),
    weight: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1_000, description: 'a weight from 0 to 1000' }),
    ),
    gateway: Type.Optional(text(100, 'the name of a live gateway, as GET /gateways lists it')),
    parts: Type.Optional(
      Type.Unsafe<Readonly<Record<string, unknown>>>({
        type: 'object',
        additionalProperties: true,
        description:
          'the parts of a configuration that gateways compare, as the command makes them of a file; parts other than instances may be missing, and stay as they are',
      }),
    ),
    names: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MOST_NAMES,
        description: `a whole number from 0 to ${MOST_NAMES}; 100 by default`,
      }),
    ),
  },
  { additionalProperties: false },
);

const SHARE = Type.Object({
  boundAgents: count('agents who are bound there'),
  newAgents: Type.Number({ description: 'its share of new agents, from 0 to 1' }),
  serves: Type.Boolean({ description: 'agents who are bound there can work' }),
});

const INSTANCE_ID = Type.String({ description: 'the id of an instance' });
const TO = nullable(Type.String(), 'the instance after the change; null if none takes the agent');

export const WHAT_IF = Type.Object(
  {
    pool: Type.String(),
    view: Type.String({ description: 'the id of the view by which it was computed' }),
    text: Type.String({ description: 'the consequence in one sentence' }),
    agents: nullable(
      Type.Integer(),
      'agents that must log on again; null if that is all of a failover pool, which need not be counted',
    ),
    stranded: count('agents that can work nowhere after the change'),
    bound: count('the bound agents that were looked at'),
    isComplete: Type.Boolean({ description: 'false if the pool has more agents than are looked at' }),
    isExact: Type.Boolean({
      description:
        'each agent’s new instance is known; otherwise only how many go where, as the balancer spreads them',
    }),
    active: Type.Object(
      {
        before: nullable(Type.String(), 'null if there is none, or in a sticky pool'),
        after: nullable(Type.String(), 'null if there is none, or in a sticky pool'),
      },
      { description: 'the active instance of a failover pool' },
    ),
    instances: Type.Array(Type.Object({ id: INSTANCE_ID, before: SHARE, after: SHARE })),
    moves: Type.Array(Type.Object({ from: INSTANCE_ID, to: TO, agents: count('so many agents') }), {
      description: 'how many agents go where, the largest group first',
    }),
    names: Type.Array(
      Type.Object({
        name: Type.String({
          description: 'a user name in its stored form, the hash of a session, or an address',
        }),
        kind: word(['user', 'session', 'address']),
        from: INSTANCE_ID,
        to: nullable(
          Type.String(),
          'null if no instance takes the agent, or the balancer chooses only when the next request comes',
        ),
      }),
      { description: 'the agents that move, in no particular order' },
    ),
    notes: Type.Array(Type.String(), { description: 'what else the change means' }),
  },
  {
    title: 'WhatIf',
    description: 'what a change would do to the bound agents of a pool; nothing is changed',
  },
);
