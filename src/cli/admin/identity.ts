import type { Command } from 'commander';
import type { SeenNamesStatus } from '../../core/seen-names.ts';
import { SOURCE_TEXTS } from '../../core/seen-names.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { poolPath, read, readCommand } from './context.ts';
import type { Look } from './present.ts';
import { counted, fields, table } from './present.ts';

export function addIdentity(admin: Command, context: AdminContext): void {
  readCommand(
    admin,
    'identity <pool>',
    'Show how the requests of the last hour at this gateway named their agents, and which operations did not.',
  ).action(async (pool: string, flags: ReadFlags) => {
    await read<SeenNamesStatus>(context, flags, { path: `${poolPath(pool)}/identity` }, seenNamesText);
  });
}

function seenNamesText(seen: SeenNamesStatus, look: Look): string {
  if (seen.requests === 0)
    return `pool ${seen.pool}: no request that needed an agent's name in the last hour`;
  const numbers = <Row>(
    name: string,
    of: (row: Row) => string,
    many: (row: Row) => number,
    rows: readonly Row[],
  ) =>
    rows.length === 0
      ? []
      : [
          table(
            [
              { head: name, cell: of },
              { head: 'number', cell: (row) => String(many(row)), right: true },
            ],
            rows,
            look,
          ),
        ];
  return [
    `${counted(seen.requests, 'request')} in the last hour${seen.partial ? ', without a worker that did not answer' : ''}`,
    fields(
      seen.sources.map(({ source, requests, share }) => [
        SOURCE_TEXTS[source],
        `${(share * 100).toFixed(1).padStart(5)} %  ${requests}`,
      ]),
      look,
    ),
    ...numbers(
      'named no agent, because',
      (one) => one.reason,
      (one) => one.requests,
      seen.reasons,
    ),
    ...numbers(
      'operation that named no agent',
      (one) => one.operation,
      (one) => one.requests,
      seen.unnamedOperations,
    ),
    ...numbers(
      'value not used, because',
      (one) => `${one.reason} (${SOURCE_TEXTS[one.source]})`,
      (one) => one.values,
      seen.ignored,
    ),
    ...numbers(
      "operation with another agent's name",
      (one) => one.operation,
      (one) => one.requests,
      seen.conflicts,
    ),
  ].join('\n\n');
}
