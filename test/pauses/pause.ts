import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { redisCommand } from '../support/redis-command.ts';
import type { RedisServer } from '../support/redis-server.ts';

/** Pauses Redis; resolves with the length of the pause in ms, which is longer than wanted on a busy machine. */
export type Pause = (redis: RedisServer, ms: number) => Promise<number>;

/**
 * Stops the process, like the fork of a large one. A shell ends the pause, because
 * the process that makes the load may be late itself.
 */
export const stopProcess: Pause = async ({ pid }, ms) => {
  const script = `kill -STOP ${pid}; a=$(date +%s%N); sleep ${ms / 1_000}; kill -CONT ${pid}; echo $(( ($(date +%s%N) - a) / 1000000 ))`;
  const { stdout } = await promisify(execFile)('sh', ['-c', script]);
  return Number(stdout);
};

/** Redis reads on and answers no client. */
export const pauseClients: Pause = async ({ port }, ms) => {
  await redisCommand(port, 'CLIENT', 'PAUSE', String(ms), 'ALL');
  const begunAt = performance.now();
  // It is answered when the pause is over.
  await redisCommand(port, 'PING');
  return Math.min(performance.now() - begunAt, ms);
};
