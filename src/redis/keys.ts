/**
 * The name of a pool's key or channel. All of a pool share a hash tag, so that
 * one script may touch any of them on a Redis Cluster.
 */
export function poolKey(keyPrefix: string, pool: string, name: string): string {
  return `${keyPrefix}:{${pool}}:${name}`;
}

/** Where the ledger's scripts keep the fence, for those that place agents. */
export function fencingTokenKey(keyPrefix: string, pool: string): string {
  return poolKey(keyPrefix, pool, 'fence');
}

/** On which claims and moves tell of what they did. */
export function bindingsChannel(keyPrefix: string, pool: string): string {
  return poolKey(keyPrefix, pool, 'bindings');
}
