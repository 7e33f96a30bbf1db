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

/** Marks a pool as open for views and claims, as the scripts of the view store would, for gateways with this lease. */
export async function openViewStore(
  port: number,
  keyPrefix: string,
  { pool = 'crm', leaseMs = 1_000 } = {},
): Promise<void> {
  const key = `${keyPrefix}:{${pool}}:ledger`;
  await redisCommand(port, 'HSET', key, 'open', '1', 'lease', String(leaseMs));
}
