import { ActRefused } from '../core/act-refused.ts';
import type { Readers } from './admin-options.ts';
import { momentOf } from './moments.ts';
import { MOMENT_EXPECTS } from './schemas/fields.ts';

const LONGEST_MS = 31 * 24 * 3_600_000;

/**
 * When a change ends that holds for some time, in milliseconds since the Unix epoch.
 *
 * @throws ActRefused
 */
export function deadlineOf(text: string, now: number, readers: Readers): number {
  const at = momentOf(text, now, 1, readers);
  if (Number.isNaN(at)) throw new ActRefused(400, `deadline must be ${MOMENT_EXPECTS}`);
  if (at > now + LONGEST_MS) throw new ActRefused(400, 'deadline must be within 31 days');
  if (at <= now) throw new ActRefused(400, 'deadline has passed; give a later one, or end it at once');
  return at;
}
