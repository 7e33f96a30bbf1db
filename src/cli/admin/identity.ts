import type { Command } from 'commander';
import type { SeenNamesStatus, UnnamedOperation } from '../../core/seen-names.ts';
import { SEEN_SECONDS, SOURCE_TEXTS } from '../../core/seen-names.ts';
import { span } from '../../core/span.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { poolPath, read, readCommand } from './context.ts';
import type { Column, Look } from './present.ts';
import { counted, fields, NONE, table } from './present.ts';

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
    return `pool ${seen.pool}: no request that needed an agent's name in the last ${periodOf(seen)}`;
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
    `${counted(seen.requests, 'request')} in the last ${periodOf(seen)}${seen.partial ? ', without a worker that did not answer' : ''}`,
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
    ...(seen.unnamedOperations.length === 0 ? [] : [table(OPERATION_COLUMNS, seen.unnamedOperations, look)]),
    // Gateways of earlier releases do not tell.
    ...numbers(
      `element that held the name in ${seen.searched ?? 0} searched ${seen.searched === 1 ? 'body' : 'bodies'}`,
      (one) => `${one.element} (${one.kind})`,
      (one) => one.requests,
      seen.elements ?? [],
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

/** The columns of operations that named no agent. */
const OPERATION_COLUMNS: readonly Column<UnnamedOperation>[] = [
  { head: 'operation that named no agent', cell: ({ operation }) => operation },
  { head: 'number', cell: ({ requests }) => String(requests), right: true },
  {
    head: 'its elements with text: is one of them the agent?',
    cell: ({ elements = [] }) => (elements.length === 0 ? NONE : elements.join(', ')),
  },
];

function periodOf({ seconds }: SeenNamesStatus): string {
  return seconds >= SEEN_SECONDS ? 'hour' : `${span(seconds * 1_000)}, since its workers started`;
}
