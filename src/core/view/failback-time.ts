/** How long after its time of day a missed failback may still happen. */
const WINDOW_MS = 5 * 60_000;
const DAY_MS = 24 * 60 * 60_000;

/**
 * Is it the time of day set in the policy? That is once on each day of the zone. If clocks skip the time, it is the
 * first moment after it; if they show it twice, only the first time counts.
 *
 * @param time `HH:MM`
 * @param zone IANA time zone
 * @param now milliseconds since the Unix epoch
 */
export function isFailbackTime(time: string, zone: string, now: number): boolean {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  const localNow = now + offsetAt(zone, now);
  const today = localNow - (localNow % DAY_MS) + (hours * 60 + minutes) * 60_000;
  // The window of yesterday may last beyond midnight.
  return [today, today - DAY_MS].some((local) => {
    const since = now - firstMoment(zone, local);
    return since >= 0 && since < WINDOW_MS;
  });
}

/**
 * The first moment at which clocks of the zone show this time or a later one.
 *
 * @param local date and time of the clocks, as if they showed UTC
 */
function firstMoment(zone: string, local: number): number {
  // No zone differs from UTC by a day, and none turns its clocks twice within two days.
  const before = offsetAt(zone, local - DAY_MS);
  const after = offsetAt(zone, local + DAY_MS);
  // In this order, because a time that comes twice comes first with the offset from before.
  for (const offset of [before, after]) if (offsetAt(zone, local - offset) === offset) return local - offset;
  // Clocks skip the time.
  let tooEarly = local - after;
  let moment = local - before;
  while (moment - tooEarly > 1) {
    const middle = Math.floor((tooEarly + moment) / 2);
    if (offsetAt(zone, middle) === before) tooEarly = middle;
    else moment = middle;
  }
  return moment;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far clocks of the zone are before UTC, in ms. */
function offsetAt(zone: string, at: number): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
    formats.set(zone, format);
  }
  // Such as "11/29/2026, GMT+02:00", or "GMT" alone for none.
  const [, sign, hours, minutes, seconds] =
    /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(format.format(at)) ?? [];
  const ms = ((Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60 + Number(seconds ?? 0)) * 1_000;
  return sign === '-' ? -ms : ms;
}
