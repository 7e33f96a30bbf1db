import type { LoggedEvent, PoolEvent } from './agreed-view.ts';
import { COMPARED_ACTS, REPEATED_WITHIN_MS } from './view-store-limits.ts';

export interface ActLogLimits {
  readonly most: number;
  /** How long an entry is kept, in milliseconds. */
  readonly keptMs: number;
}

/**
 * What operators did, oldest first. It is separate from the changes of views, so that neither pushes the other out. An
 * act that is repeated within minutes is one entry with a count: a script in a loop must not push out what others did.
 */
export class ActLog {
  #entries: LoggedEvent[];

  constructor(entries: readonly LoggedEvent[] = []) {
    this.#entries = [...entries];
  }

  get entries(): readonly LoggedEvent[] {
    return this.#entries;
  }

  record(acts: readonly PoolEvent[], at: number, epoch: number, { most, keptMs }: ActLogLimits): void {
    if (acts.length === 0) return;
    const entries = [...this.#entries];
    for (const act of acts) {
      const text = JSON.stringify(act);
      const found = entries.findLastIndex(
        (entry, i) =>
          i >= entries.length - COMPARED_ACTS &&
          at - entry.at < REPEATED_WITHIN_MS &&
          JSON.stringify(actOf(entry)) === text,
      );
      const [same] = found < 0 ? [] : entries.splice(found, 1);
      entries.push({
        ...act,
        at,
        epoch,
        ...(same === undefined ? {} : { times: (same.times ?? 1) + 1, firstAt: same.firstAt ?? same.at }),
      });
    }
    this.#entries = entries.slice(-most).filter((entry) => entry.at > at - keptMs);
  }
}

function actOf({ at: _at, epoch: _epoch, times: _times, firstAt: _firstAt, ...act }: LoggedEvent): PoolEvent {
  return act;
}
