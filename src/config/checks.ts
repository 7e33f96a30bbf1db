import type { Finding, Path } from './problem.ts';
import type { ClientTlsConfig, Config, PoolConfig } from './schema.ts';
import { readClientTls, readListenerTls, readSecretFile, SecretUnreadable } from './secrets.ts';
import { formatDuration, formatSize } from './units.ts';

export interface CheckContext {
  readonly config: Config;
  /** True where somebody gave the option, false where it has its default. */
  given(path: Path): boolean;
  error(path: Path, message: string): void;
  warn(path: Path, message: string): void;
}

/** What a rule reads; `'*'` is every position of a list. */
type Reads = readonly Path[];

interface Rule {
  readonly reads: Reads;
  check(context: CheckContext): void;
}

/**
 * Checks what concerns several options at once, and the files that options
 * name. A rule is left out where an option that it reads is already known to be
 * wrong: it would speak of values that nobody meant.
 */
export function runChecks(context: CheckContext, wrong: readonly Finding[]): void {
  for (const rule of RULES) {
    const sound = wrong.every((finding) => rule.reads.every((path) => !overlaps(path, finding.path)));
    if (sound) rule.check(context);
  }
}

function overlaps(pattern: Path, path: Path): boolean {
  const length = Math.min(pattern.length, path.length);
  for (let i = 0; i < length; i++) {
    if (pattern[i] !== '*' && pattern[i] !== path[i]) return false;
  }
  return true;
}

const POOL: Path = ['pools', '*'];
const INSTANCE: Path = [...POOL, 'instances', '*'];

const RULES: readonly Rule[] = [
  {
    reads: [
      ['listen', 'address'],
      ['admin', 'address'],
    ],
    check: addressesDiffer,
  },
  { reads: [['listen', 'tls']], check: listenerTls },
  { reads: [[...POOL, 'name']], check: poolNamesDiffer },
  { reads: [[...POOL, 'match']], check: matchesDiffer },
  { reads: [[...INSTANCE, 'id']], check: instanceIdsDiffer },
  { reads: [[...INSTANCE, 'url']], check: instanceUrlsDiffer },
  {
    reads: [
      [...INSTANCE, 'url'],
      [...INSTANCE, 'id'],
      [...INSTANCE, 'tls'],
    ],
    check: instanceTls,
  },
  {
    reads: [
      [...POOL, 'mode'],
      [...INSTANCE, 'weight'],
    ],
    check: someWeight,
  },
  {
    reads: [
      [...POOL, 'mode'],
      [...POOL, 'balancer'],
    ],
    check: balancerIsUsed,
  },
  {
    reads: [
      [...POOL, 'health', 'interval'],
      [...POOL, 'health', 'fastInterval'],
    ],
    check: fastIsFaster,
  },
  {
    reads: [
      ['affinity', 'store'],
      ['affinity', 'redis'],
    ],
    check: storeHasRedis,
  },
  { reads: [['affinity', 'redis']], check: redis },
  {
    reads: [
      ['timeouts', 'park'],
      ['timeouts', 'total'],
    ],
    check: parkFitsTotal,
  },
  {
    reads: [
      ['timeouts', 'connect'],
      ['timeouts', 'total'],
    ],
    check: connectFitsTotal,
  },
  {
    reads: [
      ['limits', 'identityBytes'],
      ['limits', 'bodyBytes'],
    ],
    check: identityFitsBody,
  },
];

function addressesDiffer({ config, error }: CheckContext): void {
  const { address } = config.admin;
  if (address === config.listen.address && !address.endsWith(':0'))
    error(['admin', 'address'], `is ${address}, which listen.address has already; give another port`);
}

function poolNamesDiffer({ config, error }: CheckContext): void {
  differ(
    config.pools.map((pool) => pool.name),
    (index, first) =>
      error(['pools', index, 'name'], `is the name of pools[${first}] already; give each pool its own`),
  );
}

function instanceIdsDiffer({ config, error }: CheckContext): void {
  for (const [p, pool] of config.pools.entries()) {
    differ(
      pool.instances.map((instance) => instance.id),
      (index, first) =>
        error(
          ['pools', p, 'instances', index, 'id'],
          `is the id of instances[${first}] already; give each its own`,
        ),
    );
  }
}

function instanceUrlsDiffer({ config, warn }: CheckContext): void {
  for (const [p, pool] of config.pools.entries()) {
    differ(
      pool.instances.map((instance) => instance.url),
      (index, first) =>
        warn(
          ['pools', p, 'instances', index, 'url'],
          `is the url of instances[${first}] too; one connector counted twice cannot take over from itself`,
        ),
    );
  }
}

/** Two pools that want the same requests. Each pair of host and path is one claim. */
function matchesDiffer({ config, error }: CheckContext): void {
  const claims = new Map<string, number>();
  for (const [index, { match }] of config.pools.entries()) {
    for (const host of match.hosts.length === 0 ? ['*'] : match.hosts) {
      for (const path of match.paths) {
        const claim = `${host} ${path}`;
        const first = claims.get(claim);
        if (first === undefined) claims.set(claim, index);
        else if (first !== index) {
          const where = host === '*' ? `${path} of every host` : `${host}${path}`;
          error(
            ['pools', index, 'match'],
            `wants ${where}, which pools[${first}] has already; give it other hosts or paths`,
          );
        }
      }
    }
  }
}

function someWeight({ config, error }: CheckContext): void {
  eachPool(config, (pool, path) => {
    if (pool.mode === 'sticky' && pool.instances.every((instance) => instance.weight === 0))
      error(
        [...path, 'instances'],
        'have no weight above 0, so no new agent could be placed; give one a weight',
      );
  });
}

function balancerIsUsed({ config, given, warn }: CheckContext): void {
  eachPool(config, (pool, path) => {
    if (pool.mode === 'failover' && given([...path, 'balancer']))
      warn([...path, 'balancer'], 'has no effect in a failover pool; remove it, or set mode to sticky');
  });
}

function fastIsFaster({ config, error }: CheckContext): void {
  eachPool(config, ({ health }, path) => {
    if (health.fastInterval > health.interval)
      error(
        [...path, 'health', 'fastInterval'],
        `is ${formatDuration(health.fastInterval)}, longer than interval (${formatDuration(health.interval)}); make it shorter`,
      );
  });
}

function parkFitsTotal({ config: { timeouts }, error }: CheckContext): void {
  if (timeouts.park > timeouts.total)
    error(
      ['timeouts', 'park'],
      `is ${formatDuration(timeouts.park)}, longer than total (${formatDuration(timeouts.total)}); make it shorter`,
    );
}

function connectFitsTotal({ config: { timeouts }, error }: CheckContext): void {
  if (timeouts.connect > timeouts.total)
    error(
      ['timeouts', 'connect'],
      `is ${formatDuration(timeouts.connect)}, longer than total (${formatDuration(timeouts.total)}); make it shorter`,
    );
}

function identityFitsBody({ config: { limits }, error }: CheckContext): void {
  if (limits.identityBytes > limits.bodyBytes)
    error(
      ['limits', 'identityBytes'],
      `is ${formatSize(limits.identityBytes)}, more than bodyBytes (${formatSize(limits.bodyBytes)}); make it smaller`,
    );
}

function storeHasRedis({ config: { affinity }, error, warn }: CheckContext): void {
  if (affinity.store === 'redis' && affinity.redis === undefined)
    error(['affinity', 'redis'], 'is missing, and store is redis; give affinity.redis.url');
  if (affinity.store === 'embedded' && affinity.redis !== undefined)
    warn(['affinity', 'redis'], 'has no effect while store is embedded; remove one of the two');
}

function redis({ config, error, warn }: CheckContext): void {
  const { redis } = config.affinity;
  if (redis === undefined) return;
  const path: Path = ['affinity', 'redis'];
  const url = new URL(redis.url);
  if (redis.passwordFile !== undefined) {
    const file = redis.passwordFile;
    if (url.password !== '')
      error([...path, 'passwordFile'], 'is given, and the url has a password too; remove that from the url');
    readable(error, path, () => readSecretFile('passwordFile', file));
  }
  if (redis.username !== undefined && url.username !== '')
    error([...path, 'username'], 'is given, and the url has a user too; remove that from the url');
  if (redis.tls !== undefined)
    clientTls(
      { error, warn },
      [...path, 'tls'],
      redis.tls,
      url.protocol === 'rediss:' ? undefined : 'rediss',
      'Redis',
    );
}

function instanceTls({ config, error, warn }: CheckContext): void {
  eachPool(config, (pool, path) => {
    for (const [index, { id, url, tls }] of pool.instances.entries()) {
      const scheme = url.startsWith('https:') ? undefined : 'https';
      if (tls !== undefined)
        clientTls({ error, warn }, [...path, 'instances', index, 'tls'], tls, scheme, `instance "${id}"`);
    }
  });
}

type Reporter = Pick<CheckContext, 'error' | 'warn'>;

function clientTls(
  { error, warn }: Reporter,
  path: Path,
  tls: ClientTlsConfig,
  missingScheme: string | undefined,
  peer: string,
): void {
  if (missingScheme !== undefined)
    error(
      path,
      `has no effect because the url of ${peer} is not ${missingScheme}://; change the url or remove tls`,
    );
  if (!tls.verify)
    warn(
      [...path, 'verify'],
      `is false: the certificate of ${peer} is not checked, so anyone in between can pose as it`,
    );
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    error(
      path,
      `has ${tls.certFile === undefined ? 'keyFile but no certFile' : 'certFile but no keyFile'}; give both`,
    );
  readable(error, path, () => readClientTls(tls));
}

function listenerTls({ config, error }: CheckContext): void {
  const { tls } = config.listen;
  if (tls !== undefined) readable(error, ['listen', 'tls'], () => readListenerTls(tls));
}

function readable(error: CheckContext['error'], path: Path, read: () => unknown): void {
  try {
    read();
  } catch (failure) {
    if (!(failure instanceof SecretUnreadable)) throw failure;
    error([...path, failure.option], failure.message);
  }
}

function eachPool(config: Config, visit: (pool: PoolConfig, path: Path) => void): void {
  for (const [index, pool] of config.pools.entries()) visit(pool, ['pools', index]);
}

function differ(names: readonly string[], onRepeat: (index: number, first: number) => void): void {
  for (const [index, name] of names.entries()) {
    const first = names.indexOf(name);
    if (first < index) onRepeat(index, first);
  }
}
