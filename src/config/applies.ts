import type { Config } from './schema.ts';

/** Agents are bound anew, and most likely elsewhere. */
export interface Rebinds {
  readonly why: string;
  /** What was agreed is lost too, such as the active instance of a failover pool. */
  readonly losesView: boolean;
}

/** Why an option cannot change while old and new workers run side by side. */
export interface Restart {
  /** Completes "… needs a restart, because …". */
  readonly because: string;
  /** Where bindings do not outlive the restart either. */
  readonly rebinds?: Rebinds;
  /** Where it can all the same; without it nowhere. */
  readonly unless?: (before: Config, after: Config) => boolean;
}

/** `reload`: workers that replace others one by one bring it into effect. */
export type Rule = 'reload' | Restart;

// A list whose entries have names; any other list is one value.
type Named = { readonly id: string } | { readonly name: string; readonly instances: unknown };

type OptionsOf<T, Prefix extends string> = {
  [Key in keyof T & string]-?: OptionAt<
    NonNullable<T[Key]>,
    `${Prefix}${Key}`,
    undefined extends T[Key] ? true : false
  >;
}[keyof T & string];

type OptionAt<T, Path extends string, IsOptional> = T extends readonly (infer Item)[]
  ? Item extends Named
    ? `${Path}[]` | OptionsOf<Item, `${Path}[].`>
    : Path
  : T extends object
    ? OptionsOf<T, `${Path}.`> | (IsOptional extends true ? Path : never)
    : Path;

/** Every option, every section that may be left out, and every entry of a list of sections, named as in the reference. */
export type OptionPath = OptionsOf<Config, ''>;

const TWO_NAMES: Restart = {
  because:
    'old and new workers would know one agent under different names, and could bind him to two instances',
  rebinds: { why: 'agents may be known under other names', losesView: false },
  unless: (before, after) => !hasPool(before, after, ({ mode }) => mode === 'sticky'),
};

const TWO_ADDRESSES: Restart = {
  because:
    'old and new workers would take one client for two, and agents that are bound by address could reach two instances',
  rebinds: { why: 'clients may be known by other addresses', losesView: false },
  unless: (before, after) => !hasPool(before, after, ({ anonymous }) => anonymous === 'address'),
};

const OTHER_STORE: Restart = {
  because: 'the bindings stay behind in the old store, so agents could be bound in both at the same time',
  rebinds: { why: 'bindings stay behind in the old store', losesView: true },
};

const OTHER_REDIS: Restart = {
  ...OTHER_STORE,
  unless: (before, after) => !usesStore(before, after, 'redis'),
};

const OTHER_URL: Restart = {
  ...OTHER_STORE,
  unless: (before, after) => {
    const target = targetOf(before.affinity.redis?.url);
    const isSame = target !== undefined && target === targetOf(after.affinity.redis?.url);
    return isSame || !usesStore(before, after, 'redis');
  },
};

// The nodes of one installation change one at a time; where none stays it may be another one.
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

/**
 * What becomes of a change of each option in a running gateway. The type makes
 * a new option stand here before anything compiles.
 */
export const APPLIES: Readonly<Record<OptionPath, Rule>> = {
  'listen.address': 'reload',
  'listen.tls': {
    because: 'until the last worker is replaced some connections would meet TLS and others not',
  },
  'listen.tls.certFile': 'reload',
  'listen.tls.keyFile': 'reload',
  'listen.tls.clientCaFile': 'reload',
  'listen.proxyProtocol': {
    because:
      'until the last worker is replaced some connections would be read with the header of the PROXY protocol and others without',
    unless: ({ listen: before }, { listen: after }) =>
      before.proxyProtocol !== 'off' && after.proxyProtocol !== 'off',
  },
  'listen.proxyProtocolFrom': TWO_ADDRESSES,
  'admin.address': 'reload',
  'admin.tokenFile': 'reload',
  sapcontrol: 'reload',
  'sapcontrol.instanceNumber': 'reload',
  'sapcontrol.sid': 'reload',
  'sapcontrol.instanceName': 'reload',
  'sapcontrol.address': 'reload',
  'sapcontrol.socket': 'reload',
  'sapcontrol.passwordFile': 'reload',
  workers: {
    because: 'a single process keeps no ports open for its successors, and a supervisor cannot become one',
    unless: (before, after) => before.workers > 0 && after.workers > 0,
  },
  'pools[]': 'reload',
  'pools[].name': 'reload',
  'pools[].match.hosts': 'reload',
  'pools[].match.paths': 'reload',
  'pools[].mode': {
    because:
      'old workers would send agents to the active instance and new ones each to his own, so one agent could reach two',
  },
  'pools[].balancer': 'reload',
  'pools[].anonymous': 'reload',
  'pools[].connections': 'reload',
  'pools[].instances[]': 'reload',
  'pools[].instances[].id': 'reload',
  'pools[].instances[].url': {
    because:
      'old workers would send to the old address and new ones to the new, and if those are two connectors one agent could reach both; a reload can remove the instance and add the new address under another id',
  },
  'pools[].instances[].commonUrl': 'reload',
  'pools[].instances[].weight': 'reload',
  'pools[].instances[].priority': 'reload',
  'pools[].instances[].maxInFlight': 'reload',
  'pools[].instances[].admin': 'reload',
  'pools[].instances[].tls': 'reload',
  'pools[].instances[].tls.caFile': 'reload',
  'pools[].instances[].tls.certFile': 'reload',
  'pools[].instances[].tls.keyFile': 'reload',
  'pools[].instances[].tls.serverName': 'reload',
  'pools[].instances[].tls.verify': 'reload',
  'pools[].health.path': 'reload',
  'pools[].health.host': 'reload',
  'pools[].health.expectedStatus': 'reload',
  'pools[].health.bodyMatches': 'reload',
  'pools[].health.bodyRejects': 'reload',
  'pools[].health.interval': 'reload',
  'pools[].health.fastInterval': 'reload',
  'pools[].health.timeout': 'reload',
  'pools[].health.rise': 'reload',
  'pools[].health.fall': 'reload',
  'pools[].health.jitter': 'reload',
  'pools[].health.incarnation': 'reload',
  'pools[].health.incarnationPointer': 'reload',
  'pools[].health.emptyMatches': 'reload',
  'pools[].health.settleTimeout': 'reload',
  'pools[].failback': 'reload',
  'pools[].failbackZone': 'reload',
  'pools[].idleAfter': 'reload',
  'pools[].quarantine': 'reload',
  'pools[].countRestarts': 'reload',
  'pools[].sessionLost.answer': 'reload',
  'pools[].sessionLost.logonOperations': 'reload',
  'identity.order': TWO_NAMES,
  'identity.userHeader': TWO_NAMES,
  'identity.sessionCookie': TWO_NAMES,
  'identity.userElements': TWO_NAMES,
  'identity.sessionElements': TWO_NAMES,
  'identity.sessionLists': TWO_NAMES,
  'identity.elementMatch': TWO_NAMES,
  'identity.logon': TWO_NAMES,
  'identity.userPattern.header': TWO_NAMES,
  'identity.userPattern.body': TWO_NAMES,
  'identity.onUnreadable': 'reload',
  'identity.addressMask.ipv4': TWO_ADDRESSES,
  'identity.addressMask.ipv6': TWO_ADDRESSES,
  'affinity.store': OTHER_STORE,
  'affinity.idleLifetime': 'reload',
  'affinity.keyPrefix': OTHER_STORE,
  'affinity.cacheEntries': 'reload',
  'affinity.onStoreLoss': 'reload',
  'affinity.stateDir': {
    ...OTHER_STORE,
    unless: (before, after) => !usesStore(before, after, 'embedded'),
  },
  'affinity.redis': OTHER_REDIS,
  'affinity.redis.url': OTHER_URL,
  'affinity.redis.sentinels': otherNodes('sentinels'),
  'affinity.redis.masterName': OTHER_REDIS,
  'affinity.redis.sentinelUsername': 'reload',
  'affinity.redis.sentinelPasswordFile': 'reload',
  'affinity.redis.cluster': otherNodes('cluster'),
  'affinity.redis.username': 'reload',
  'affinity.redis.passwordFile': 'reload',
  'affinity.redis.confirmedBy': 'reload',
  'affinity.redis.commandTimeout': 'reload',
  'affinity.redis.connectTimeout': 'reload',
  'affinity.redis.tls': 'reload',
  'affinity.redis.tls.caFile': 'reload',
  'affinity.redis.tls.certFile': 'reload',
  'affinity.redis.tls.keyFile': 'reload',
  'affinity.redis.tls.serverName': 'reload',
  'affinity.redis.tls.verify': 'reload',
  'coordination.lease': {
    because:
      'workers may still act on the old lease when the store, by the new one, takes this gateway for dead',
  },
  'coordination.quorum': 'reload',
  'coordination.replica': {
    because: 'the gateway keeps its name towards the others, and its lease with it, through a reload',
  },
  'timeouts.connect': 'reload',
  'timeouts.responseHeader': 'reload',
  'timeouts.responseIdle': 'reload',
  'timeouts.total': 'reload',
  'timeouts.park': 'reload',
  'timeouts.requestHeader': 'reload',
  'timeouts.requestBody': 'reload',
  'timeouts.clientIdle': 'reload',
  'timeouts.instanceIdle': 'reload',
  'timeouts.resolve': 'reload',
  'timeouts.connectionAge': 'reload',
  'limits.headerBytes': 'reload',
  'limits.headers': 'reload',
  'limits.bodyBytes': 'reload',
  // Where it finds a name that was not found before, the agent was nobody's until then.
  'limits.identityBytes': 'reload',
  'limits.xmlDepth': TWO_NAMES,
  'limits.connections': 'reload',
  'limits.inFlight': 'reload',
  'limits.queued': 'reload',
  'limits.parked': 'reload',
  'forwarding.trustedProxies': TWO_ADDRESSES,
  'forwarding.untrusted': 'reload',
  'forwarding.host': 'reload',
  'forwarding.requestIdHeader': 'reload',
  'forwarding.via': 'reload',
  'faults.status': 'reload',
  'lifecycle.maxInitTime': 'reload',
  'lifecycle.statusPollInterval': 'reload',
  'lifecycle.shutdownTimeout': 'reload',
  'lifecycle.watchdogTimeout': 'reload',
  'maintenance.pageFile': 'reload',
  'maintenance.retryAfter': 'reload',
  'statePage.alwaysOk': 'reload',
  'statePage.prefixes': 'reload',
  'logging.level': 'reload',
  'logging.requests': 'reload',
  'logging.names': 'reload',
};

function hasPool(before: Config, after: Config, such: (pool: Config['pools'][number]) => boolean): boolean {
  return before.pools.some(such) || after.pools.some(such);
}

function usesStore(before: Config, after: Config, store: Config['affinity']['store']): boolean {
  return before.affinity.store === store || after.affinity.store === store;
}

/** Host and database: the same Redis, whoever asks it and however. */
function targetOf(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
