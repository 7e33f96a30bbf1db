import type { Command } from 'commander';
import type { Consequence, WeighedAct } from '../../core/consequence.ts';
import type { AdminContext, ChangeFlags } from './context.ts';
import { instancePath, read, readCommand, withName } from './context.ts';
import { printable } from './present.ts';

/** A command whose consequence for the agents can be asked before: then it needs no reason. */
export function weighedCommand(parent: Command, usage: string, description: string): Command {
  return withName(
    readCommand(parent, usage, description)
      .option('--why <reason>', 'reason for the event log; required unless --dry-run is given')
      .option('--dry-run', 'only say what this would do to the agents now'),
  );
}

export type WeighedFlags = Partial<ChangeFlags> & { readonly dryRun?: boolean };

/** The act to ask about. */
interface Asked {
  readonly act: WeighedAct;
  readonly pool: string;
  /** An instance of the pool. */
  readonly id: string;
}

/**
 * Makes the change, or says what it would do.
 *
 * @param make makes the change
 */
export async function weigh(
  context: AdminContext,
  command: Command,
  { dryRun, why, ...flags }: WeighedFlags,
  { act, pool, id }: Asked,
  make: (flags: ChangeFlags) => Promise<void>,
): Promise<void> {
  if (dryRun === true) {
    const path = `${instancePath(pool, id)}/consequence`;
    await read<Consequence>(context, flags, { path, query: { act } }, ({ text }) => printable(text));
    return;
  }
  if (why === undefined) command.error("error: required option '--why <reason>' not specified");
  await make({ ...flags, why });
}
