import type { Failback } from './policy.ts';

/** Completes "must be …". */
export const FAILBACK_EXPECTS = 'never, when-idle, immediate, or a time of day as in "at 03:30"';
export const ZONE_EXPECTS = 'an IANA time zone such as Europe/Berlin or UTC';

type FailbackTime = Exclude<Failback, { kind: 'at' }> | { readonly kind: 'at'; readonly time: string };

/**
 * Parses what operators write; `undefined` if it is invalid. A time of day is returned as `HH:MM`; the caller adds
 * the zone.
 */
export function parseFailback(text: string): FailbackTime | undefined {
  if (text === 'never' || text === 'when-idle' || text === 'immediate') return { kind: text };
  const time = /^at +((?:[01][0-9]|2[0-3]):[0-5][0-9])$/.exec(text)?.[1];
  return time === undefined ? undefined : { kind: 'at', time };
}

/** The inverse of {@link parseFailback}. */
export function formatFailback(failback: FailbackTime): string {
  return failback.kind === 'at' ? `at ${failback.time}` : failback.kind;
}

export function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
