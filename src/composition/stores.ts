import { RedisStore } from '../affinity/redis-store.ts';
import type { AffinityConfig } from '../config/schema.ts';
import { readClientTls, readRedisCredentials } from '../config/secrets.ts';
import type { AffinityStore } from '../core/ports.ts';
import { openRedis } from '../redis/connection.ts';

export interface Stores {
  open(pool: string): AffinityStore;
  close(): Promise<void>;
}

export interface StoreEvents {
  /** The connection for commands broke. */
  onDown(detail: string): void;
  /** The connection that tells of moves broke or came back; while it is gone cached bindings are asked for anew. */
  onHearing(state: 'up' | 'down', detail: string): void;
}

/** Opens the store that the configuration asks for. Waits for a Redis, but not for long. */
export async function openStores(config: AffinityConfig, events: StoreEvents): Promise<Stores> {
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
      onState: (link, state, detail) => {
        if (link === 'hearing') events.onHearing(state, detail);
        else if (link === 'claims' && state === 'up') connected();
        else if (link === 'claims') events.onDown(detail);
      },
    });
    // Commands do not wait for a connection, so whoever opened the stores now would find Redis away.
    await firstContact;
    return {
      open: (pool) => new RedisStore(connection, pool, { keyPrefix, idleLifetimeMs: idleLifetime }),
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
