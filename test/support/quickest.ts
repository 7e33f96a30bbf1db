const RUNS = 8;

/**
 * The time that a processor works for, in ms, in the quickest of several runs: a clock on the wall tells as much of
 * what else the machine does, and the first runs are slow because nothing is compiled yet.
 */
export async function quickestMs(work: () => unknown): Promise<number> {
  let quickest = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    quickest = Math.min(quickest, (user + system) / 1_000);
  }
  return quickest;
}
