import type { RedisConfig } from '../config/schema.ts';
import { readClientTls, readRedisCredentials, readSecretFile } from '../config/secrets.ts';
import { parseAddress } from '../config/syntax.ts';
import type { ClientOptions, RedisAddress, RedisNode } from '../redis/clients.ts';

/** The connection options of the configured Redis. Reads the password and certificate files. */
export function redisOptions(redis: RedisConfig): ClientOptions {
  return {
    ...addressOf(redis),
    ...readRedisCredentials(redis),
    ...(redis.tls === undefined ? {} : { tls: readClientTls(redis.tls) }),
    commandTimeoutMs: redis.commandTimeout,
    connectTimeoutMs: redis.connectTimeout,
  };
}

function addressOf(redis: RedisConfig): RedisAddress {
  const { url, sentinels, masterName, cluster, sentinelUsername, sentinelPasswordFile: file } = redis;
  if (url !== undefined) return { url };
  if (cluster !== undefined) return { cluster: cluster.map(toNode) };
  if (sentinels === undefined || masterName === undefined)
    throw new Error('affinity.redis has no address, although the configuration was validated');
  return {
    sentinels: sentinels.map(toNode),
    masterName,
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(file === undefined ? {} : { sentinelPassword: readSecretFile('sentinelPasswordFile', file) }),
  };
}

function toNode(text: string): RedisNode {
  const node = parseAddress(text);
  if (node === undefined)
    throw new Error(`${text} is not an address, although the configuration was validated`);
  return node;
}
