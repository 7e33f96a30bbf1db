import { areMoreLogons, isAppended, isWiderPattern } from '../core/naming-rules.ts';
import type { RestartName } from './option.ts';
import type { Config } from './schema.ts';

/** Agents are bound again, most likely to other instances. */
export interface Rebinds {
  readonly why: string;
  /** What gateways agreed on is lost too, such as the active instance of a failover pool. */
  readonly losesView: boolean;
}

/** Why an option cannot change while old and new workers run side by side. */
export interface Restart {
  /** Completes "… needs a restart, because …". */
  readonly because: string;
  /** Set if bindings do not survive the restart. */
  readonly rebinds?: Rebinds;
  /** Changes for which a reload is enough all the same; a text says why. */
  readonly unless?: (before: Config, after: Config) => boolean | string;
}

const NAMES_MORE = 'it can only name requests that named no agent before';
const TWO_NAMES =
  'old and new workers would know one agent under different names, and could bind the agent to two instances';

interface Widening {
  /** Whether requests that named an agent keep that name. */
  readonly isWider: (before: Config['identity'], after: Config['identity']) => boolean;
  /** What operators may change without a restart. */
  readonly only: string;
  readonly because?: string;
}

function otherNames({
  isWider = () => false,
  only = '',
  because = NAMES_MORE,
}: Partial<Widening> = {}): Restart {
  return {
    because: only === '' ? TWO_NAMES : `${TWO_NAMES}; a reload can only ${only}`,
    rebinds: { why: 'agents may be known under other names', losesView: false },
    unless: (before, after) => {
      if (!hasPool(before, after, ({ mode }) => mode === 'sticky')) return true;
      return isWider(before.identity, after.identity) && because;
    },
  };
}

const WIDER_PATTERN = 'remove the pattern, or continue it with "|"';

const OTHER_STORE: Restart = {
  because: 'bindings stay in the old store, so agents could be bound in both stores at the same time',
  rebinds: { why: 'bindings stay in the old store', losesView: true },
};

/** The reasons that options of the schema name. */
export const RESTARTS: Readonly<Record<RestartName, Restart>> = {
  agentNames: otherNames(),
  bodyPattern: otherNames({
    isWider: (before, after) => isWiderPattern(before.userPattern.body, after.userPattern.body),
    only: WIDER_PATTERN,
  }),
  clientAddress: {
    because:
      'old and new workers would see one client under two addresses, and agents that are bound by address could reach two instances',
    rebinds: { why: 'clients may be known by other addresses', losesView: false },
    unless: (before, after) => !hasPool(before, after, ({ anonymous }) => anonymous === 'address'),
  },
  cluster: otherNodes('cluster'),
  headerPattern: otherNames({
    isWider: (before, after) => isWiderPattern(before.userPattern.header, after.userPattern.header),
    only: WIDER_PATTERN,
  }),
  logons: otherNames({
    isWider: (before, after) => areMoreLogons(before.logon, after.logon),
    only: 'add operations to a list that has some',
    because: 'it joins names of one agent, and parts none',
  }),
  userElements: otherNames({
    isWider: (before, after) => isAppended(before.userElements, after.userElements),
    only: 'add elements at the end, behind all that are there or by default; so keep a misspelt element, which finds nothing, and add the right one behind it',
  }),
  embeddedStore: { ...OTHER_STORE, unless: (before, after) => !usesStore(before, after, 'embedded') },
  instanceUrl: {
    because:
      'old workers would send to the old address and new ones to the new, and if those are two connectors one agent could reach both; a reload can remove the instance and add the new address under another id',
  },
  lease: {
    because:
      'workers could still act on the old lease when the store, with the new one, treats this gateway as dead',
  },
  listenerTls: {
    because: 'until the last worker is replaced, some connections would use TLS and others would not',
  },
  poolMode: {
    because:
      'old workers would send agents to the active instance and new workers to the instance of each agent, so one agent could reach two',
  },
  proxyHeader: {
    because:
      'until the last worker is replaced, some workers would expect the header of the PROXY protocol and others would not',
    unless: ({ listen: before }, { listen: after }) =>
      before.proxyProtocol !== 'off' && after.proxyProtocol !== 'off',
  },
  redis: { ...OTHER_STORE, unless: (before, after) => !usesStore(before, after, 'redis') },
  redisUrl: {
    ...OTHER_STORE,
    unless: (before, after) => {
      const target = targetOf(before.affinity.redis?.url);
      const isSame = target !== undefined && target === targetOf(after.affinity.redis?.url);
      return isSame || !usesStore(before, after, 'redis');
    },
  },
  replicaName: {
    because: 'the gateway keeps its name among the others, and its lease, through a reload',
  },
  sentinels: otherNodes('sentinels'),
  singleProcess: {
    because: 'a single process holds no ports for its successor, and a supervisor cannot become a worker',
    unless: (before, after) => before.workers > 0 && after.workers > 0,
  },
  store: OTHER_STORE,
};

// Nodes of one installation change one at a time; if none stays, it may be another installation.
function otherNodes(list: 'sentinels' | 'cluster'): Restart {
  return {
    ...OTHER_STORE,
    unless: (before, after) => {
      const nodes = before.affinity.redis?.[list] ?? [];
      const isSame = after.affinity.redis?.[list]?.some((node) => nodes.includes(node)) === true;
      return isSame || !usesStore(before, after, 'redis');
    },
  };
}

function hasPool(before: Config, after: Config, such: (pool: Config['pools'][number]) => boolean): boolean {
  return before.pools.some(such) || after.pools.some(such);
}

function usesStore(before: Config, after: Config, store: Config['affinity']['store']): boolean {
  return before.affinity.store === store || after.affinity.store === store;
}

/** Host and database. If these stay, it is the same Redis, whatever else the URL says. */
function targetOf(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
