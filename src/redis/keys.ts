/**
 * The name of a pool's key or channel. All keys of a pool share a hash tag, so that in a Redis Cluster one script can
 * use any of them.
 */
export function poolKey(keyPrefix: string, pool: string, name: string): string {
  return `${keyPrefix}:{${pool}}:${name}`;
}

/** The key of the fencing token, which the scripts of the view store write and those of the bindings check. */
export function fencingTokenKey(keyPrefix: string, pool: string): string {
  return poolKey(keyPrefix, pool, 'fence');
}

/** The channel on which the scripts publish claims and moves. */
export function bindingsChannel(keyPrefix: string, pool: string): string {
  return poolKey(keyPrefix, pool, 'bindings');
}

/** The key of the registry of gateways, which belongs to no pool. */
export function gatewaysKey(keyPrefix: string): string {
  return `${keyPrefix}:gateways`;
}
