import type { StateColor } from './message-types.ts';
import type { SapControlSource, SapState } from './source.ts';

export interface Condition {
  readonly color: StateColor;
  readonly text: string;
}

/**
 * The state as a colour for monitors of SAP systems. A cluster treats GREEN and YELLOW
 * as running; a load balancer sends new requests to GREEN only. So every state between
 * Running and Stopped is YELLOW: the cluster does not fail over while the gateway
 * drains.
 */
export function conditionOf(state: SapState, liveWorkers: number): Condition {
  switch (state) {
    case 'Running':
    case 'Drifted':
    case 'Isolated':
    case 'Maintenance':
      // Connections wait unanswered in the kernel's queue until a worker is back.
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

/** A single entry, whatever the number of workers: for a cluster, the whole host is up or down. */
export function processList(source: SapControlSource, now: Date): OsProcess[] {
  const { color, text } = conditionOf(source.state(), source.liveWorkers());
  const isThere = color !== 'SAPControl-GRAY';
  return [
    {
      // The name by which monitors recognize a Web Dispatcher.
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

/** SAP's time format, `YYYY MM DD HH:MM:SS`, in the time zone of the host. */
export function sapTime(date: Date): string {
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(two).join(' ');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** `H:MM:SS` with unlimited hours; 0 if the clock was set back. */
export function elapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return `${Math.floor(seconds / 3_600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
