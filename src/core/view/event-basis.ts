import type { InstanceId } from '../instance.ts';
import type { EventBasis, PoolEvent } from './agreed-view.ts';
import type { ReplicaReport } from './health-report.ts';

/** What a gateway knows as it proposes a view. */
export interface ProposerKnowledge {
  readonly reports: readonly ReplicaReport[];
  /** The live bindings of an instance; `undefined` if they were not counted. */
  readonly boundAgents: (instance: InstanceId) => number | undefined;
  /** For how long the instance has seemed to be other than agreed; `undefined` if it does not. */
  readonly doubtedMs: (instance: InstanceId) => number | undefined;
}

// The log holds a thousand events.
const MOST_REPORTS = 20;

/** Adds what an event about the health of an instance follows from, for those who read the log. */
export function withBasis<Event extends Omit<PoolEvent, 'by'>>(
  event: Event,
  known: ProposerKnowledge,
): Event {
  const { kind, instance } = event;
  if (kind !== 'up' && kind !== 'down' && kind !== 'restarted') return event;
  const agents = kind === 'up' ? undefined : known.boundAgents(instance);
  const doubtedMs = known.doubtedMs(instance);
  const basis: EventBasis = {
    reports: Object.fromEntries(
      known.reports
        .slice(0, MOST_REPORTS)
        .map(({ replica, report }) => [
          replica,
          report === undefined ? 'abstains' : (report.verdicts[instance]?.health ?? 'unknown'),
        ]),
    ),
    ...(agents === undefined ? {} : { agents }),
    ...(doubtedMs === undefined ? {} : { doubtedMs: Math.round(doubtedMs) }),
  };
  return { ...event, basis };
}
