import * as Type from 'typebox';
import { STEPS } from '../../core/history/history-table.ts';
import type { EpochCause } from '../../core/view/epoch-line.ts';
import { BASIS, EVENT_KINDS } from './events.ts';
import { count, limit, MOMENT_EXPECTS, nullable, query, text, time, word } from './fields.ts';

const STEP_NAMES = Object.keys(STEPS) as [keyof typeof STEPS, ...(keyof typeof STEPS)[]];

function values(description: string) {
  return Type.Array(nullable(Type.Number({ minimum: 0 }), 'null where it is not known'), { description });
}

function byKey(description: string, of: ReturnType<typeof values>) {
  return Type.Record(Type.String(), of, { description });
}

export const HISTORY_QUERY = query({
  step: Type.Optional(
    word(STEP_NAMES, { description: 'second for the last hour, or minute for the last day' }),
  ),
  from: Type.Optional(text(40, MOMENT_EXPECTS)),
  to: Type.Optional(text(40, MOMENT_EXPECTS)),
});

export const HISTORY = Type.Object(
  {
    pool: Type.String(),
    step: word(STEP_NAMES),
    stepSeconds: Type.Integer({ minimum: 1, description: 'the length of a step' }),
    from: time('when the first step begins; later than asked for if not more is kept or fits into an answer'),
    knownSeconds: Type.Array(Type.Integer({ minimum: 0, maximum: 60 }), {
      description:
        'how many seconds of each step are known; 0 for a gap: the controller was away, or a worker was silent',
    }),
    answers: byKey('2xx, 3xx, 4xx and 5xx', values('ended requests with an answer of this class')),
    latency: byKey('p50, p95 and p99', values('milliseconds to the last byte of the answer, within 5 %')),
    inFlight: values('requests at the instances at the end of the second; the most of a minute'),
    parked: values('requests that wait for a change, likewise'),
    errors: byKey('by code; only those that occurred', values('error answers of the gateway itself')),
    instances: Type.Record(
      Type.String(),
      Type.Object({
        agents: values('agents bound to it at the end of the step'),
        requests: values('attempts that ended'),
        failures: values('attempts that failed'),
      }),
      { description: 'by id; those that have been removed too, as long as they are in the period' },
    ),
  },
  {
    title: 'PoolHistory',
    description:
      'what this gateway saw of a pool, with one value for each step in every list, the oldest first',
  },
);

// Every cause, once; one that is missing here is an error.
const CAUSES: Readonly<Record<EpochCause, true>> = {
  'probes-failed': true,
  'probes-passed': true,
  start: true,
  restart: true,
  failover: true,
  failback: true,
  drain: true,
  empty: true,
  configuration: true,
  operator: true,
};
const MOST_EPOCHS = 1_000;

export const EPOCHS_QUERY = query({
  since: Type.Optional(text(40, MOMENT_EXPECTS)),
  limit: limit(MOST_EPOCHS),
});

const EPOCH = Type.Object(
  {
    epoch: count("the number of the view; for an operator's act the one after that on which it was decided"),
    at: time('when it was agreed, by the clock of the store'),
    cause: word(Object.keys(CAUSES) as [EpochCause, ...EpochCause[]], {
      description: 'the rule that decided first',
    }),
    changes: Type.Array(
      Type.Object({
        kind: word(EVENT_KINDS),
        instance: Type.String({ description: 'the instance concerned; empty if it concerns the whole pool' }),
        from: Type.String(),
        to: Type.String(),
        by: Type.String({ description: 'the gateway that proposed it, or the operator' }),
        why: Type.String(),
        basis: Type.Optional(BASIS),
      }),
      { description: 'all that changed, what decided first' },
    ),
    agents: nullable(
      Type.Integer({ minimum: 0 }),
      'agents who had to be served elsewhere or to log on again; null if not known',
    ),
    seconds: nullable(
      Type.Number({ minimum: 0 }),
      'from the first doubt of the gateway that proposed it to the agreed view; null if not known',
    ),
  },
  { title: 'EpochLine', description: "one change of a pool's view" },
);

export const EPOCHS = Type.Object(
  {
    epochs: Type.Array(EPOCH),
    more: Type.Boolean({ description: 'there are earlier ones; ask with a greater limit' }),
  },
  {
    title: 'EpochLines',
    description: "the changes of a pool's view that the event log has, the newest first",
  },
);
