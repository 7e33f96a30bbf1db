/** Redis's replicas that may be promoted: those of which it has heard lately. Longer than a Sentinel lets pass. */
const MAX_LAG_S = 10;

/**
 * Whether the replicas of Redis have what was written lately, by its INFO. A replica that lags may be promoted: what it
 * never had is forgotten then, without a trace.
 */
export class RedisReplicas {
  #written: number | undefined;

  /** What has been written up to now must be known to them. */
  mustKnow(info: string): void {
    this.#written = Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1] ?? 0);
  }

  /** True as long as nothing has to be known to them. */
  get knowAll(): boolean {
    return this.#written === undefined;
  }

  /** Takes note of what they know by now. */
  heard(info: string): void {
    const written = this.#written ?? 0;
    const replicas = info.matchAll(/^slave\d+:.*state=online,offset=(\d+),lag=(\d+)/gm);
    const knowAll = [...replicas].every(
      ([, offset, lag]) => Number(offset) >= written || Number(lag) > MAX_LAG_S,
    );
    if (knowAll) this.#written = undefined;
  }
}
