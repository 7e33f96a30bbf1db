import type { Command } from 'commander';
import type { Alarm, GatewayStatus, InstanceStatus, PoolStatus } from '../../core/gateway-status.ts';
import { askAdmin } from './client.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { EXIT_NO, readCommand } from './context.ts';
import type { DrainAnswer } from './drain.ts';
import { drainPath, whyText } from './drain.ts';
import type { Colour, Column, Look } from './present.ts';
import { counted, NONE, printable, show, since, table } from './present.ts';

/** Gateways of earlier releases list no alarms. */
type Status = Omit<GatewayStatus, 'alarms'> & Partial<Pick<GatewayStatus, 'alarms'>>;

export function addStatus(admin: Command, context: AdminContext): void {
  readCommand(admin, 'status', 'Show the state of the gateway, its pools and instances.').action(
    async (flags: ReadFlags) => {
      const { env, output } = context;
      const { body } = await askAdmin<Status>(flags, { method: 'GET', path: '/status' }, env);
      const isForPeople = output.terminal !== undefined && flags.json !== true;
      const drains = isForPeople ? await drainsOf(body, context, flags) : [];
      show(output, flags, body, (status, look) => statusText(status, drains, look));
    },
  );
  readCommand(
    admin,
    'alarms',
    'Show what is wrong, since when, and what to do. The exit code is 3 if there is anything.',
  ).action(async (flags: ReadFlags) => {
    const { env, output, exitWith } = context;
    const { body } = await askAdmin<Status>(flags, { method: 'GET', path: '/status' }, env);
    if (body.alarms === undefined)
      throw new Error(`the gateway (${body.version}) does not list alarms; ask one of this release`);
    show(output, flags, { alarms: body.alarms }, ({ alarms }, look) => alarmsText(alarms, look));
    if (body.alarms.length > 0) exitWith(EXIT_NO);
  });
}

interface Drain {
  readonly pool: string;
  readonly answer: DrainAnswer;
}

/** What the status does not tell of the instances that drain. */
async function drainsOf(
  { pools }: Status,
  { env }: AdminContext,
  flags: ReadFlags,
): Promise<readonly Drain[]> {
  const asked = pools.flatMap(({ name: pool, instances }) =>
    instances
      .filter(({ admin, boundAgents }) => admin === 'draining' && boundAgents > 0)
      .map(async ({ id }): Promise<Drain[]> => {
        const question = { method: 'GET', path: drainPath(pool, id), query: { limit: 1 } } as const;
        try {
          return [{ pool, answer: (await askAdmin<DrainAnswer>(flags, question, env)).body }];
        } catch {
          // The store may be away. The status is shown all the same.
          return [];
        }
      }),
  );
  return (await Promise.all(asked)).flat();
}

function statusText(status: Status, drains: readonly Drain[], look: Look): string {
  const { replica, version, state, startedAt, pools, alarms, shared } = status;
  const head = [
    printable(replica),
    look.paint(state === 'Running' ? 'green' : 'yellow', state),
    version,
    `started ${since(startedAt, look)}`,
  ].join('  ');
  return [
    head,
    // Missing from an earlier release.
    ...(shared === false ? ['embedded store, which no other gateway shares'] : []),
    ...(alarms === undefined ? [] : ['', alarmsText(alarms, look)]),
    ...pools.flatMap((pool) => [
      '',
      poolText(pool, look),
      ...drains.filter((drain) => drain.pool === pool.name).flatMap((drain) => drainLine(drain, look)),
    ]),
  ].join('\n');
}

function drainLine({ answer }: Drain, look: Look): string[] {
  const why = whyText(answer, look);
  return why === undefined ? [] : [look.paint('yellow', printable(`${answer.instance} drains: ${why}`))];
}

function alarmsText(alarms: readonly Alarm[], look: Look): string {
  if (alarms.length === 0) return look.paint('green', 'no alarms');
  return alarms.map((alarm) => alarmText(alarm, look)).join('\n');
}

function alarmText(alarm: Alarm, look: Look): string {
  const { severity, pool, instance, text, remedy, runbook } = alarm;
  const where = [pool, instance].filter((one) => one !== null).join('/');
  const word = look.paint(severity === 'critical' ? 'red' : 'yellow', severity.toUpperCase());
  const began = alarm.since === null ? '' : `  since ${since(alarm.since, look)}`;
  return [
    `${word}  ${printable(where === '' ? text : `${where}: ${text}`)}${began}`,
    `  ${printable(remedy)}  (deploy/RUNBOOK.md${runbook})`,
  ].join('\n');
}

function poolText(pool: PoolStatus, look: Look): string {
  const { name, mode, epoch, view, standing, parked, instances, active } = pool;
  const agents = instances.reduce((sum, { boundAgents }) => sum + boundAgents, 0);
  const parts = [
    look.paint('bold', `${printable(name)} (${mode})`),
    active === null ? '' : `${printable(active.instance)} is active since ${since(active.since, look)}`,
    `view ${epoch} ${view.effective ? 'in effect' : look.paint('yellow', 'not in effect yet')}`,
    look.paint(standing === 'leased' ? undefined : 'yellow', standing),
    mode === 'sticky' ? counted(agents, 'agent') : '',
    // Earlier releases do not tell.
    pool.rebalance == null ? '' : rebalanceText(pool.rebalance, look),
    parked === 0 ? '' : look.paint('yellow', `${counted(parked, 'request')} waiting`),
  ];
  // Earlier releases do not tell of groups.
  const hasGroups = instances.some(({ groups }) => groups != null);
  const columns = hasGroups ? INSTANCE_COLUMNS.toSpliced(3, 0, GROUPS_COLUMN) : INSTANCE_COLUMNS;
  return [
    parts.filter((part) => part !== '').join('  '),
    table(columns, instances, look),
    ...relayLines(pool).map((line) => look.paint('dim', printable(line))),
    // Missing from an earlier release.
    ...(pool.probes == null ? [] : [look.paint('dim', `health.profile: ${printable(pool.probes.text)}`)]),
    ...(hasGroups
      ? [look.paint('dim', `members of a group: ici-gateway admin agents ${printable(name)} --group NAME`)]
      : []),
  ].join('\n');
}

/** Nothing if no gateway takes requests of peers, and from an earlier release. */
function relayLines({ replicas, instances }: PoolStatus): string[] {
  const peers = replicas.flatMap(({ replica, relayAt }) =>
    relayAt == null ? [] : `${replica} at ${relayAt}`,
  );
  if (peers.length === 0) return [];
  const relayed = instances.flatMap(({ id, relays }) => {
    if (relays == null || (relays.sent === 0 && relays.taken === 0)) return [];
    return `${id}: ${counted(relays.sent, 'request')} to peers and ${relays.taken} from peers in 15 minutes`;
  });
  return [`relayed requests are taken by ${peers.join(', ')}`, ...relayed];
}

function rebalanceText({ until }: NonNullable<PoolStatus['rebalance']>, look: Look): string {
  const text = 'agents move as they log on again';
  return until === null ? text : `${text} until ${since(until, look)}`;
}

const INSTANCE_COLUMNS: readonly Column<InstanceStatus>[] = [
  { head: 'INSTANCE', cell: ({ id }) => id },
  { head: 'STATE', cell: stateWords, colour: stateColour },
  { head: 'AGENTS', cell: ({ boundAgents }) => String(boundAgents), right: true },
  { head: 'IN FLIGHT', cell: ({ inFlight }) => String(inFlight), right: true },
  { head: 'QUEUED', cell: ({ queued }) => String(queued), right: true },
  { head: 'STARTS', cell: ({ lives }) => String(lives), right: true },
  { head: 'URL', cell: ({ url }) => url },
  { head: 'CHANGED BY', cell: ({ act }) => (act === null ? NONE : `${act.by}: ${act.why}`) },
];

const GROUPS_COLUMN: Column<InstanceStatus> = { head: 'GROUPS', cell: ({ groups }) => groupsText(groups) };

/** The number of groups, their members, and the largest group. */
function groupsText(groups: InstanceStatus['groups'] | undefined): string {
  if (groups == null || groups.largest === null) return NONE;
  const { number, agents, largest } = groups;
  return `${number} of ${counted(agents, 'agent')}, largest ${largest.name} (${largest.agents})`;
}

function stateWords(instance: InstanceStatus): string {
  const { health, admin, active, quarantined, unreachableHere, cutOffHere, relays } = instance;
  return [
    health,
    admin === 'enabled' ? '' : admin,
    quarantined ? 'in quarantine' : '',
    cutOffHere ? 'cut off here' : unreachableHere ? 'unreachable here' : '',
    // Missing from an earlier release.
    relays?.active === true ? 'through peers' : '',
    active ? '' : 'standby',
  ]
    .filter((word) => word !== '')
    .join(', ');
}

function stateColour({ health, admin, quarantined, unreachableHere }: InstanceStatus): Colour | undefined {
  if (health === 'down') return 'red';
  return health === 'up' && admin === 'enabled' && !quarantined && !unreachableHere ? 'green' : 'yellow';
}
