import type { Command } from 'commander';
import type { Environment } from '../../config/computed.ts';
import type { WhatIf, WhatIfInstance } from '../../core/what-if.ts';
import { askAdmin } from './client.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { poolPath, readCommand } from './context.ts';
import type { Look } from './present.ts';
import { NONE, printable, show, table } from './present.ts';

interface WhatIfFlags {
  readonly instanceDies?: string;
  readonly enable?: string;
  readonly disable?: string;
  readonly drain?: string;
  readonly weight?: string;
  readonly gatewayGoes?: string;
  readonly storeGoes?: boolean;
  readonly config?: string;
}

type Question = Readonly<Record<string, unknown>> & { readonly change: string };

export function addWhatIf(admin: Command, context: AdminContext): void {
  const command = readCommand(
    admin,
    'what-if <pool>',
    'Say which agents would move where, and who must log on again, if one thing changed. Nothing is changed.',
  )
    .option('--instance-dies <id>', 'all gateways find the instance down')
    .option('--enable <id>', 'an operator enables the instance')
    .option('--disable <id>', 'an operator disables the instance')
    .option('--drain <id>', 'an operator drains the instance')
    .option('--weight <id=weight>', 'the configuration gives the instance another weight')
    .option('--gateway-goes <name>', 'the gateway ends')
    .option('--store-goes', 'the store is away')
    .option('--config <file>', 'all gateways act by this configuration; instances that it adds count as up')
    .option('--names <n>', 'how many names to tell', '100');
  command.action(async (pool: string, flags: WhatIfFlags & ReadFlags & { readonly names: string }) => {
    const [question, another] = await questionsOf(flags, pool, context.env);
    if (question === undefined || another !== undefined)
      command.error('error: name one change, such as --instance-dies a');
    const path = `${poolPath(pool)}/what-if`;
    const body = { ...question, names: Number(flags.names) };
    const answer = await askAdmin<WhatIf>(flags, { method: 'POST', path, body }, context.env);
    show(context.output, flags, answer.body, whatIfText);
  });
}

/** The changes that the flags name. */
async function questionsOf(flags: WhatIfFlags, pool: string, env: Environment): Promise<Question[]> {
  const { instanceDies, enable, disable, drain, weight, gatewayGoes, storeGoes, config } = flags;
  const of = (change: string, instance: string | undefined): Question[] =>
    instance === undefined ? [] : [{ change, instance }];
  const [, id, amount] = /^(.+)=(.+)$/.exec(weight ?? '') ?? [];
  if (weight !== undefined && id === undefined) throw new Error('--weight must be such as a=2');
  return [
    ...of('instance-dies', instanceDies),
    ...of('enable', enable),
    ...of('disable', disable),
    ...of('drain', drain),
    ...(id === undefined ? [] : [{ change: 'weight', instance: id, weight: Number(amount) }]),
    ...(gatewayGoes === undefined ? [] : [{ change: 'gateway-goes', gateway: gatewayGoes }]),
    ...(storeGoes === true ? [{ change: 'store-goes' }] : []),
    ...(config === undefined ? [] : [{ change: 'config', parts: await partsIn(config, pool, env) }]),
  ];
}

/** What the file says of the pool, as gateways compare it. It holds no secrets. */
async function partsIn(file: string, name: string, env: Environment): Promise<object> {
  const { loadConfig } = await import('../../config/load.ts');
  const { poolParts } = await import('../../wiring/pool-parts.ts');
  const { config } = loadConfig({ file, env });
  const pool = config.pools.find((one) => one.name === name);
  if (pool === undefined)
    throw new Error(`${file} has no pool named ${name}: all its agents would have none`);
  return poolParts(pool, config);
}

function whatIfText(answer: WhatIf, look: Look): string {
  const { text, bound, moves, names, instances, notes, isExact, active, stranded } = answer;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const change = (before: string, after: string): string =>
    before === after ? before : `${before} → ${after}`;
  const columns = [
    { head: 'INSTANCE', cell: ({ id }: WhatIfInstance) => id },
    {
      head: 'AGENTS',
      cell: ({ before, after }: WhatIfInstance) =>
        change(String(before.boundAgents), String(after.boundAgents)),
    },
    {
      head: 'NEW AGENTS',
      cell: ({ before, after }: WhatIfInstance) =>
        change(percent(before.newAgents), percent(after.newAgents)),
    },
    { head: 'SERVES', cell: ({ after }: WhatIfInstance) => (after.serves ? 'yes' : 'no') },
  ];
  const lines = names.map(({ name, kind, from, to }) => ({
    name: kind === 'user' ? name : `${kind}:${name}`,
    from,
    to: to ?? (isExact ? NONE : 'one of those above'),
  }));
  return [
    look.paint(stranded > 0 ? 'red' : undefined, printable(text)),
    `${bound} bound agents were looked at`,
    ...(active.before === active.after ? [] : [`active: ${active.before ?? NONE} → ${active.after ?? NONE}`]),
    ...notes.map(printable),
    '',
    table(columns, instances, look),
    ...(moves.length === 0
      ? []
      : [
          '',
          table(
            [
              { head: 'FROM', cell: ({ from }) => from },
              { head: 'TO', cell: ({ to }) => to ?? NONE },
              { head: 'AGENTS', cell: ({ agents }) => String(agents), right: true },
            ],
            moves,
            look,
          ),
        ]),
    ...(lines.length === 0
      ? []
      : [
          '',
          table(
            [
              { head: 'AGENT', cell: ({ name }) => name },
              { head: 'FROM', cell: ({ from }) => from },
              { head: 'TO', cell: ({ to }) => to },
            ],
            lines,
            look,
          ),
        ]),
  ].join('\n');
}
