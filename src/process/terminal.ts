import { closeSync, constants, openSync } from 'node:fs';
import { isatty } from 'node:tty';

const STANDARD_STREAMS = [0, 1, 2];
const terminals = STANDARD_STREAMS.filter((fd) => isatty(fd));

/**
 * Did an operator start this process by hand at a terminal? With `nohup`, none of its streams is a terminal, and it is
 * meant to go on when the terminal is closed. A service manager gives it no terminal at all.
 */
export function isAtTerminal(): boolean {
  return terminals.length > 0 && hasTerminal();
}

/**
 * Was a terminal of this process closed since it started? Then Node cannot reset it at the end, and aborts, with a core
 * dump (`ResetStdio` in its src/node.cc).
 */
export function hasLostTerminal(): boolean {
  return terminals.some((fd) => !isatty(fd));
}

/** Does this process have a controlling terminal (tty(4))? It loses it when the terminal is closed. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}
