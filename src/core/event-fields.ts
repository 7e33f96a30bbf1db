import type { LoggedEvent } from './view/agreed-view.ts';

/** The columns of the event log as CSV, at the command line and in the console. */
export const EVENT_FIELDS = [
  'at',
  'kind',
  'instance',
  'from',
  'to',
  'by',
  'why',
  'source',
  'gateway',
  'times',
  'firstAt',
  'epoch',
] as const satisfies readonly (keyof LoggedEvent)[];
