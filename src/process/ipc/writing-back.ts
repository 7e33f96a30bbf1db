import { StoreUnavailable } from '../../core/ports.ts';
import type { Calls } from './calls.ts';

// Many bindings take long to write back, even for a healthy worker.
const WRITE_BACK_MS = 30_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const SILENCE_CHECKS = 8;

/**
 * Resolves when the worker has written its bindings back, or cannot do it any more.
 *
 * @param silenceMs for how long the worker may be silent; `undefined`: it cannot hang alone
 * @throws StoreUnavailable
 */
export async function writeBackBy(
  worker: { readonly calls: Calls; readonly messagesReceived: number },
  pool: string,
  storeGeneration: string,
  silenceMs: number | undefined,
): Promise<void> {
  let watch: NodeJS.Timeout | undefined;
  const silence = new Promise<void>((resolve) => {
    if (silenceMs === undefined) return;
    let { messagesReceived: receivedBefore } = worker;
    let silentChecks = 0;
    // Count checks, not time: after a pause, this process has not read yet what the worker sent meanwhile.
    watch = setInterval(() => {
      silentChecks = worker.messagesReceived === receivedBefore ? silentChecks + 1 : 0;
      receivedBefore = worker.messagesReceived;
      if (silentChecks === SILENCE_CHECKS) resolve();
    }, silenceMs / SILENCE_CHECKS);
  });
  try {
    const limitMs = silenceMs === undefined ? LONGEST_TIMER_MS : WRITE_BACK_MS;
    await Promise.race([worker.calls.call('writeBack', [pool, storeGeneration], limitMs), silence]);
  } catch (error) {
    const { name, message } = error as Error;
    // The worker has ended, and its knowledge is gone with it.
    if (name === 'CallFailed') return;
    throw name === 'StoreUnavailable' ? new StoreUnavailable(message) : error;
  } finally {
    clearInterval(watch);
  }
}
