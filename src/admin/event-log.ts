import { UnknownCursor } from '../core/ports.ts';
import type { LoggedEvent, PoolEvent } from '../core/view/agreed-view.ts';
import { MOST_EVENTS } from '../core/view/view-store-limits.ts';
import type { Readers } from './admin-options.ts';
import { sinceOf } from './moments.ts';
import type { PoolOperations } from './pool-source.ts';
import { iso } from './status.ts';

/** Which events are asked for; each given field must match. */
export interface EventQuery {
  /** A duration until now, or a time. */
  readonly since?: string;
  /** In the same form; events of that moment are listed. */
  readonly until?: string;
  /** Also what the holder of a token said to be. */
  readonly by?: string;
  readonly kind?: PoolEvent['kind'];
  readonly instance?: string;
  readonly limit?: number;
  /** Where the previous page ended. */
  readonly cursor?: string;
}

const LISTED = 100;
const ACTS_AT_ONCE = 1_000;

/** The end of a page: its last time, and how many events of that time are on it or before it. */
interface Position {
  readonly at: number;
  readonly listed: number;
}

const START: Position = { at: Number.POSITIVE_INFINITY, listed: 0 };

/**
 * A page of the events of a pool, the newest first.
 *
 * @throws ActRefused if `since` or `until` is neither a duration nor a time
 * @throws UnknownCursor
 * @throws StoreUnavailable
 */
export async function listEvents(
  operations: PoolOperations,
  { since, until, by, kind, instance, limit = LISTED, cursor }: EventQuery,
  readers: Readers,
) {
  const from = since === undefined ? 0 : sinceOf('since', since, operations.storeNow, readers);
  const to =
    until === undefined ? Number.POSITIVE_INFINITY : sinceOf('until', until, operations.storeNow, readers);
  const start = cursor === undefined ? START : positionOf(cursor);
  const isWanted = (event: LoggedEvent): boolean =>
    event.at >= from &&
    event.at <= to &&
    event.at <= start.at &&
    (by === undefined || event.by === by || event.by.endsWith(` (says ${by})`)) &&
    (kind === undefined || event.kind === kind) &&
    (instance === undefined || event.instance === instance);
  // One more than the page holds tells whether there is another.
  const most = limit + start.listed + 1;
  const views = (await operations.log.views(MOST_EVENTS)).filter(isWanted);
  const acts = await newestActs(operations, isWanted, most, from);
  // A view follows from the act of the same moment.
  const found = [...views, ...acts].sort((a, b) => b.at - a.at);
  const page = found.slice(start.listed, start.listed + limit);
  return {
    events: page.map(({ at, firstAt, ...event }) => ({
      at: iso(at),
      ...event,
      ...(firstAt === undefined ? {} : { firstAt: iso(firstAt) }),
    })),
    next: found.length > start.listed + limit ? cursorAfter(page, start) : null,
  };
}

/** Reads the log part by part, because the wanted acts may be far back in it. */
async function newestActs(
  { log }: PoolOperations,
  isWanted: (event: LoggedEvent) => boolean,
  most: number,
  from: number,
): Promise<LoggedEvent[]> {
  const wanted: LoggedEvent[] = [];
  for (let skipped = 0; wanted.length < most; skipped += ACTS_AT_ONCE) {
    const part = await log.acts(ACTS_AT_ONCE, skipped);
    wanted.push(...part.filter(isWanted));
    if (part.length < ACTS_AT_ONCE || (part.at(-1)?.at ?? 0) < from) break;
  }
  return wanted;
}

/** `<at>.<listed>` */
function cursorAfter(page: readonly LoggedEvent[], { at: startAt, listed }: Position): string {
  const at = page.at(-1)?.at ?? startAt;
  const sameTime = page.filter((event) => event.at === at).length;
  return `${at}.${at === startAt ? listed + sameTime : sameTime}`;
}

function positionOf(cursor: string): Position {
  const [, at, listed] = /^(\d{1,15})\.(\d{1,6})$/.exec(cursor) ?? [];
  if (at === undefined || listed === undefined) throw new UnknownCursor(cursor);
  return { at: Number(at), listed: Number(listed) };
}
