import { loadConfig } from '../../src/config/load.ts';

const { config } = loadConfig({
  text: 'pools: [{ name: ici, instances: [{ id: a, url: "http://127.0.0.1" }] }]\naffinity: { redis: { url: "redis://127.0.0.1" } }\n',
  env: {},
});
if (config.affinity.redis === undefined) throw new Error('no Redis was configured');

/** The default time-outs of a connection to Redis. */
export const REDIS_TIMEOUTS = {
  commandTimeoutMs: config.affinity.redis.commandTimeout,
  connectTimeoutMs: config.affinity.redis.connectTimeout,
};
