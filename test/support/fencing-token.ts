import { redisCommand } from './redis-command.ts';

/**
 * Writes a fencing token as the scripts of the view store would, for tests without a
 * view store, and returns it: claims with it belong to the view of `epoch`.
 */
export async function setFencingToken(
  port: number,
  keyPrefix: string,
  { epoch = 1, pool = 'crm' } = {},
): Promise<string> {
  const info = await redisCommand(port, 'INFO', 'replication');
  const generation = /master_replid:(\w+)/.exec(info)?.[1];
  const fencingToken = `${epoch}.view:mark.${generation}`;
  await redisCommand(port, 'SET', `${keyPrefix}:{${pool}}:fence`, fencingToken);
  return fencingToken;
}

/** Marks a pool as open for views and claims, as the scripts of the view store would. */
export async function openViewStore(port: number, keyPrefix: string, pool = 'crm'): Promise<void> {
  await redisCommand(port, 'HSET', `${keyPrefix}:{${pool}}:ledger`, 'open', '1');
}
