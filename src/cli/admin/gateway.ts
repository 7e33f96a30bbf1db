import type { Command } from 'commander';
import type { GatewayLine } from '../../core/gateways.ts';
import type { ShownOption } from '../../core/shown-option.ts';
import { span } from '../../core/span.ts';
import { askAdmin } from './client.ts';
import type { AdminContext, ChangeFlags, ReadFlags } from './context.ts';
import { change, changeCommand, read, readCommand } from './context.ts';
import type { Colour, Column, Look } from './present.ts';
import { NONE, printable, show, since, table } from './present.ts';

interface Gateways {
  readonly gateways: readonly GatewayLine[];
  readonly partial: boolean;
  readonly reason: string | null;
}

interface StopFlags extends ChangeFlags {
  readonly softTimeout?: string;
}

interface Options {
  readonly options: readonly ShownOption[];
}

/** The commands that concern gateways; the changes among them concern the asked one only. */
export function addGateway(admin: Command, context: AdminContext): void {
  readCommand(admin, 'gateways', 'Show all gateways that share the store.').action(
    async (flags: ReadFlags) => {
      await read<Gateways>(context, flags, { path: '/gateways' }, gatewaysText);
    },
  );
  readCommand(
    admin,
    'config',
    'Show every option: its value in effect, its default and where the value comes from. Secrets are masked.',
  )
    .option('--changed', 'only those that a file, a variable or a flag sets')
    .action(async ({ changed, ...flags }: ReadFlags & { readonly changed?: boolean }) => {
      const { env, output } = context;
      const { body } = await askAdmin<Options>(flags, { method: 'GET', path: '/config/options' }, env);
      const options = changed === true ? body.options.filter(isChanged) : body.options;
      show(output, flags, { options }, (shown, look) => table(OPTION_COLUMNS, shown.options, look));
    });
  changeCommand(
    admin,
    'maintenance <on|off>',
    'Start or end maintenance of this gateway only: it answers requests with a maintenance page and forwards none.',
  ).action((onOrOff: string, flags: ChangeFlags) => {
    if (onOrOff !== 'on' && onOrOff !== 'off')
      throw new Error(`maintenance must be on or off, but is "${onOrOff}"`);
    return change(context, flags, '/maintenance', { on: onOrOff === 'on' }, stateText);
  });
  changeCommand(
    admin,
    'stop',
    'Stop this gateway softly: it answers all requests in progress first, and refuses none.',
  )
    .option(
      '--soft-timeout <duration>',
      'time after which requests without an answer are cut off (lifecycle.shutdownTimeout)',
    )
    .action(({ softTimeout, ...flags }: StopFlags) =>
      change(context, flags, '/stop', { softTimeout }, stateText),
    );
}

export function stateText({ state }: { readonly state: string }): string {
  return `the gateway is in the state ${state}`;
}

function isChanged({ source }: ShownOption): boolean {
  return source !== 'default';
}

const OPTION_COLUMNS: readonly Column<ShownOption>[] = [
  { head: 'OPTION', cell: ({ path }) => path },
  { head: 'VALUE', cell: ({ value }) => value, colour: (option) => (isChanged(option) ? 'bold' : undefined) },
  { head: 'DEFAULT', cell: ({ default: preset }) => preset ?? NONE },
  { head: 'FROM', cell: ({ source }) => source },
];

function gatewaysText({ gateways, partial, reason }: Gateways, look: Look): string {
  const notes = gateways.flatMap((gateway) => notesOf(gateway).map((note) => look.paint('yellow', note)));
  return [
    table(columnsOf(gateways, look), gateways, look),
    ...notes,
    ...(partial
      ? [look.paint('yellow', `only this gateway is listed, because ${printable(reason ?? '')}`)]
      : []),
  ].join('\n');
}

const COLUMNS = (look: Look): Column<GatewayLine>[] => [
  { head: 'GATEWAY', cell: ({ replica, self }) => (self ? `${replica} (asked)` : replica) },
  { head: 'STATE', cell: stateCell, colour: stateColour },
  { head: 'VERSION', cell: ({ version }) => version ?? NONE },
  { head: 'WORKERS', cell: ({ workers }) => (workers === null ? NONE : String(workers)), right: true },
  { head: 'STARTED', cell: ({ startedAt }) => (startedAt === null ? NONE : since(startedAt, look)) },
  { head: 'SEEN', cell: seenText, colour: ({ silent }) => (silent ? 'red' : undefined) },
  { head: 'POOLS', cell: poolsText },
  { head: 'ADMIN', cell: ({ admin }) => admin ?? NONE },
];

/** The column of addresses only if a gateway takes requests of peers. Earlier releases tell none. */
function columnsOf(gateways: readonly GatewayLine[], look: Look): Column<GatewayLine>[] {
  const takes = gateways.some(({ relayAt }) => relayAt != null);
  return [...COLUMNS(look), ...(takes ? [RELAY_COLUMN] : [])];
}

const RELAY_COLUMN: Column<GatewayLine> = {
  head: 'TAKES RELAYED AT',
  cell: ({ relayAt }) => relayAt ?? NONE,
};

/** What a silent gateway said last is no longer its state. */
function stateCell(gateway: GatewayLine): string {
  return gateway.silent ? 'silent' : (gateway.state ?? NONE);
}

function stateColour(gateway: GatewayLine): Colour | undefined {
  const { state, silent } = gateway;
  if (silent) return 'red';
  if (state === null) return undefined;
  return state === 'Running' ? 'green' : 'yellow';
}

function seenText({ self, seenSecondsAgo }: GatewayLine): string {
  if (self) return 'now';
  return seenSecondsAgo === null ? NONE : `${span(seenSecondsAgo * 1_000)} ago`;
}

function poolsText(gateway: GatewayLine): string {
  const texts = gateway.pools.map((pool) => (gateway.silent ? pool.pool : poolText(pool)));
  return texts.join(', ') || NONE;
}

function poolText({ pool, standing, leaseRemainingMs }: GatewayLine['pools'][number]): string {
  if (standing === null) return pool;
  const lease = leaseRemainingMs === null ? '' : ` ${(leaseRemainingMs / 1_000).toFixed(1)}s`;
  return `${pool} ${standing}${lease}`;
}

/** What an operator should know of it. */
function notesOf({ replica, pools }: GatewayLine): string[] {
  return pools.flatMap(({ pool, abstains, down, cutOff, differences }) => {
    const note = (text: string): string => printable(`${replica}, pool ${pool}: ${text}`);
    return [
      ...(abstains === true ? [note('it abstains, because it cannot trust its clock')] : []),
      ...(down.length > 0 ? [note(`it reports ${down.join(', ')} as down`)] : []),
      ...((cutOff?.length ?? 0) > 0 ? [note(`it alone cannot reach ${cutOff?.join(', ')}`)] : []),
      ...differences.map(({ part, effect, configured, agreed }) =>
        note(
          `${part} is ${JSON.stringify(configured)} there, agreed is ${JSON.stringify(agreed)} (${effect})`,
        ),
      ),
    ];
  });
}
