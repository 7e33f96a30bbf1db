import { openRedis } from '../affinity/redis-connection.ts';
import type { AffinityConfig } from '../config/schema.ts';
import { readClientTls, readRedisCredentials } from '../config/secrets.ts';
import type { AffinityStore } from '../core/ports.ts';

export interface Stores {
  open(pool: string): AffinityStore;
  close(): Promise<void>;
}

/** Opens the store that the configuration asks for; `onDown` hears when its connection breaks. */
export async function openStores(config: AffinityConfig, onDown: (detail: string) => void): Promise<Stores> {
  const { idleLifetime, keyPrefix, redis } = config;
  if (config.store === 'redis' && redis !== undefined) {
    let connected: () => void = () => {};
    const firstContact = new Promise<void>((resolve) => {
      connected = resolve;
      setTimeout(resolve, redis.connectTimeout).unref();
    });
    const connection = openRedis({
      url: redis.url,
      ...readRedisCredentials(redis),
      ...(redis.tls === undefined ? {} : { tls: readClientTls(redis.tls) }),
      commandTimeoutMs: redis.commandTimeout,
      connectTimeoutMs: redis.connectTimeout,
      onState: (state, detail) => {
        if (state === 'down') onDown(detail);
        else connected();
      },
    });
    // Commands do not wait for a connection, so whoever opened the stores now would find Redis away.
    await firstContact;
    return {
      open: (pool) => connection.store(pool, { keyPrefix, idleLifetimeMs: idleLifetime }),
      close: () => connection.close(),
    };
  }
  // Loaded where it is used: it brings a native library that gateways on Redis do not need.
  const { openEmbedded } = await import('../affinity/embedded-store.ts');
  const embedded = openEmbedded({ directory: config.stateDir });
  return {
    open: (pool) => embedded.store(pool, { idleLifetimeMs: idleLifetime }),
    close: () => embedded.close(),
  };
}
