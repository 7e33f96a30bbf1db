import type { AgentStatus, PoolEvent, RecentRequest } from '../data/contract.ts';
import { eventText } from './events.ts';

/** Something that happened to an agent. */
export interface Moment {
  readonly at: string;
  readonly text: string;
  readonly isBad: boolean;
}

type Of = Pick<AgentStatus, 'instance' | 'boundSince' | 'cause'>;

// These concern all agents of an instance.
const OF_INSTANCE = new Set(['up', 'down', 'restarted', 'active', 'admin', 'quarantined', 'drained']);
const MOST_MOMENTS = 40;

/**
 * What happened to one agent, the newest first: log-ons and log-offs, moves, errors, and what became of the instances.
 *
 * @param requests of the agent, the newest first
 * @param agent `undefined` if it is not bound
 * @param events of the pool, in the time of the requests
 */
export function timelineOf(
  requests: readonly RecentRequest[],
  agent: Of | undefined,
  events: readonly PoolEvent[],
): readonly Moment[] {
  const moments: Moment[] = [];
  const add = (at: string, text: string, isBad = false): void => void moments.push({ at, text, isBad });
  let place: string | null = null;
  let failing: { readonly what: string; readonly at: string; times: number } | undefined;
  const endFailing = (): void => {
    if (failing !== undefined)
      add(
        failing.at,
        failing.times === 1 ? failing.what : `${failing.what}, ${failing.times} times in a row`,
        true,
      );
    failing = undefined;
  };
  for (const { at, act, instance, status, code } of requests.toReversed()) {
    const what = code ?? (status >= 500 ? `${instance ?? 'the gateway'} answered ${status}` : undefined);
    if (what !== failing?.what) endFailing();
    if (what !== undefined) {
      if (failing === undefined) failing = { what, at, times: 1 };
      else failing.times += 1;
    }
    if (instance !== null && code === null) {
      if (place !== null && instance !== place) add(at, `served by ${instance}, before by ${place}`);
      place = instance;
    }
    if (act === 'logon') add(at, 'log-on');
    if (act === 'logoff') add(at, 'log-off');
  }
  endFailing();
  if (agent?.boundSince != null) {
    const { kind, by, why } = agent.cause;
    const reason = [by && `by ${by}`, why].filter(Boolean).join(': ');
    add(agent.boundSince, `bound to ${agent.instance}: ${kind}${reason === '' ? '' : ` ${reason}`}`);
  }
  const places = new Set([agent?.instance, ...requests.map(({ instance }) => instance)]);
  const from = requests.at(-1)?.at ?? agent?.boundSince ?? '';
  for (const event of events) {
    const concerns = places.has(event.instance) || (event.kind === 'active' && places.has(event.to));
    if (event.at >= from && concerns && OF_INSTANCE.has(event.kind))
      add(event.at, eventText(event), event.kind === 'down');
  }
  return moments.sort((a, b) => b.at.localeCompare(a.at)).slice(0, MOST_MOMENTS);
}
