import type { InstanceId } from './instance.ts';
import type { Cause, Loss, Origin } from './origin.ts';
import type { LoggedEvent } from './view/agreed-view.ts';
import { LOST, REQUESTED } from './view/next-view.ts';

/** Where an agent of a pool that binds each agent is. */
export interface Whereabouts {
  /** As operators read it: a user name, or a session or address after its kind. */
  readonly agent: string;
  readonly instance: InstanceId;
  readonly origin: Origin | undefined;
  /** The group of the agent by the configuration, as it is now. */
  readonly group?: string | undefined;
  /** How the instance has lost the agent, if the binding no longer counts. */
  readonly loss?: Loss | undefined;
  /** When the binding ends, if the agent has logged off; milliseconds since the Unix epoch. */
  readonly endsAt?: number | undefined;
}

/** Why an instance of a failover pool is the active one. */
export interface Activation {
  readonly pool: string;
  readonly active: InstanceId;
  /** Milliseconds since the Unix epoch. */
  readonly since: number;
  /** The event that made it active, if the log still has it. */
  readonly event: LoggedEvent | undefined;
  /** The operator's request for that, if there was one. */
  readonly request: LoggedEvent | undefined;
}

/** Says in one sentence on which instance the agent is, since when, and why. */
export function explainBinding(whereabouts: Whereabouts, now: number): string {
  const { endsAt } = whereabouts;
  const place = placeText(whereabouts, now);
  if (endsAt === undefined) return place;
  return `${place} The agent has logged off, so the binding ends at ${timeText(endsAt, now)} unless a request comes before.`;
}

function placeText({ agent, instance, origin, group, loss }: Whereabouts, now: number): string {
  const next =
    loss === undefined ? '' : ` But ${instance} ${LOSSES[loss].is}, so the next request moves the agent.`;
  if (origin === undefined)
    return `${agent} is on ${instance}; since when and why is not known, because a gateway of an earlier release bound the agent.${next}`;
  const { cause } = origin;
  const since = `${timeText(origin.since, now)}${cause.kind === 'written-back' ? ' or earlier' : ''}`;
  const because = `${reasonOf(cause, instance, group)}${whereText(origin)}`;
  return `${agent} is on ${instance} since ${since}, because ${because}.${next}`;
}

/** The same for an agent of a failover pool, where all agents are at the active instance. */
export function explainActive(agent: string, activation: Activation, now: number): string {
  const { pool, active, since } = activation;
  const reason = activationText(activation);
  const because = `it is the active instance of the failover pool ${pool}, which serves all agents`;
  return `${agent} is on ${active} since ${timeText(since, now)}, because ${because}${reason}.`;
}

/** Finds in the event log, newest first, how the instance became the active one. */
export function activationOf(
  events: readonly LoggedEvent[],
  active: InstanceId,
): Pick<Activation, 'event' | 'request'> {
  const at = events.findIndex(({ kind, to }) => kind === 'active' && to === active);
  const event = events[at];
  if (event?.why !== REQUESTED) return { event, request: undefined };
  return { event, request: events.slice(at).find(({ kind, to }) => kind === 'activate' && to === active) };
}

function reasonOf(cause: Cause, instance: InstanceId, group: string | undefined): string {
  switch (cause.kind) {
    case 'claimed':
      return `the balancer ${cause.balancer} chose it for the agent's first request`;
    case 'grouped':
      return `its group ${group === undefined ? '' : `${group} `}was there`;
    case 'joined':
      return "the agent's session was already bound there";
    case 'rebound':
      return `${cause.from} ${LOSSES[cause.loss].was}`;
    case 'moved':
      return cause.by === ''
        ? 'an operator moved the agent'
        : `${cause.by} moved the agent: ${quoted(cause.why)}`;
    case 'placed-alone':
      return 'the store was away, and the gateway placed the agent by itself';
    case 'written-back':
      return `the gateway still knew ${instance} when it wrote back what the store had lost`;
  }
}

/** What happened to an instance that lost its agents. */
export const LOSSES: Readonly<Record<Loss, { readonly was: string; readonly is: string }>> = {
  down: { was: 'was down', is: 'is down' },
  disabled: { was: 'was disabled', is: 'is disabled' },
  restarted: { was: 'had restarted and forgotten the agent', is: 'has restarted and forgotten the agent' },
  removed: { was: 'was no longer in the pool', is: 'is no longer in the pool' },
  inactive: { was: 'was no longer the active instance', is: 'is no longer the active instance' },
};

function activationText({ event, request }: Activation): string {
  if (request !== undefined) return `; ${request.by} activated it: ${quoted(request.why)}`;
  if (event === undefined) return '';
  if (event.why !== LOST) return `: ${event.why}`;
  return event.from === '' ? '' : `: ${event.from} was lost`;
}

function whereText({ gateway, epoch, cause }: Origin): string {
  const at = gateway === '' ? [] : [`at gateway ${gateway}`];
  // Without the store there is no common view.
  const by = cause.kind === 'placed-alone' || epoch === 0 ? [] : [`in epoch ${epoch}`];
  const where = [...at, ...by];
  return where.length === 0 ? '' : ` (${where.join(', ')})`;
}

function quoted(text: string): string {
  return `“${text}”`;
}

/** The time of day, and the day if it is not today. */
function timeText(at: number, now: number): string {
  const text = new Date(at).toISOString();
  const day = text.slice(0, 10);
  const time = `${text.slice(11, 16)} UTC`;
  return day === new Date(now).toISOString().slice(0, 10) ? time : `${day} ${time}`;
}
