/** A Redis replica that was silent for longer is not promoted. This is longer than a Sentinel accepts. */
const MAX_LAG_S = 10;

/**
 * Knows from Redis's INFO whether its replicas have received the recent writes. If a replica that lags is promoted,
 * the writes it never received are lost without a trace.
 */
export class RedisReplicas {
  #written: number | undefined;

  /** From now on, requires the replicas to have everything that has been written so far. */
  mustKnow(info: string): void {
    this.#written = Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1] ?? 0);
  }

  /** True if the replicas have everything that is required. */
  get knowAll(): boolean {
    return this.#written === undefined;
  }

  /** Reads from INFO what the replicas have by now. */
  update(info: string): void {
    const written = this.#written;
    if (written === undefined) return;
    const replicas = info.matchAll(/^slave\d+:.*state=online,offset=(\d+),lag=(\d+)/gm);
    const knowAll = [...replicas].every(
      ([, offset, lag]) => Number(offset) >= written || Number(lag) > MAX_LAG_S,
    );
    if (knowAll) this.#written = undefined;
  }
}
