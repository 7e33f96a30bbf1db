import type { FastifySchema, FastifySchemaValidationError } from 'fastify';
import { LONGEST_TIMER_DAYS } from '../core/longest-timer.ts';
import { FAILBACK_EXPECTS, ZONE_EXPECTS } from '../core/view/failback.ts';

export interface ActBody {
  readonly why: string;
  readonly by: string;
}

export const DURATION_EXPECTS = `a duration such as 30s, or 0s, of at most ${LONGEST_TIMER_DAYS}d`;

interface Field {
  readonly schema: Readonly<Record<string, unknown>>;
  /** Completes "must be …". */
  readonly expects: string;
}

const text = (maxLength: number, expects: string): Field => ({
  // Requires more than white space.
  schema: { type: 'string', minLength: 1, maxLength, pattern: '\\S' },
  expects,
});

const FIELDS: Readonly<Record<string, Field>> = {
  why: text(500, 'the reason, of 1 to 500 characters, for the event log'),
  by: {
    schema: { ...text(100, '').schema, default: 'admin' },
    expects: 'the name of the operator, of 1 to 100 characters',
  },
  deadline: text(40, 'a duration such as 30m, or a time such as 2026-03-01T22:00:00Z'),
  softTimeout: text(40, DURATION_EXPECTS),
  on: { schema: { type: 'boolean' }, expects: 'true or false' },
  instance: text(64, 'the id of an instance of the pool'),
  agent: text(256, 'a user name'),
  session: text(1_000, 'a session'),
  policy: text(20, FAILBACK_EXPECTS),
  zone: text(64, ZONE_EXPECTS),
  cursor: text(1_000, 'the value of next from the previous page'),
  limit: {
    schema: { type: 'integer', minimum: 1, maximum: 1_000 },
    expects: 'a whole number from 1 to 1000',
  },
};

const object = (fields: readonly string[], required: readonly string[]): Record<string, unknown> => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties: Object.fromEntries(fields.map((field) => [field, FIELDS[field]?.schema])),
});

/** The schema of a change's body: the reason, the operator, and the change's own fields. */
export function actSchema(required: readonly string[] = [], optional: readonly string[] = []): FastifySchema {
  return { body: object(['why', 'by', ...required, ...optional], ['why', ...required]) };
}

export function querySchema(...fields: readonly string[]): FastifySchema {
  return { querystring: object(fields, []) };
}

/** Names the wrong field and what it must be. */
export function explain(errors: readonly FastifySchemaValidationError[], context: string): string {
  const [{ instancePath, params, message } = UNKNOWN_ERROR] = errors;
  const { missingProperty, additionalProperty } = params as Readonly<Record<string, string | undefined>>;
  if (additionalProperty !== undefined) return `${additionalProperty} is not known here; remove it`;
  const field = missingProperty ?? instancePath.slice(1);
  const expects = FIELDS[field]?.expects;
  if (expects === undefined) return `the ${context} ${message ?? 'is not valid'}; send a JSON object`;
  return missingProperty === undefined
    ? `${field} must be ${expects}`
    : `${field} is missing; it must be ${expects}`;
}

const UNKNOWN_ERROR = { instancePath: '', params: {}, message: 'is not valid' };
