import type { EventBasis, LoggedEvent, PoolEvent } from './agreed-view.ts';
import { LOST, RELEASED, REQUESTED } from './next-view.ts';

/** The rule by which a view changed. */
export type EpochCause =
  /** Enough gateways lost, or reached, an instance. */
  | 'probes-failed'
  | 'probes-passed'
  /** The first round of probes. */
  | 'start'
  /** The health page shows a new incarnation. */
  | 'restart'
  /** The active instance was lost. */
  | 'failover'
  | 'failback'
  /** A drain is over. */
  | 'drain'
  /** The health page shows that an instance in quarantine has no sessions. */
  | 'empty'
  | 'configuration'
  | 'operator';

/** A change within a view. */
export type EpochChange = Pick<PoolEvent, 'kind' | 'instance' | 'from' | 'to' | 'by' | 'why'> & {
  readonly basis?: EventBasis;
};

/** One change of the view of a pool, with all that it changed. */
export interface EpochLine {
  /** The number of the view. */
  readonly epoch: number;
  /** Milliseconds since the Unix epoch, by the store's clock. */
  readonly at: number;
  readonly cause: EpochCause;
  /** Those that decided it first. */
  readonly changes: readonly EpochChange[];
  /** The agents that had to be served elsewhere or log on again; `undefined` if not known. */
  readonly agents: number | undefined;
  /** From the first doubt of the gateway that proposed the view to the agreed view; `undefined` if not known. */
  readonly seconds: number | undefined;
}

/** The acts of operators that change a view. */
const ACTS = new Set<PoolEvent['kind']>([
  ...(['admin', 'moved', 'forgotten', 'activate', 'release', 'rebalance', 'configured'] as const),
]);

// The change that explains the others of a view comes first.
const DECIDING: readonly EpochCause[] = [
  ...(['operator', 'probes-failed', 'restart', 'failover', 'failback', 'probes-passed'] as const),
  ...(['drain', 'configuration', 'empty', 'start'] as const),
];

/**
 * The changes of a pool's view, the newest first.
 *
 * A view without an event, such as the one in which an agent's move ends, is not in the log and so is missing.
 *
 * @param views the events of views, the newest first
 * @param acts what operators did; an act takes effect in the view after the one on which it was decided
 */
export function epochLines(views: readonly LoggedEvent[], acts: readonly LoggedEvent[]): EpochLine[] {
  // A store that lost data may give a number twice. The events of one view have the same time.
  const byView = new Map<string, Found[]>();
  const enter = (key: string, found: Found): void => {
    const before = byView.get(key);
    if (before === undefined) byView.set(key, [found]);
    else before.push(found);
  };
  // The log is read with the newest first.
  for (const event of [...views].reverse())
    enter(`${event.epoch} ${event.at}`, { event, epoch: event.epoch, cause: causeOf(event), at: event.at });
  for (const event of acts) {
    if (!ACTS.has(event.kind)) continue;
    const epoch = event.epoch + 1;
    const view = views.find(
      (one) => one.epoch === epoch && one.at >= event.at && one.at < event.at + SOON_MS,
    );
    const at = view?.at ?? event.at;
    enter(`${epoch} ${at}`, { event, epoch, cause: 'operator', at });
  }
  return [...byView.values()].map(lineOf).sort((a, b) => b.at - a.at || b.epoch - a.epoch);
}

interface Found {
  readonly event: LoggedEvent;
  readonly epoch: number;
  readonly cause: EpochCause;
  readonly at: number;
}

// Gateways that live have acknowledged the view before by then, or their leases have ended.
const SOON_MS = 60_000;

function lineOf(found: readonly Found[]): EpochLine {
  const ordered = [...found].sort((a, b) => DECIDING.indexOf(a.cause) - DECIDING.indexOf(b.cause));
  const { epoch, cause, at } = ordered[0] as Found;
  const agents = found.flatMap(({ event }) => event.basis?.agents ?? []);
  const doubts = found.flatMap(({ event }) => event.basis?.doubtedMs ?? []);
  return {
    epoch,
    at,
    cause,
    changes: ordered.map(({ event: { kind, instance, from, to, by, why, basis } }) => ({
      ...{ kind, instance, from, to, by, why },
      ...(basis === undefined ? {} : { basis }),
    })),
    agents: agents.length === 0 ? undefined : agents.reduce((sum, one) => sum + one, 0),
    seconds: doubts.length === 0 ? undefined : Math.max(...doubts) / 1_000,
  };
}

function causeOf({ kind, from, why }: LoggedEvent): EpochCause {
  switch (kind) {
    case 'down':
    case 'quarantined':
      return from === 'unknown' ? 'start' : 'probes-failed';
    case 'up':
      return from === 'unknown' ? 'start' : 'probes-passed';
    case 'restarted':
      return 'restart';
    case 'active':
      if (why === REQUESTED) return 'operator';
      if (why === LOST) return 'failover';
      return why.startsWith('failback') ? 'failback' : 'start';
    case 'drained':
      return 'drain';
    case 'cleared':
      return why === RELEASED ? 'operator' : 'empty';
    case 'configured':
      return 'configuration';
    default:
      // Earlier releases logged operators' acts here.
      return 'operator';
  }
}
