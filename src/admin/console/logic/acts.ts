import type { Role } from '../../../core/role.ts';
import type { GatewayStatus } from '../data/contract.ts';
import { shellWord } from './text.ts';

/** An act of an operator, as its button, its request, its command and its end describe it. */
export type Verb =
  | 'enable'
  | 'drain'
  | 'disable'
  | 'release'
  | 'activate'
  | 'failback'
  | 'failback-policy'
  | 'rebalance'
  | 'rebalance-end'
  | 'adopt-config'
  | 'move'
  | 'forget'
  | 'maintenance-on'
  | 'maintenance-off'
  | 'stop'
  | 'restart'
  | 'reload';

export interface Act {
  readonly verb: Verb;
  /** `''` for an act that concerns this gateway only. */
  readonly pool: string;
  /** The instance concerned, or the one that an agent is moved to. */
  readonly instance: string;
  readonly agent?: { readonly kind: string; readonly name: string };
}

/** What the operator fills in beside the reason; `''` is not sent. */
export type Fields = Readonly<Partial<Record<FieldName, string>>>;
export type FieldName = 'deadline' | 'until' | 'softTimeout' | 'policy' | 'zone' | 'instance';

export interface ActRequest {
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Kind {
  readonly button: string;
  /** Completes "… pool ici". */
  readonly title: (act: Act, fields: Fields) => string;
  readonly fields: readonly FieldName[];
  readonly role: Role;
}

const ofInstance =
  (verb: string) =>
  ({ pool, instance }: Act): string =>
    `${verb} instance ${instance} of pool ${pool}`;
const ofPool =
  (text: string) =>
  ({ pool }: Act): string =>
    `${text} of pool ${pool}`;
const agentOf = ({ agent }: Act): string => agent?.name ?? '';

export const ACTS: Readonly<Record<Verb, Kind>> = {
  enable: { button: 'Enable', title: ofInstance('Enable'), fields: [], role: 'operator' },
  drain: { button: 'Drain', title: ofInstance('Drain'), fields: ['deadline'], role: 'operator' },
  disable: { button: 'Disable', title: ofInstance('Disable'), fields: [], role: 'operator' },
  release: { button: 'Release', title: ofInstance('Release from quarantine:'), fields: [], role: 'operator' },
  activate: { button: 'Activate', title: ofInstance('Activate'), fields: [], role: 'operator' },
  failback: {
    button: 'Fail back',
    title: ofPool('Return to the preferred instance'),
    fields: [],
    role: 'operator',
  },
  'failback-policy': {
    button: 'Set failback policy',
    title: ofPool('Set the failback policy'),
    fields: ['policy', 'zone'],
    role: 'admin',
  },
  rebalance: {
    button: 'Rebalance',
    title: ({ pool }) => `Rebalance pool ${pool}`,
    fields: ['until'],
    role: 'operator',
  },
  'rebalance-end': {
    button: 'End rebalancing',
    title: ({ pool }) => `End the rebalancing of pool ${pool}`,
    fields: [],
    role: 'operator',
  },
  'adopt-config': {
    button: 'Adopt this configuration',
    title: ofPool('Make the configuration of this gateway the agreed one'),
    fields: [],
    role: 'admin',
  },
  move: {
    button: 'Move',
    title: (act, { instance }) =>
      `Move ${agentOf(act)} to ${instance ? `instance ${instance}` : 'another instance'}`,
    fields: ['instance'],
    role: 'operator',
  },
  forget: {
    button: 'Forget',
    title: (act) => `Forget where ${agentOf(act)} is bound`,
    fields: [],
    role: 'operator',
  },
  'maintenance-on': {
    button: 'Begin maintenance',
    title: () => 'Begin maintenance of this gateway',
    fields: [],
    role: 'operator',
  },
  'maintenance-off': {
    button: 'End maintenance',
    title: () => 'End maintenance of this gateway',
    fields: [],
    role: 'operator',
  },
  stop: { button: 'Stop softly', title: () => 'Stop this gateway', fields: ['softTimeout'], role: 'admin' },
  restart: {
    button: 'Restart',
    title: () => 'Replace the processes of this gateway one by one',
    fields: [],
    role: 'admin',
  },
  reload: {
    button: 'Reload',
    title: () => 'Reload the configuration of this gateway',
    fields: [],
    role: 'admin',
  },
};

const encode = encodeURIComponent;
const given = (fields: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => Boolean(entry[1]?.trim())),
  );

function agentBody({ agent }: Act): Readonly<Record<string, string>> {
  return agent?.kind === 'session' ? { session: agent.name } : { agent: agent?.name ?? '' };
}

/** @param view the id of the view that the operator saw; the gateway refuses the act if it has changed */
export function requestOf(act: Act, fields: Fields, why: string, view: string | undefined): ActRequest {
  const { verb, pool, instance } = act;
  const path = `/pools/${encode(pool)}`;
  const base = { why, ...(view === undefined ? {} : { ifView: view }) };
  const post = (to: string, body: Readonly<Record<string, unknown>> = {}): ActRequest => ({
    method: 'POST',
    path: to,
    body: { ...base, ...body },
  });
  switch (verb) {
    case 'enable':
    case 'drain':
    case 'disable':
    case 'release':
      return post(`${path}/instances/${encode(instance)}/${verb}`, given({ deadline: fields.deadline }));
    case 'activate':
      return post(`${path}/activate`, { instance });
    case 'failback':
    case 'adopt-config':
      return post(`${path}/${verb}`);
    case 'rebalance':
      return post(`${path}/rebalance`, given({ deadline: fields.until }));
    case 'rebalance-end':
      return post(`${path}/rebalance`, { end: true });
    case 'failback-policy':
      return {
        method: 'PUT',
        path: `${path}/failback-policy`,
        body: { ...base, ...given({ policy: fields.policy, zone: fields.zone }) },
      };
    case 'move':
      return post(`${path}/agents/move`, { ...agentBody(act), instance: fields.instance ?? '' });
    case 'forget':
      return post(`${path}/agents/forget`, agentBody(act));
    case 'maintenance-on':
    case 'maintenance-off':
      return post('/maintenance', { on: verb === 'maintenance-on' });
    case 'stop':
      return post('/stop', given({ softTimeout: fields.softTimeout }));
    case 'restart':
    case 'reload':
      return post(`/${verb}`);
  }
}

/** The same act for a terminal. @param admin the address of the admin port */
export function commandOf(act: Act, fields: Fields, why: string, admin: string): string {
  return command([...wordsOf(act, fields), '--why', why === '' ? 'REASON' : why], admin);
}

/** `ici-gateway` with these words, for a terminal. */
export function command(words: readonly string[], admin: string): string {
  return ['ici-gateway', ...words, '--admin', admin].map(shellWord).join(' ');
}

function wordsOf({ verb, pool, instance, agent }: Act, fields: Fields): readonly string[] {
  const option = (flag: string, value: string | undefined): string[] =>
    value === undefined || value.trim() === '' ? [] : [flag, value];
  const name = agent?.name ?? '';
  const session = agent?.kind === 'session' ? ['--session'] : [];
  switch (verb) {
    case 'enable':
    case 'drain':
    case 'disable':
    case 'release':
    case 'activate':
      return ['admin', verb, pool, instance, ...option('--deadline', fields.deadline)];
    case 'failback':
    case 'adopt-config':
      return ['admin', verb, pool];
    case 'rebalance':
      return ['admin', 'rebalance', pool, ...option('--deadline', fields.until)];
    case 'rebalance-end':
      return ['admin', 'rebalance', pool, '--end'];
    case 'failback-policy':
      return ['admin', verb, pool, fields.policy ?? '', ...option('--zone', fields.zone)];
    case 'move':
      return ['admin', 'move', pool, name, fields.instance || 'INSTANCE', ...session];
    case 'forget':
      return ['admin', 'forget', pool, name, ...session];
    case 'maintenance-on':
      return ['admin', 'maintenance', 'on'];
    case 'maintenance-off':
      return ['admin', 'maintenance', 'off'];
    case 'stop':
      return ['admin', 'stop', ...option('--soft-timeout', fields.softTimeout)];
    case 'restart':
      return ['restart', '--rolling'];
    case 'reload':
      return ['reload'];
  }
}

/** Where the gateway computes what an act would cost now; `undefined` if {@link localConsequence} knows. */
export function consequencePath({ verb, pool, instance }: Act): string | undefined {
  if (instance === '' || !CONSEQUENCES.has(verb)) return undefined;
  return `/pools/${encode(pool)}/instances/${encode(instance)}/consequence?act=${verb}`;
}

const CONSEQUENCES: ReadonlySet<Verb> = new Set([
  'disable',
  'drain',
  'enable',
  'release',
  'activate',
  'failback',
]);

/** Whether a status shows that the act is done; `undefined` if no status can show it. */
export function isDone({ verb }: Act, { state }: Pick<GatewayStatus, 'state'>): boolean | undefined {
  if (verb === 'maintenance-on') return state === 'Maintenance';
  if (verb === 'maintenance-off') return state !== 'Maintenance';
  if (verb === 'stop') return state === 'Stopping' || state === 'Draining' || state === 'Stopped';
  return undefined;
}
