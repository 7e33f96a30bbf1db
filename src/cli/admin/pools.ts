import type { Command } from 'commander';
import type { GatewayStatus } from '../../core/gateway-status.ts';
import { askAdmin } from './client.ts';
import type { AdminContext, ChangeFlags, ReadFlags } from './context.ts';
import { change, changeCommand, poolPath } from './context.ts';
import type { Look } from './present.ts';
import { printable, since } from './present.ts';
import type { WeighedFlags } from './weighed.ts';
import { weigh, weighedCommand } from './weighed.ts';

interface Active {
  readonly active: string;
  readonly since: string;
}

interface FailbackPolicy {
  readonly failback: string;
  readonly zone: string | null;
}

interface RebalanceFlags {
  readonly deadline?: string;
  readonly end?: boolean;
}

interface Rebalanced {
  readonly until: string | null;
}

/** The changes of a whole pool. */
export function addPools(admin: Command, context: AdminContext): void {
  weighedCommand(
    admin,
    'activate <pool> <instance>',
    'Make an instance of a failover pool the active one at once.',
  ).action((pool: string, id: string, flags: WeighedFlags, command: Command) =>
    weigh(context, command, flags, { act: 'activate', pool, id }, (act) =>
      change(context, act, `${poolPath(pool)}/activate`, { instance: id }, activeText),
    ),
  );
  weighedCommand(
    admin,
    'failback <pool>',
    'Return a failover pool to its preferred instance at once.',
  ).action(async (pool: string, flags: WeighedFlags, command: Command) => {
    const id = flags.dryRun === true ? await anyInstance(context, flags, pool) : '';
    return weigh(context, command, flags, { act: 'failback', pool, id }, (act) =>
      change(context, act, `${poolPath(pool)}/failback`, {}, activeText),
    );
  });
  changeCommand(
    admin,
    'failback-policy <pool> <policy>',
    'Set when a failover pool returns to its preferred instance: never, when-idle, immediate, or "at HH:MM".',
  )
    .option('--zone <zone>', "time zone of HH:MM, such as Europe/Berlin (default: the gateway's)")
    .action((pool: string, policy: string, { zone, ...flags }: ChangeFlags & { readonly zone?: string }) =>
      change<FailbackPolicy>(
        context,
        flags,
        `${poolPath(pool)}/failback-policy`,
        { policy, zone },
        (set) => `failback: ${set.failback}${set.zone === null ? '' : ` ${set.zone}`}`,
        'PUT',
      ),
    );
  changeCommand(
    admin,
    'rebalance <pool>',
    'For some hours, let agents of a sticky pool who have logged off move to instances with fewer agents as they log on again. Agents who have not logged off, or have sent a request since, stay.',
  )
    .option(
      '--deadline <when>',
      'when it ends: a duration such as 30m, or a time such as 2026-03-01T22:00:00Z (default: 12h)',
    )
    .option('--end', 'end it now')
    .action((pool: string, { deadline, end, ...flags }: ChangeFlags & RebalanceFlags) =>
      change<Rebalanced>(
        context,
        flags,
        `${poolPath(pool)}/rebalance`,
        { deadline, end },
        ({ until }, look) =>
          until === null
            ? `agents of ${printable(pool)} stay where they are as they log on again`
            : `agents of ${printable(pool)} move as they log on again, until ${since(until, look)}`,
      ),
    );
  changeCommand(
    admin,
    'adopt-config <pool>',
    'Make the configuration of this gateway the agreed one for all gateways of the pool. Gateways that would send agents elsewhere stop serving the pool until they are restarted with it.',
  ).action((pool: string, flags: ChangeFlags) =>
    change(
      context,
      flags,
      `${poolPath(pool)}/adopt-config`,
      {},
      () => `all gateways of ${printable(pool)} act by the configuration of this one`,
    ),
  );
}

/** The gateway finds the preferred one itself. */
async function anyInstance({ env }: AdminContext, flags: ReadFlags, pool: string): Promise<string> {
  const { body } = await askAdmin<GatewayStatus>(flags, { method: 'GET', path: '/status' }, env);
  return body.pools.find(({ name }) => name === pool)?.instances[0]?.id ?? 'any';
}

function activeText({ active, since: from }: Active, look: Look): string {
  return `${printable(active)} is active since ${since(from, look)}`;
}
