import { EVENT_FIELDS } from '../../../core/event-fields.ts';
import type { PoolEvent } from '../data/contract.ts';
import { csv } from './csv.ts';
import { parseDuration } from './time.ts';

/** The kinds of events, as the filter shows them. */
export const EVENT_KINDS: Readonly<Record<string, string>> = {
  up: 'instance up',
  down: 'instance down',
  restarted: 'instance restarted',
  quarantined: 'quarantine begun',
  cleared: 'quarantine ended',
  active: 'active instance changed',
  drained: 'drain ended',
  admin: 'enabled, drained, disabled',
  moved: 'agent moved',
  forgotten: 'agent forgotten',
  'failback-policy': 'failback policy set',
  rebalance: 'rebalancing set by an operator',
  configured: 'configuration agreed',
  activate: 'activated by an operator',
  release: 'released by an operator',
  maintenance: 'maintenance',
  stop: 'gateway stopped by an operator',
  restart: 'gateway restarted by an operator',
  reload: 'configuration reloaded by an operator',
  state: 'state of a gateway',
  options: 'options of a gateway',
};

const ADMIN: Readonly<Record<string, string>> = {
  enabled: 'was enabled',
  draining: 'began to drain',
  disabled: 'was disabled',
};

/** One event in a sentence without its end. */
export function eventText({ kind, instance, from, to, gateway = '' }: PoolEvent): string {
  switch (kind) {
    case 'up':
      return `${instance} is up`;
    case 'down':
      return `${instance} is down`;
    case 'restarted':
      return `${instance} was restarted and has forgotten its agents`;
    case 'quarantined':
      return `${instance} is in quarantine`;
    case 'cleared':
    case 'release':
      return `${instance} has left quarantine`;
    case 'active':
    case 'activate':
      return from === '' ? `${to || instance} is active` : `${to || instance} is active after ${from}`;
    case 'drained':
      return `${instance} is drained and disabled`;
    case 'admin':
      return `${instance} ${ADMIN[to] ?? to}`;
    case 'moved':
      return `agent moved from ${from} to ${to}`;
    case 'forgotten':
      return `agent on ${instance} forgotten`;
    case 'failback-policy':
      return `failback policy ${to}${from === '' ? '' : ` (was ${from})`}`;
    case 'rebalance':
      return to === 'never'
        ? 'agents stay as they log on again'
        : `agents move as they log on again, until ${to}`;
    case 'configured':
      return 'configuration agreed';
    case 'maintenance':
      return `${gateway}: maintenance ${to}`;
    case 'state':
      return `${gateway} is ${to}${from === '' ? '' : ` (was ${from})`}`;
    case 'options':
      return `${gateway} has read its configuration: ${to}`;
    case 'stop':
    case 'restart':
    case 'reload':
      return `${kind} of ${gateway}`;
    default:
      return [EVENT_KINDS[kind] ?? kind, instance, from && `from ${from}`, to && `to ${to}`]
        .filter(Boolean)
        .join(' ');
  }
}

/** What may be sent as `since`: a duration, a time with its zone, or nothing while it is typed. */
export function sinceOf(text: string): string {
  const trimmed = text.trim();
  if (parseDuration(trimmed) !== undefined) return trimmed;
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(trimmed) ? trimmed : '';
}

/** Whether something stands in the field that is no time, or none yet. */
export function isUnreadSince(text: string): boolean {
  return text.trim() !== '' && sinceOf(text) === '';
}

/** The same table as that of `admin events --csv`. */
export function eventsCsv(events: readonly PoolEvent[]): string {
  return csv(
    EVENT_FIELDS,
    events.map((one) => ({ ...one })),
  );
}
