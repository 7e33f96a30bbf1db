import { openEmbedded } from '../affinity/embedded-store.ts';
import { openRedis } from '../affinity/redis-connection.ts';
import type { AffinityConfig } from '../config/schema.ts';
import { readClientTls, readRedisCredentials } from '../config/secrets.ts';
import type { AffinityStore } from '../core/ports.ts';

export interface Stores {
  open(pool: string): AffinityStore;
  close(): Promise<void>;
}

/** Opens the store that the configuration asks for; `onDown` hears when its connection breaks. */
export function openStores(config: AffinityConfig, onDown: (detail: string) => void): Stores {
  const { idleLifetime, keyPrefix, redis } = config;
  if (config.store === 'redis' && redis !== undefined) {
    const connection = openRedis({
      url: redis.url,
      ...readRedisCredentials(redis),
      ...(redis.tls === undefined ? {} : { tls: readClientTls(redis.tls) }),
      commandTimeoutMs: redis.commandTimeout,
      connectTimeoutMs: redis.connectTimeout,
      onState: (state, detail) => {
        if (state === 'down') onDown(detail);
      },
    });
    return {
      open: (pool) => connection.store(pool, { keyPrefix, idleLifetimeMs: idleLifetime }),
      close: () => connection.close(),
    };
  }
  const embedded = openEmbedded({ directory: config.stateDir });
  return {
    open: (pool) => embedded.store(pool, { idleLifetimeMs: idleLifetime }),
    close: () => embedded.close(),
  };
}
