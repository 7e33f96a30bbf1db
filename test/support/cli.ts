import type { Output, Terminal } from '../../src/cli/output.ts';
import { runProgram } from '../../src/cli/program.ts';

/** An output that records the written text. */
export class RecordedOutput implements Output {
  readonly written = { out: '', err: '' };
  readonly terminal: Terminal | undefined;

  /** @param terminal missing if the output is not read at a terminal */
  constructor(terminal?: Terminal) {
    this.terminal = terminal;
  }

  readonly out = (text: string): void => {
    this.written.out += text;
  };

  readonly err = (text: string): void => {
    this.written.err += text;
  };
}

/** The exit code and the output of a command. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command of `ici-gateway` in this process. */
export async function runCommand(
  args: readonly string[],
  env: Record<string, string> = {},
  terminal?: Terminal,
): Promise<Ended> {
  const output = new RecordedOutput(terminal);
  const code = await runProgram(['node', 'ici-gateway', ...args], env, output);
  return { code, ...output.written };
}
