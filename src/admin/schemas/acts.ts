import type { TProperties } from 'typebox';
import * as Type from 'typebox';
import { WEIGHED_ACTS } from '../../core/consequence.ts';
import { FAILBACK_EXPECTS, ZONE_EXPECTS } from '../../core/view/failback.ts';
import {
  count,
  DURATION_EXPECTS,
  INSTANCE,
  MOMENT_EXPECTS,
  nullable,
  query,
  text,
  time,
  timeOrNull,
  word,
} from './fields.ts';
import { CONFIGURATION_STATUS, INSTANCE_STATUS, SHOWN_STATE } from './status.ts';

const IN_EFFECT = Type.Boolean({ description: 'every live gateway acts on the change' });
const EPOCH = count('the number of the view');

/** The body of a change: the reason, the operator, and the change's own fields. */
export function actBody<Properties extends TProperties>(properties: Properties) {
  return Type.Object(
    {
      why: text(500, 'the reason, of 1 to 500 characters, for the event log'),
      by: Type.Optional(text(100, 'the name of the operator, of 1 to 100 characters')),
      ...properties,
    },
    { additionalProperties: false },
  );
}

/** The body of a change of a pool. */
export function poolActBody<Properties extends TProperties>(properties: Properties) {
  return actBody({
    ifView: Type.Optional(text(200, 'the view.id of the status that the operator saw')),
    ...properties,
  });
}

export const DRAIN_FIELDS = { deadline: Type.Optional(text(40, MOMENT_EXPECTS)) };
export const ACTIVATE_FIELDS = { instance: INSTANCE };
export const FAILBACK_FIELDS = {
  policy: text(20, FAILBACK_EXPECTS),
  zone: Type.Optional(text(64, ZONE_EXPECTS)),
};
export const REBALANCE_FIELDS = {
  deadline: Type.Optional(text(40, `when it ends, 12 hours from now by default: ${MOMENT_EXPECTS}`)),
  end: Type.Optional(Type.Boolean({ description: 'ends it now' })),
};
export const MAINTENANCE_FIELDS = { on: Type.Boolean({ description: 'true or false' }) };
export const STOP_FIELDS = { softTimeout: Type.Optional(text(40, DURATION_EXPECTS)) };

/** The answers to a change of the view: whether it is in effect already decides between the two. */
function outcomes<Properties extends TProperties>(title: string, properties: Properties) {
  const answer = (description: string) =>
    Type.Object({ inEffect: IN_EFFECT, epoch: EPOCH, ...properties }, { title, description });
  return {
    200: answer('done, and every live gateway acts on it'),
    202: answer('decided, but not every gateway has acknowledged it within 5 s'),
  };
}

export const INSTANCE_CHANGED = outcomes('InstanceChanged', { instance: INSTANCE_STATUS });
export const ACTIVATED = outcomes('Activated', {
  active: Type.String({ description: 'the active instance' }),
  since: time('since when it is active'),
});
export const CONFIGURED = outcomes('Configured', { configuration: CONFIGURATION_STATUS });

export const REBALANCED = outcomes('Rebalanced', {
  until: timeOrNull('until when agents move as they log on again; null if they do not'),
});

export const FAILBACK_SET = Type.Object(
  {
    failback: Type.String({ description: 'the policy in effect' }),
    zone: nullable(Type.String(), 'the IANA time zone of a time of day'),
  },
  { title: 'FailbackPolicy', description: 'the policy is set' },
);

export const GATEWAY_CHANGED = Type.Object(
  { state: SHOWN_STATE },
  { title: 'GatewayChanged', description: 'done; for a stop: begun' },
);

export const CONSEQUENCE_QUERY = query({
  act: word(WEIGHED_ACTS, { description: `one of ${WEIGHED_ACTS.join(', ')}` }),
});

export const CONSEQUENCE = Type.Object(
  {
    agents: nullable(
      Type.Integer(),
      'agents that must log on again at once; null if that is all of a failover pool',
    ),
    text: Type.String({ description: 'such as: 12 agents must log on again' }),
    view: Type.String({ description: 'the id of the view by which it was computed, for ifView' }),
  },
  { title: 'Consequence', description: 'what the act would do to the agents of the pool now' },
);
