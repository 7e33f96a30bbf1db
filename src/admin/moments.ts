import { ActRefused } from '../core/act-refused.ts';
import type { Readers } from './admin-options.ts';
import { MOMENT_EXPECTS } from './schemas/fields.ts';

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/**
 * A time such as `2026-03-01T22:00:00Z`, or one that is a duration such as `30m` away from now.
 *
 * @param direction 1 for a duration from now on, -1 for one until now
 * @returns milliseconds since the Unix epoch; not a number if the text is neither
 */
export function momentOf(text: string, now: number, direction: 1 | -1, { duration }: Readers): number {
  if (ISO_TIME.test(text)) return Date.parse(text);
  return now + direction * (duration(text) ?? Number.NaN);
}

/**
 * The time since which, or until which, a list is asked for.
 *
 * @param field the name of the parameter
 * @throws ActRefused
 */
export function sinceOf(field: string, text: string, now: number, readers: Readers): number {
  const at = momentOf(text, now, -1, readers);
  if (!Number.isNaN(at)) return at;
  throw new ActRefused(400, `${field} must be ${MOMENT_EXPECTS}`);
}
