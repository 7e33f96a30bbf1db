import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Environment } from '../config/computed.ts';
import type { ReloadPreview } from '../config/preview.ts';
import type { Problem } from '../config/problem.ts';
import { ConfigInvalid, formatProblem } from '../config/problem.ts';
import type { ReadAgain, ReadConfig } from '../config/read-config.ts';
import type { Config } from '../config/schema.ts';
import { deepFreeze } from '../config/tree.ts';
import { MAIN } from '../package.ts';
import { PROTOCOL } from '../process/messages.ts';
import type { StartFlags } from './start-options.ts';

/** What the process that reads the configuration is asked. */
export interface ConfigQuestion {
  /** The {@link PROTOCOL} of the process that asks. */
  readonly protocol: number;
  readonly flags: StartFlags;
  /** Compare it with this one; missing before a start. */
  readonly inEffect?: Config;
  /** Answer only what a reload would do. */
  readonly isPreview?: boolean;
}

export type ConfigAnswer =
  | {
      readonly kind: 'read';
      readonly read: ReadConfig & Partial<ReadAgain>;
      readonly warnings: readonly Problem[];
    }
  | { readonly kind: 'preview'; readonly preview: ReloadPreview }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly kind: 'failed'; readonly error: unknown };

/** Reads the configuration in another process. Each function rejects with `ConfigInvalid` if it is invalid. */
export interface ConfigReader {
  /** @param warn prints a line for each dubious option */
  read(warn: (text: string) => void): Promise<ReadConfig>;
  readAgain(inEffect: Config, warn: (text: string) => void): Promise<ReadAgain>;
  preview(inEffect: Config): Promise<ReloadPreview>;
}

// Reading took a hundredth of this. A file on a server that hangs must not keep a reload waiting without end.
const READ_MS = 30_000;

/**
 * The code that knows all options takes a quarter of the memory of a supervisor, and it is needed at a start and at a
 * reload only. So a process of its own loads it, answers one question, and ends (decision 0041).
 */
export function configReader(flags: StartFlags, env: Environment): ConfigReader {
  const ask = (question: Omit<ConfigQuestion, 'protocol' | 'flags'> = {}): Promise<ConfigAnswer> => {
    // The version of this process, even if another one is installed beside it: a rolling upgrade compares like with like.
    const installed = process.argv[1] ?? MAIN;
    return askOnce(existsSync(MAIN) ? MAIN : installed, env, { ...question, protocol: PROTOCOL, flags });
  };
  const read = async (
    warn: (text: string) => void,
    inEffect?: Config,
  ): Promise<ReadConfig & Partial<ReadAgain>> => {
    const answer = await ask(inEffect === undefined ? {} : { inEffect });
    if (answer.kind !== 'read') throw errorOf(answer);
    for (const warning of answer.warnings) warn(`warning: ${formatProblem(warning)}\n`);
    return deepFreeze(answer.read);
  };
  return {
    read: (warn) => read(warn),
    readAgain: async (inEffect, warn) => (await read(warn, inEffect)) as ReadAgain,
    preview: async (inEffect) => {
      const answer = await ask({ inEffect, isPreview: true });
      if (answer.kind !== 'preview') throw errorOf(answer);
      return answer.preview;
    },
  };
}

function errorOf(answer: ConfigAnswer): unknown {
  if (answer.kind === 'invalid') return new ConfigInvalid(answer.problems);
  return answer.kind === 'failed' ? answer.error : new Error(`an answer of another kind: ${answer.kind}`);
}

function askOnce(module: string, env: Environment, question: ConfigQuestion): Promise<ConfigAnswer> {
  return new Promise((resolve, reject) => {
    const { LISTEN_PID: _pid, LISTEN_FDS: _fds, LISTEN_FDNAMES: _names, ...others } = env;
    const child = fork(module, ['--child=config'], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // Preserves what JSON loses, as for the other children.
      serialization: 'advanced',
      env: others,
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), READ_MS);
    child.once('message', (answer) => resolve(answer as ConfigAnswer));
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      // Node may report the exit before it has read the answer.
      const end = (): void =>
        reject(
          new Error(
            `the configuration could not be read: its process ended with ${signal ?? `exit code ${code}`}`,
          ),
        );
      if (child.connected) child.once('disconnect', end);
      else end();
    });
    child.send(question, () => {
      // A process that could not start or ends early is reported above.
    });
    if (question.inEffect === undefined) return;
    // A gateway that has ended meanwhile does not wait for it.
    timer.unref();
    child.unref();
    child.channel?.unref();
  });
}
