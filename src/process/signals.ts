import type { StopTimes } from './lifecycle-driver.ts';

/** What the signals control: a gateway of one process or of several. */
export interface SignalTarget {
  /** A second call ends the gateway at once. */
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

/** The terminal at which an operator started the gateway. */
export interface Terminal {
  isOpen(): boolean;
}

/** A shell sends SIGHUP to its processes shortly before its terminal is gone. */
const HANG_UP_MS = 250;

/** As with SAP Web Dispatcher, SIGINT differs from the other two: it does not wait until balancers notice. */
const STOPS: readonly [signal: NodeJS.Signals, times: StopTimes][] = [
  ['SIGTERM', {}],
  ['SIGQUIT', {}],
  ['SIGINT', { pollInterval: 0 }],
];
const AT_ONCE: StopTimes = { pollInterval: 0, timeout: 0 };

/**
 * Installs the signals that SAP administrators know, until the gateway has ended:
 * SIGTERM and SIGQUIT stop it softly, SIGINT without waiting for balancers, and a
 * second one of these at once. SIGHUP reloads; SIGUSR1 logs less, SIGUSR2 more.
 *
 * The kernel and shells send SIGHUP when a terminal is closed. A gateway that was started there by hand then stops
 * softly; otherwise it would go on unseen.
 *
 * @param terminal undefined if a service manager, or the like, started the gateway
 * @param print writes to the terminal what will happen
 * @returns a function that stops the gateway like SIGTERM and counts as a first signal
 */
export function installSignalHandlers(
  target: SignalTarget,
  print: (text: string) => void,
  terminal: Terminal | undefined,
  source: SignalSource = process,
): (why: string, times?: StopTimes) => void {
  let isStopping = false;
  const stop = (why: string, times: StopTimes = {}): void => {
    if (!isStopping) print(`ici-gateway is stopping (${why}); a second signal stops it at once\n`);
    target.stop(isStopping ? `${why} again` : why, isStopping ? AT_ONCE : times);
    isStopping = true;
  };
  let hangUp: NodeJS.Timeout | undefined;
  const onHangUp = (): void => {
    if (terminal === undefined) {
      target.reload('SIGHUP');
      return;
    }
    // Both the kernel and the shell may send one.
    clearTimeout(hangUp);
    hangUp = setTimeout(() => {
      if (terminal.isOpen()) target.reload('SIGHUP');
      else if (!isStopping) stop('its terminal was closed');
    }, HANG_UP_MS);
  };
  const handlers: [NodeJS.Signals, () => void][] = [
    ...STOPS.map(([name, times]): [NodeJS.Signals, () => void] => [name, () => stop(name, times)]),
    ['SIGHUP', onHangUp],
    ['SIGUSR1', () => target.moveLogLevel(-1)],
    ['SIGUSR2', () => target.moveLogLevel(1)],
  ];
  for (const [name, handler] of handlers) source.on(name, handler);
  void target.ended.then(() => {
    // The process has nothing left to do, so a further signal may end it by default.
    for (const [name, handler] of handlers) source.off(name, handler);
    clearTimeout(hangUp);
  });
  return stop;
}
