import type { TProperties, TSchema, TSchemaOptions } from 'typebox';
import * as Type from 'typebox';
import { LONGEST_TIMER_DAYS } from '../../core/longest-timer.ts';

/**
 * The fields of requests and answers. The description of a request's field completes "must be …" in the answer to a
 * wrong request, and describes the field in the documentation.
 */

export const DURATION_EXPECTS = `a duration such as 30s, or 0s, of at most ${LONGEST_TIMER_DAYS}d`;
export const MOMENT_EXPECTS = 'a duration such as 30m, or a time such as 2026-03-01T22:00:00Z';

/** Text that is more than white space. */
export function text(maxLength: number, description: string) {
  return Type.String({ minLength: 1, maxLength, pattern: '\\S', description });
}

/** One of these words. */
export function word<const Words extends string[]>(words: readonly [...Words], options: TSchemaOptions = {}) {
  return Type.Unsafe<Words[number]>({ type: 'string', enum: [...words], ...options });
}

export function nullable<Schema extends TSchema>(schema: Schema, description: string) {
  return Type.Union([schema, Type.Null()], { description });
}

/** A time such as `2026-03-01T22:00:00.000Z`. */
export function time(description: string) {
  return Type.String({ format: 'date-time', description });
}

export function timeOrNull(description: string) {
  return nullable(Type.String({ format: 'date-time' }), description);
}

/** A whole number from 0. */
export function count(description: string) {
  return Type.Integer({ minimum: 0, description });
}

export function limit(maximum: number) {
  return Type.Optional(
    Type.Integer({ minimum: 1, maximum, description: `a whole number from 1 to ${maximum}` }),
  );
}

export const CURSOR = Type.Optional(text(1_000, 'the value of next from the previous page'));
export const NEXT = nullable(Type.String(), 'the cursor of the next page; null on the last page');
export const INSTANCE = text(64, 'the id of an instance of the pool');

export const POOL_PARAMS = Type.Object({ pool: Type.String({ description: 'the name of a pool' }) });
export const INSTANCE_PARAMS = Type.Object({
  pool: Type.String({ description: 'the name of a pool' }),
  instance: Type.String({ description: 'the id of an instance of the pool' }),
});

/** A query that refuses misspelled parameters. */
export function query<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}
