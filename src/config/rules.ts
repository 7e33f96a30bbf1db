import type { Path } from './problem.ts';
import type { CheckContext, Rule } from './rule.ts';
import { instancesAreOthers } from './rules-addresses.ts';
import { ADMIN_RULES } from './rules-admin.ts';
import {
  clientTls,
  groupsFit,
  instanceTls,
  listenerFiles,
  maintenancePage,
  redisCredentials,
  sapControlPasswords,
  sapControlSocket,
} from './rules-files.ts';
import { IDENTITY_RULES } from './rules-identity.ts';
import { peersFit } from './rules-peers.ts';
import { secretsArePrivate } from './rules-secrets.ts';
import type { Config, InstanceConfig, PoolConfig, RedisConfig } from './schema.ts';
import { formatDuration, formatSize } from './units.ts';

/**
 * The rules that a schema cannot express, because they concern several options together or files. `checks.ts` runs
 * them: these once, those below once for each pool and each instance.
 */
export const CONFIG_RULES: readonly Rule<Config>[] = [
  {
    reads: [
      ['listen', 'address'],
      ['admin', 'address'],
    ],
    check: addressesDiffer,
  },
  {
    reads: [
      ['listen', 'address'],
      ['admin', 'address'],
      ['sapcontrol'],
      ['peers'],
      ['pools', '*', 'instances', '*', 'url'],
      ['pools', '*', 'health', 'port'],
    ],
    check: instancesAreOthers,
  },
  { reads: [['listen', 'tls']], check: listenerFiles },
  {
    reads: [
      ['listen', 'proxyProtocol'],
      ['listen', 'proxyProtocolFrom'],
      ['listen', 'address'],
    ],
    check: proxyProtocolHasSources,
  },
  {
    reads: [['peers'], ['listen', 'address'], ['admin', 'address'], ['affinity', 'store']],
    check: peersFit,
  },
  { reads: [['maintenance', 'pageFile']], check: maintenancePage },
  {
    reads: [['listen', 'address'], ['admin', 'address'], ['sapcontrol']],
    check: sapControl,
  },
  { reads: [['pools', '*', 'name']], check: poolNamesDiffer },
  { reads: [['pools', '*', 'match']], check: matchesDiffer },
  {
    reads: [
      ['affinity', 'store'],
      ['affinity', 'redis'],
    ],
    check: storeHasRedis,
  },
  { reads: [['affinity', 'redis']], check: redis },
  ...IDENTITY_RULES,
  {
    reads: [
      ['coordination', 'lease'],
      ['affinity', 'redis'],
      ['pools', '*', 'rebalance'],
    ],
    check: leaseOutlastsCommands,
  },
  {
    reads: [
      ['timeouts', 'park'],
      ['timeouts', 'total'],
    ],
    check: withinTotal('park'),
  },
  {
    reads: [
      ['timeouts', 'connect'],
      ['timeouts', 'total'],
    ],
    check: withinTotal('connect'),
  },
  {
    reads: [
      ['limits', 'identityBytes'],
      ['limits', 'bodyBytes'],
    ],
    check: identityFitsBody,
  },
  { reads: [['lifecycle'], ['timeouts', 'total']], check: stopOutlastsRequests },
  { reads: [], check: secretsArePrivate },
  ...ADMIN_RULES,
];

export const POOL_RULES: readonly Rule<PoolConfig>[] = [
  { reads: [['instances', '*', 'id']], check: instanceIdsDiffer },
  { reads: [['instances', '*', 'url']], check: instanceUrlsDiffer },
  { reads: [['mode'], ['instances', '*', 'weight']], check: someWeight },
  { reads: [['mode'], ['balancer']], check: isUsedIn('sticky', 'balancer') },
  { reads: [['mode'], ['rebalance']], check: isUsedIn('sticky', 'rebalance') },
  { reads: [['mode'], ['failback']], check: isUsedIn('failover', 'failback') },
  { reads: [['mode'], ['failbackZone']], check: isUsedIn('failover', 'failbackZone') },
  { reads: [['mode'], ['idleAfter']], check: isUsedIn('failover', 'idleAfter') },
  {
    reads: [
      ['health', 'incarnation'],
      ['health', 'incarnationPointer'],
    ],
    check: oneIncarnation,
  },
  { reads: [['health', 'headers']], check: probeHeadersAreOperators },
  { reads: [['quarantine'], ['health']], check: quarantineEnds },
  { reads: [['mode'], ['groups'], ['instances', '*', 'maxAgents']], check: groupsFit },
  {
    reads: [
      ['health', 'interval'],
      ['health', 'fastInterval'],
    ],
    check: fastIsFaster,
  },
];

export const INSTANCE_RULES: readonly Rule<InstanceConfig>[] = [
  { reads: [['url'], ['tls']], check: instanceSpeaksTls },
  { reads: [['id'], ['tls']], check: instanceTls },
];

function addressesDiffer(config: Config, _: Path, { error }: CheckContext): void {
  const { address } = config.admin;
  if (address === config.listen.address && !address.endsWith(':0'))
    error(['admin', 'address'], `is ${address}, the same as listen.address; use another port`);
}

function proxyProtocolHasSources({ listen }: Config, _: Path, { error, warn }: CheckContext): void {
  const { proxyProtocol, proxyProtocolFrom } = listen;
  const path: Path = ['listen', 'proxyProtocolFrom'];
  if (proxyProtocol === 'off') {
    if (proxyProtocolFrom.length > 0)
      warn(path, 'has no effect while proxyProtocol is off; set proxyProtocol to accept or require');
    return;
  }
  if (proxyProtocolFrom.length === 0)
    error(path, `is empty, but proxyProtocol is ${proxyProtocol}; list the networks of the balancers`);
  if (proxyProtocolFrom.some((network) => network.endsWith('/0')))
    warn(
      path,
      'contains every address, so any client can pose as any other; list only the networks of the balancers',
    );
}

// A path in `sockaddr_un` has 108 bytes, and the socket is first bound under a longer name.
const MOST_SOCKET_BYTES = 98;

function sapControl({ listen, admin, sapcontrol }: Config, _: Path, context: CheckContext): void {
  if (sapcontrol === undefined) return;
  const { error } = context;
  const { address, socket } = sapcontrol;
  for (const [option, taken] of [
    ['listen', listen.address],
    ['admin', admin.address],
  ]) {
    if (address === taken && !address.endsWith(':0'))
      error(['sapcontrol', 'address'], `is ${address}, the same as ${option}.address; use another port`);
  }
  if (Buffer.byteLength(socket) > MOST_SOCKET_BYTES)
    error(['sapcontrol', 'socket'], `is longer than ${MOST_SOCKET_BYTES} bytes; use a shorter path`);
  else sapControlSocket(sapcontrol, context);
  sapControlPasswords(sapcontrol, context);
}

function poolNamesDiffer({ pools }: Config, _: Path, { error }: CheckContext): void {
  for (const [index, first] of repeats(pools.map((pool) => pool.name)))
    error(['pools', index, 'name'], `is also the name of pools[${first}]; give each pool its own name`);
}

/** Finds pools that match the same requests: each pair of host and path belongs to one pool. */
function matchesDiffer({ pools }: Config, _: Path, { error }: CheckContext): void {
  const claims = new Map<string, number>();
  for (const [index, { match }] of pools.entries()) {
    for (const host of match.hosts.length === 0 ? ['*'] : match.hosts) {
      for (const path of match.paths) {
        const claim = `${host} ${path}`;
        const first = claims.get(claim) ?? index;
        claims.set(claim, first);
        if (first === index) continue;
        const where = host === '*' ? `${path} of every host` : `${host}${path}`;
        const remedy = `as pools[${first}] does; use other hosts or paths`;
        error(['pools', index, 'match'], `matches ${where}, ${remedy}`);
      }
    }
  }
}

function storeHasRedis({ affinity }: Config, _: Path, { error, warn }: CheckContext): void {
  if (affinity.store === 'redis' && affinity.redis === undefined)
    error(
      ['affinity', 'redis'],
      'is missing, but store is redis; set affinity.redis.url, sentinels or cluster',
    );
  if (affinity.store === 'embedded' && affinity.redis !== undefined)
    warn(['affinity', 'redis'], 'has no effect while store is embedded; remove one of the two');
}

function redis({ affinity: { redis } }: Config, _: Path, context: CheckContext): void {
  if (redis === undefined) return;
  const path: Path = ['affinity', 'redis'];
  const { url: text, tls } = redis;
  const url = text === undefined ? undefined : new URL(text);
  redisAddress(redis, path, context);
  redisCredentials(redis, url, path, context);
  if (tls === undefined) return;
  if (url !== undefined && url.protocol !== 'rediss:') plainUrl(context, [...path, 'tls'], 'rediss');
  clientTls(tls, [...path, 'tls'], 'Redis', context);
}

function redisAddress(redis: RedisConfig, path: Path, { error }: CheckContext): void {
  const [first, second] = (['url', 'sentinels', 'cluster'] as const).filter(
    (option) => redis[option] !== undefined,
  );
  if (first === undefined) error(path, 'has no server address; set url, sentinels or cluster');
  if (second !== undefined)
    error([...path, second], `is set, and so is ${first}; remove one of the two, because each names a Redis`);
  if (redis.sentinels !== undefined && redis.masterName === undefined)
    error(
      [...path, 'masterName'],
      'is missing, but sentinels are set; set the name of the master at the Sentinels',
    );
  if (redis.sentinels !== undefined) return;
  for (const option of ['masterName', 'sentinelUsername', 'sentinelPasswordFile'] as const) {
    if (redis[option] !== undefined)
      error([...path, option], 'has no effect without sentinels; set them, or remove it');
  }
}

function leaseOutlastsCommands(
  { affinity: { redis }, coordination: { lease }, pools }: Config,
  _: Path,
  { warn, error }: CheckContext,
): void {
  const third = Math.floor(lease / 3);
  if (redis === undefined || redis.commandTimeout <= third) return;
  const at = ['affinity', 'redis', 'commandTimeout'];
  const problem = longer(redis.commandTimeout, 'a third of coordination.lease', third);
  // The other gateways do not know this gateway's time-out, and rely on this limit.
  if (pools.some(({ rebalance }) => rebalance === 'logon'))
    error(
      at,
      `${problem}, or agents could move before this gateway knows that they have logged off (rebalance)`,
    );
  else warn(at, `${problem}, or one slow answer can cost the lease`);
}

function withinTotal(part: 'park' | 'connect'): Rule<Config>['check'] {
  return ({ timeouts }, _, { error }) => {
    if (timeouts[part] > timeouts.total)
      error(['timeouts', part], longer(timeouts[part], 'total', timeouts.total));
  };
}

function identityFitsBody({ limits }: Config, _: Path, { error }: CheckContext): void {
  const { identityBytes, bodyBytes } = limits;
  if (identityBytes > bodyBytes)
    error(
      ['limits', 'identityBytes'],
      `is ${formatSize(identityBytes)}, more than bodyBytes (${formatSize(bodyBytes)}); make it smaller`,
    );
}

function stopOutlastsRequests({ lifecycle, timeouts }: Config, _: Path, { error, warn }: CheckContext): void {
  const { statusPollInterval, shutdownTimeout } = lifecycle;
  if (statusPollInterval > shutdownTimeout)
    error(
      ['lifecycle', 'statusPollInterval'],
      longer(statusPollInterval, 'shutdownTimeout', shutdownTimeout),
    );
  else if (statusPollInterval + timeouts.total > shutdownTimeout)
    warn(
      ['lifecycle', 'shutdownTimeout'],
      `is ${formatDuration(shutdownTimeout)}, shorter than statusPollInterval and timeouts.total together (${formatDuration(statusPollInterval + timeouts.total)}), so a stop can cut off requests; make it longer`,
    );
}

function instanceIdsDiffer({ instances }: PoolConfig, at: Path, { error }: CheckContext): void {
  for (const [index, first] of repeats(instances.map((instance) => instance.id)))
    error(
      [...at, 'instances', index, 'id'],
      `is also the id of instances[${first}]; give each instance its own id`,
    );
}

function instanceUrlsDiffer({ instances }: PoolConfig, at: Path, { warn }: CheckContext): void {
  for (const [index, first] of repeats(instances.map((instance) => instance.url)))
    warn(
      [...at, 'instances', index, 'url'],
      `is also the url of instances[${first}]; a connector cannot take over from itself, so remove one of the two`,
    );
}

function someWeight({ mode, instances }: PoolConfig, at: Path, { error }: CheckContext): void {
  if (mode === 'sticky' && instances.every((instance) => instance.weight === 0))
    error(
      [...at, 'instances'],
      'have no weight above 0, so no new agent can be placed; set a weight for at least one',
    );
}

function isUsedIn(
  mode: PoolConfig['mode'],
  option: 'balancer' | 'rebalance' | 'failback' | 'failbackZone' | 'idleAfter',
): Rule<PoolConfig>['check'] {
  return (pool, at, { given, warn }) => {
    if (pool.mode !== mode && given([...at, option]))
      warn([...at, option], `has no effect in a ${pool.mode} pool; remove it, or set mode to ${mode}`);
  };
}

function oneIncarnation({ health }: PoolConfig, at: Path, { error }: CheckContext): void {
  if (health.incarnation !== undefined && health.incarnationPointer !== undefined)
    error([...at, 'health', 'incarnationPointer'], 'is set, and so is incarnation; remove one of the two');
}

/** What the gateway writes itself, or what belongs to the connection. */
const PROBE_FIELDS: ReadonlySet<string> = new Set([
  ...['connection', 'content-length', 'expect', 'keep-alive', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade', 'via'],
]);

function probeHeadersAreOperators({ health }: PoolConfig, at: Path, { error }: CheckContext): void {
  for (const [index, { name }] of health.headers.entries()) {
    const lower = name.toLowerCase();
    const path = [...at, 'health', 'headers', index, 'name'];
    if (lower === 'host') error(path, `is ${name}; set health.host instead`);
    else if (PROBE_FIELDS.has(lower)) error(path, `is ${name}, which the gateway sets itself; remove it`);
  }
  for (const [index, first] of repeats(health.headers.map(({ name }) => name.toLowerCase())))
    error(
      [...at, 'health', 'headers', index, 'name'],
      `is ${health.headers[index]?.name}, as in headers[${first}]; remove one of the two`,
    );
}

function quarantineEnds({ quarantine, health }: PoolConfig, at: Path, { warn }: CheckContext): void {
  const { incarnation, incarnationPointer, emptyMatches } = health;
  const canTell = [incarnation, incarnationPointer, emptyMatches].some((option) => option !== undefined);
  if (quarantine === 'always' && !canTell)
    warn(
      [...at, 'quarantine'],
      'is always, but no option finds its end on the health page, so every instance that comes back waits for an operator; set health.incarnation or health.emptyMatches',
    );
}

function fastIsFaster(
  { health: { fastInterval, interval } }: PoolConfig,
  at: Path,
  { error }: CheckContext,
): void {
  if (fastInterval > interval)
    error([...at, 'health', 'fastInterval'], longer(fastInterval, 'interval', interval));
}

function instanceSpeaksTls({ url, tls }: InstanceConfig, at: Path, context: CheckContext): void {
  if (tls !== undefined && !url.startsWith('https:')) plainUrl(context, [...at, 'tls'], 'https');
}

function plainUrl({ error }: CheckContext, path: Path, scheme: string): void {
  error(
    path,
    `has no effect, because the url does not start with ${scheme}://; change the url, or remove tls`,
  );
}

function longer(ms: number, bound: string, boundMs: number): string {
  return `is ${formatDuration(ms)}, longer than ${bound} (${formatDuration(boundMs)}); make it shorter`;
}

/** Positions of values that occur earlier too, each with that first position. */
function repeats(values: readonly string[]): [index: number, first: number][] {
  return values
    .map((value, index): [number, number] => [index, values.indexOf(value)])
    .filter(([index, first]) => first < index);
}
