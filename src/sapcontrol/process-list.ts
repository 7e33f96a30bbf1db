import type { StateColor } from './message-types.ts';
import type { SapControlSource, SapState } from './source.ts';

export interface Condition {
  readonly color: StateColor;
  readonly text: string;
}

/**
 * The state as monitors of SAP systems read it. A cluster takes GREEN and YELLOW
 * for running, a load balancer sends new requests to GREEN only: so all that lies
 * between Running and Stopped is YELLOW, and the one is not tempted to fail over
 * while the other drains.
 */
export function conditionOf(state: SapState, liveWorkers: number): Condition {
  switch (state) {
    case 'Running':
    case 'Drifted':
    case 'Isolated':
    case 'Maintenance':
      // Connections wait in the kernel's queue until a worker is back; nobody answers them before.
      if (liveWorkers === 0) return { color: 'SAPControl-RED', text: 'No worker' };
      return { color: state === 'Running' ? 'SAPControl-GREEN' : 'SAPControl-YELLOW', text: state };
    case 'Draining':
      return { color: 'SAPControl-YELLOW', text: 'Stopping' };
    case 'Stopped':
      return { color: 'SAPControl-GRAY', text: 'Stopped' };
    default:
      return { color: 'SAPControl-YELLOW', text: state };
  }
}

export interface OsProcess {
  readonly name: string;
  readonly description: string;
  readonly dispstatus: StateColor;
  readonly textstatus: string;
  readonly starttime: string;
  readonly elapsedtime: string;
  readonly pid: number;
}

/** One entry, whatever the number of workers: it is the host that is up or down for a cluster. */
export function processList(source: SapControlSource, now: Date): OsProcess[] {
  const { color, text } = conditionOf(source.state(), source.liveWorkers());
  const isThere = color !== 'SAPControl-GRAY';
  return [
    {
      // What monitors know a Web Dispatcher by.
      name: 'sapwebdisp',
      description: 'Web Dispatcher',
      dispstatus: color,
      textstatus: text,
      starttime: isThere ? sapTime(source.startedAt) : '',
      elapsedtime: isThere ? elapsed(now.getTime() - source.startedAt.getTime()) : '',
      pid: isThere ? source.pid : -1,
    },
  ];
}

/** `YYYY MM DD HH:MM:SS` in the zone of the host, as SAP writes times. */
export function sapTime(date: Date): string {
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(two).join(' ');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** `H:MM:SS`; hours grow without bound. A clock that was set back counts as no time. */
export function elapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return `${Math.floor(seconds / 3_600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
