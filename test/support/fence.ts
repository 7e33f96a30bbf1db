import { redisCommand } from './redis-command.ts';

/**
 * Puts a fence where the ledger's scripts would, for tests that have no ledger,
 * and says which: claims that bear it are those of the view of `epoch`.
 */
export async function setFence(
  port: number,
  keyPrefix: string,
  { epoch = 1, pool = 'crm' } = {},
): Promise<string> {
  const info = await redisCommand(port, 'INFO', 'replication');
  const life = /master_replid:(\w+)/.exec(info)?.[1];
  const fencingToken = `${epoch}.view:mark.${life}`;
  await redisCommand(port, 'SET', `${keyPrefix}:{${pool}}:fence`, fencingToken);
  return fencingToken;
}

/** Says of a pool that views can change and claims can be made, as the ledger's scripts would. */
export async function openLedger(port: number, keyPrefix: string, pool = 'crm'): Promise<void> {
  await redisCommand(port, 'HSET', `${keyPrefix}:{${pool}}:ledger`, 'open', '1');
}
