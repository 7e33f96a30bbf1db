/** Times as an operator reads them. All pure: the caller passes the moment and the zone. */

export type Zone = 'local' | 'utc';

const MINUTE_MS = 60_000;
const SECOND = 1;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const two = (value: number): string => String(value).padStart(2, '0');

/** `+01:00`, or `UTC` for no offset. @param offsetMinutes east of Greenwich */
function offsetText(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'UTC';
  const minutes = Math.abs(offsetMinutes);
  return `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/**
 * `08:02:11 +01:00`; with the date in front if it is not the day of `now`.
 *
 * @param offsetMinutes the zone's offset at `at`
 * @param nowOffsetMinutes the same at `now`: they differ when clocks were changed in between
 */
export function absoluteText(
  at: number,
  now: number,
  offsetMinutes: number,
  nowOffsetMinutes = offsetMinutes,
): string {
  const [day, clock] = split(at, offsetMinutes);
  const [today] = split(now, nowOffsetMinutes);
  return `${day === today ? '' : `${day} `}${clock} ${offsetText(offsetMinutes)}`;
}

function split(at: number, offsetMinutes: number): readonly [day: string, clock: string] {
  const [day = '', clock = ''] = new Date(at + offsetMinutes * MINUTE_MS).toISOString().split('T');
  return [day, clock.slice(0, 8)];
}

/** Two units at most: `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < DAY) return pair(seconds, HOUR, 'h', MINUTE, 'min');
  return pair(seconds, DAY, 'd', HOUR, 'h');
}

function pair(seconds: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeUnit}${rest === 0 ? '' : ` ${rest} ${smallUnit}`}`;
}

/** `8 ms`, `1.25 s`. */
export function millisecondsText(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** `12 s ago`, `in 3 min`, `now`. */
export function relativeText(at: number, now: number): string {
  const distance = now - at;
  if (Math.abs(distance) < 1_500) return 'now';
  return distance > 0 ? `${durationText(distance)} ago` : `in ${durationText(-distance)}`;
}

/** When an agent sent the last request, no more exactly than the gateway knows it: `in the last 36 min`. */
export function lastRequestText(at: number, withinMs: number, now: number): string {
  const ago = Math.max(0, now - at);
  if (ago <= withinMs) return `in the last ${durationText(ago + withinMs)}`;
  return `${durationText(ago - withinMs)} to ${durationText(ago + withinMs)} ago`;
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration as options write it, such as `90s`, `30m`, `2h`; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*(s|m|h|d)$/.exec(text.trim()) ?? [];
  const ms = UNITS[unit];
  return amount === undefined || ms === undefined ? undefined : Number(amount) * ms;
}

/** Such as `20260301T220000Z`, for the name of a file. */
export function fileTime(at: number): string {
  return new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}
