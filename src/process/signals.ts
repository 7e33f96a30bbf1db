import type { StopTimes } from './lifecycle-driver.ts';

/** What signals make a gateway do, be it one process or many. */
export interface SignalTarget {
  /** Called again it is to end at once. */
  stop(why: string, times?: StopTimes): void;
  reload(why: string): void;
  moveLogLevel(step: 1 | -1): void;
  /** Resolves when a stop is over. */
  readonly ended: Promise<void>;
}

/** Where signals come from: `process`, or a test. */
export interface SignalSource {
  on(signal: NodeJS.Signals, handler: () => void): unknown;
  off(signal: NodeJS.Signals, handler: () => void): unknown;
}

/** SIGINT differs from the other two as with SAP Web Dispatcher: nobody is given the time to notice. */
const STOPS: readonly [signal: NodeJS.Signals, times: StopTimes][] = [
  ['SIGTERM', {}],
  ['SIGQUIT', {}],
  ['SIGINT', { pollInterval: 0 }],
];
const AT_ONCE: StopTimes = { pollInterval: 0, timeout: 0 };

/**
 * Lets the signals that SAP administrators know act on the gateway, until it has
 * ended: SIGTERM and SIGQUIT stop it softly, SIGINT without waiting for balancers,
 * a second one of any at once; SIGHUP reloads; SIGUSR1 logs less, SIGUSR2 more.
 *
 * @param say tells whoever sits at the terminal what will happen
 * @returns stops it as SIGTERM does, and counts as a first signal
 */
export function installSignalHandlers(
  target: SignalTarget,
  say: (text: string) => void,
  source: SignalSource = process,
): (why: string, times?: StopTimes) => void {
  let isStopping = false;
  const stop = (why: string, times: StopTimes = {}): void => {
    if (!isStopping) say(`ici-gateway ends on ${why}; once more ends it at once\n`);
    target.stop(isStopping ? `${why} again` : why, isStopping ? AT_ONCE : times);
    isStopping = true;
  };
  const handlers: [NodeJS.Signals, () => void][] = [
    ...STOPS.map(([name, times]): [NodeJS.Signals, () => void] => [name, () => stop(name, times)]),
    ['SIGHUP', () => target.reload('SIGHUP')],
    ['SIGUSR1', () => target.moveLogLevel(-1)],
    ['SIGUSR2', () => target.moveLogLevel(1)],
  ];
  for (const [name, handler] of handlers) source.on(name, handler);
  void target.ended.then(() => {
    // What comes now finds a process that has nothing left to do, and may end it.
    for (const [name, handler] of handlers) source.off(name, handler);
  });
  return stop;
}
