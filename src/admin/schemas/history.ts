import Type from 'typebox';
import { STEPS } from '../../core/history/history-table.ts';
import { MOMENT_EXPECTS, nullable, query, text, time, word } from './fields.ts';

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
