#!/usr/bin/env node
import type { BuildChild } from './process/child.ts';
import type { ChildRole } from './process/messages.ts';

/** The code of each role that a supervisor gives to a forked process (`process/child-port.ts`). */
const CHILDREN: Readonly<Record<ChildRole, () => Promise<BuildChild>>> = {
  controller: async () => (await import('./wiring/controller.ts')).startController,
  worker: async () => (await import('./wiring/worker.ts')).startWorker,
};

/** What a role loads once it knows its configuration: a standby process should not take that time from its agents. */
const MORE_OF_STANDBY = (): Promise<unknown> => import('./wiring/redis-stores.ts');

// A standby process is forked as `spare`: it has no role yet. `config` reads the configuration, and ends.
const child = /^--child=(controller|worker|spare|config)$/.exec(process.argv[2] ?? '')?.[1];
if (child === undefined || process.send === undefined) {
  const { runProgram } = await import('./cli/program.ts');
  const { PROCESS_OUTPUT } = await import('./cli/output.ts');
  process.exitCode = await runProgram(process.argv, process.env, PROCESS_OUTPUT);
} else if (child === 'config') {
  const { answerAboutConfig } = await import('./cli/read-config.ts');
  answerAboutConfig();
} else {
  const { runChild } = await import('./process/child.ts');
  await runChild(child as ChildRole | 'spare', CHILDREN, MORE_OF_STANDBY);
}
