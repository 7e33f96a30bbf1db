#!/usr/bin/env node
import type { BuildChild } from './process/child.ts';

/** What a process becomes that a supervisor has forked (`process/child-port.ts`). */
const CHILDREN: Readonly<Record<string, () => Promise<BuildChild>>> = {
  '--child=controller': async () => (await import('./gateway-controller.ts')).startController,
  '--child=worker': async () => (await import('./gateway-worker.ts')).startWorker,
};

const child = process.send === undefined ? undefined : CHILDREN[process.argv[2] ?? ''];
if (child === undefined) {
  const { runProgram } = await import('./cli/program.ts');
  const { PROCESS_OUTPUT } = await import('./cli/output.ts');
  process.exitCode = await runProgram(process.argv, process.env, PROCESS_OUTPUT);
} else {
  const { runChild } = await import('./process/child.ts');
  await runChild(child);
}
