import type { Command } from 'commander';
import type { InstanceStatus } from '../../core/gateway-status.ts';
import type { AdminContext, ChangeFlags, ReadFlags } from './context.ts';
import { change, instancePath, read, readCommand, send, warnIfPending } from './context.ts';
import type { DrainAnswer } from './drain.ts';
import { drainPath, drainText, watchDrain } from './drain.ts';
import type { Look } from './present.ts';
import { counted, printable, since } from './present.ts';
import type { WeighedFlags } from './weighed.ts';
import { weigh, weighedCommand } from './weighed.ts';

interface DrainFlags {
  readonly deadline?: string | undefined;
  readonly watch?: boolean | undefined;
}

interface Changed {
  readonly instance: InstanceStatus;
}

type Verb = 'enable' | 'disable' | 'release';

const VERBS: readonly [verb: Verb, description: string, text: (instance: InstanceStatus) => string][] = [
  ['enable', 'Let an instance take new agents again.', ({ id }) => `${id} takes new agents`],
  [
    'disable',
    'Disable an instance at once. Its agents are moved.',
    ({ id }) => `${id} is disabled; its agents are moved`,
  ],
  [
    'release',
    'End the quarantine of an instance, if you know that it holds none of its old agents.',
    ({ id }) => `${id} is out of quarantine`,
  ],
];

// A gateway that died delays a change by its lease.
const BEGINS_WITHIN_MS = 30_000;

/** The changes of one instance. */
export function addInstances(admin: Command, context: AdminContext): void {
  for (const [verb, description, text] of VERBS)
    weighedCommand(admin, `${verb} <pool> <instance>`, description).action(
      (pool: string, id: string, flags: WeighedFlags, command: Command) =>
        weigh(context, command, flags, { act: verb, pool, id }, (act) =>
          change<Changed>(context, act, `${instancePath(pool, id)}/${verb}`, {}, ({ instance }) =>
            printable(text(instance)),
          ),
        ),
    );
  weighedCommand(
    admin,
    'drain <pool> <instance>',
    'Let an instance keep its agents but take no new ones. It is disabled when the last agent has gone.',
  )
    .option('--deadline <when>', 'latest end of the drain, such as 30m or 2026-03-01T22:00:00Z')
    .option('--watch', 'show the progress until the drain is over; Ctrl-C ends only the watching')
    .action(
      (
        pool: string,
        id: string,
        { deadline, watch, ...flags }: WeighedFlags & DrainFlags,
        command: Command,
      ) =>
        weigh(context, command, flags, { act: 'drain', pool, id }, (act) =>
          drain(context, pool, id, act, { deadline, watch }),
        ),
    );
  readCommand(admin, 'draining <pool> <instance>', 'Show the agents that are still bound to an instance.')
    .option('--watch', 'show the progress until the drain is over')
    .option('--limit <n>', 'number of agents', '100')
    .action(
      async (
        pool: string,
        instance: string,
        { watch, limit, ...flags }: ReadFlags & { readonly watch?: boolean; readonly limit: string },
      ) => {
        if (watch === true) context.exitWith(await watchDrain(context, flags, pool, instance));
        else
          await read<DrainAnswer>(
            context,
            flags,
            { path: drainPath(pool, instance), query: { limit } },
            drainText,
          );
      },
    );
}

async function drain(
  context: AdminContext,
  pool: string,
  instance: string,
  flags: ChangeFlags,
  { deadline, watch }: DrainFlags,
): Promise<void> {
  const path = `${instancePath(pool, instance)}/drain`;
  if (watch !== true) return change<Changed>(context, flags, path, { deadline }, drainingText);
  warnIfPending(context.output, await send<Changed>(context, flags, path, { deadline }));
  context.exitWith(await watchDrain(context, flags, pool, instance, BEGINS_WITHIN_MS));
}

function drainingText({ instance }: Changed, look: Look): string {
  const { id, admin, boundAgents, act } = instance;
  // Without agents the drain is over at once.
  if (admin !== 'draining') return printable(`${id} is ${admin}`);
  const deadline = act?.deadline ?? null;
  const end = deadline === null ? 'no deadline' : `deadline ${since(deadline, look)}`;
  return printable(`${id} takes no new agents; ${counted(boundAgents, 'agent')} left, ${end}`);
}
