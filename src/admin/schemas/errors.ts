import * as Type from 'typebox';
import type { ErrorOwner } from '../../core/error-advice.ts';
import { count, nullable, time, word } from './fields.ts';
import { CODES } from './requests.ts';

const OWNERS: Readonly<Record<ErrorOwner, true>> = {
  client: true,
  instance: true,
  gateway: true,
  store: true,
};

const ERROR_SAMPLE = Type.Object({
  at: time('when the request ended'),
  requestId: Type.String({ description: 'as in the log' }),
  pool: nullable(Type.String(), 'null if no pool serves it'),
  user: nullable(Type.String(), 'as the log shows names'),
  instance: nullable(Type.String(), 'where it was sent last'),
  client: nullable(Type.String(), 'the address of the client'),
});

const ERROR_LINE = Type.Object(
  {
    code: word(CODES),
    status: Type.Integer({ description: 'the status of the answer, unless faults.status changes it' }),
    owner: word(Object.keys(OWNERS) as ErrorOwner[], { description: 'at whose side to look first' }),
    message: Type.String({ description: 'what clients read' }),
    remedy: Type.String({ description: 'what to do' }),
    runbook: Type.String({ description: 'the section of the runbook, such as #instance-down' }),
    count: count('since the gateway started, without what workers have counted in the last seconds'),
    samples: Type.Array(ERROR_SAMPLE, {
      description: 'the last requests that got it, as far as they are kept',
    }),
  },
  { title: 'ErrorLine', description: 'one error code at this gateway' },
);

export const ERRORS_STATUS = Type.Object(
  {
    errors: Type.Array(ERROR_LINE, { description: 'all codes, the most frequent ones first' }),
    unnamedOperations: Type.Array(
      Type.Object({
        pool: Type.String(),
        operation: Type.String({ description: 'its local name; rare ones count as (others)' }),
        requests: count('requests of the last hour'),
      }),
      { description: 'operations that named no agent' },
    ),
    silent: Type.Array(Type.String(), {
      description: 'workers that did not answer in time, so that their samples are missing',
    }),
  },
  { title: 'ErrorsStatus', description: "this gateway's own errors: how many, at whose side, what to do" },
);
