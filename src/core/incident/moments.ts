import { span } from '../span.ts';
import type { Finding } from './facts.ts';

const SHORTEST_MS = 1_000;

/** A time in UTC to a tenth of a second, with the date if it is not that of `to`. */
export function moment(at: number, to: number): string {
  const [date = '', time = ''] = new Date(at).toISOString().split('T');
  const short = time.slice(0, 10);
  return new Date(to).toISOString().startsWith(date) ? short : `${date} ${short}`;
}

/** Such as `since 10:03:04.1 (8s)`, `at 10:03:04.1`, or `from 10:03:04.1 to 10:03:09.2 (5s)`. */
export function lasting({ since, until }: Pick<Finding, 'since' | 'until'>, to: number): string {
  if (since === undefined) return until === undefined ? 'now' : `until ${moment(until, to)}`;
  if (until !== undefined && until - since < SHORTEST_MS) return `at ${moment(since, to)}`;
  if (until === undefined) return `since ${moment(since, to)} (${span(to - since)})`;
  return `from ${moment(since, to)} to ${moment(until, to)} (${span(until - since)})`;
}

export interface Interval {
  readonly since: number;
  readonly until: number | undefined;
}

/** From each beginning until its end. What has begun already does not begin again. */
export function intervals(changes: readonly { readonly at: number; readonly begins: boolean }[]): Interval[] {
  const found: Interval[] = [];
  let since: number | undefined;
  for (const { at, begins } of changes) {
    if (begins) since ??= at;
    else if (since !== undefined) {
      found.push({ since, until: at });
      since = undefined;
    }
  }
  return since === undefined ? found : [...found, { since, until: undefined }];
}

/** `pool a`, `pools a, b`. */
export function poolsText(pools: Iterable<string>): string {
  const all = [...new Set(pools)].sort();
  return `${all.length === 1 ? 'pool' : 'pools'} ${all.join(', ')}`;
}
