import type { WorkerId } from '../messages.ts';

interface Told {
  /** The view that it has said it acts on. */
  adopted: string;
  /** The view that it was told of last, and until when it may act on that. */
  viewId: string;
  until: number;
  /** Until when it may act on any view that it was told of before. */
  earlierUntil: number;
}

/**
 * Which view each worker acts on, as far as the controller can know: a worker
 * that does not answer may act on what it was told before until the lease that
 * came with it is over. Times are monotonic ms of this process.
 */
export class ViewAckTracker {
  readonly #workers = new Map<WorkerId, Told>();

  /** Whatever somebody else has told the worker, it may act on it until then. */
  mayHold(worker: WorkerId, until: number): void {
    this.#of(worker).earlierUntil = until;
  }

  told(worker: WorkerId, viewId: string, until: number): void {
    const told = this.#of(worker);
    if (told.viewId !== viewId) {
      told.earlierUntil = Math.max(told.earlierUntil, told.until);
      told.until = Number.NEGATIVE_INFINITY;
      told.viewId = viewId;
    }
    // It may not have heard yet that the lease ends earlier.
    told.until = Math.max(told.until, until);
  }

  adopted(worker: WorkerId, viewId: string): void {
    this.#of(worker).adopted = viewId;
  }

  forget(worker: WorkerId): void {
    this.#workers.delete(worker);
  }

  /** Until when some worker may act on any view; negative infinity where none may. */
  mayActUntil(workers: Iterable<WorkerId>): number {
    let latest = Number.NEGATIVE_INFINITY;
    for (const worker of workers) {
      const told = this.#workers.get(worker);
      if (told !== undefined) latest = Math.max(latest, told.until, told.earlierUntil);
    }
    return latest;
  }

  /** Until when some worker may act on another view than this; `undefined` where none can. */
  outstandingUntil(viewId: string, workers: Iterable<WorkerId>, now: number): number | undefined {
    let latest = now;
    for (const worker of workers) {
      const told = this.#workers.get(worker);
      if (told === undefined || told.adopted === viewId) continue;
      const until = told.viewId === viewId ? told.earlierUntil : Math.max(told.earlierUntil, told.until);
      latest = Math.max(latest, until);
    }
    return latest > now ? latest : undefined;
  }

  #of(worker: WorkerId): Told {
    const known = this.#workers.get(worker);
    if (known !== undefined) return known;
    const never = Number.NEGATIVE_INFINITY;
    const made: Told = { adopted: '', viewId: '', until: never, earlierUntil: never };
    this.#workers.set(worker, made);
    return made;
  }
}
