import { standardError } from '../process/runtime.ts';

/** The streams of a command: results go to `out`, everything else to `err`. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  /** Set if people read `out`. */
  readonly terminal?: Terminal | undefined;
}

export interface Terminal {
  readonly hasColors: boolean;
}

export const PROCESS_OUTPUT: Output = {
  out: (text) => standardOutput().write(text),
  err: (text) => standardError().write(text),
  get terminal() {
    const { stdout } = process;
    // It heeds NO_COLOR, FORCE_COLOR and TERM.
    return stdout.isTTY ? { hasColors: stdout.hasColors() } : undefined;
  },
};

/** The exit code by shell convention: 128 plus the number of SIGPIPE, which Node ignores. */
const EXIT_UNREAD = 141;
const EXIT_UNWRITTEN = 1;

let isGuarded = false;

/** Standard output for results. A command ends without a crash when its reader, a terminal or pipe, is gone. */
export function standardOutput(): NodeJS.WriteStream {
  if (!isGuarded) {
    isGuarded = true;
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(EXIT_UNREAD);
      standardError().write(`ici-gateway: standard output cannot be written: ${error.message}\n`);
      process.exit(EXIT_UNWRITTEN);
    });
  }
  return process.stdout;
}

/** The end of a help text. */
export function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}
