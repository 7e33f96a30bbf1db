import { readdirSync, readFileSync } from 'node:fs';

/** How long a thread was ready to run and got no processor, in ms since its start: see proc_pid_schedstat(5). */
function threadWaitedMs(pid: number, thread: number | string): number {
  try {
    const [, waited] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return Number(waited) / 1e6;
  } catch {
    // It has ended.
    return 0;
  }
}

/** How long the main thread of a process was ready to run and got no processor, in ms since its start. */
export function mainThreadWaitedMs(pid: number): number {
  return threadWaitedMs(pid, pid);
}

/** How long the main threads of these processes together will have waited for a processor, in ms since this call. */
export function waitedSince(pids: readonly number[]): () => number {
  const before = pids.map(mainThreadWaitedMs);
  return () =>
    pids.reduce((sum, pid, i) => sum + Math.max(0, mainThreadWaitedMs(pid) - (before[i] as number)), 0);
}

/**
 * How long something takes that this process alone does, in ms since this call, without the time for which its threads
 * got no processor. A limit of this time holds on a busy machine too.
 */
export function stopwatch(): () => number {
  const threads = readdirSync(`/proc/${process.pid}/task`);
  const waitedMs = (): number =>
    threads.reduce((sum, thread) => sum + threadWaitedMs(process.pid, thread), 0);
  const since = performance.now();
  const waited = waitedMs();
  return () => performance.now() - since - Math.max(0, waitedMs() - waited);
}
