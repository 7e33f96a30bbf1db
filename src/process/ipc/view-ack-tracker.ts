import type { WorkerId } from '../messages.ts';

interface AckState {
  /** The view that the worker has acknowledged. */
  adopted: string;
  /** The view that was sent last, and until when the worker may act on it. */
  viewId: string;
  until: number;
  /** Until when the worker may act on any view that was sent before. */
  earlierUntil: number;
}

/**
 * Tracks which view each worker acts on, as far as the controller can know: a worker
 * that does not acknowledge a view may act on an earlier one until the lease of that one
 * ends. Times are monotonic ms of this process.
 */
export class ViewAckTracker {
  readonly #workers = new Map<WorkerId, AckState>();

  /** Records that the worker may act until then on a view from an earlier controller. */
  mayHold(worker: WorkerId, until: number): void {
    this.#stateOf(worker).earlierUntil = until;
  }

  sent(worker: WorkerId, viewId: string, until: number): void {
    const state = this.#stateOf(worker);
    if (state.viewId !== viewId) {
      state.earlierUntil = Math.max(state.earlierUntil, state.until);
      state.until = Number.NEGATIVE_INFINITY;
      state.viewId = viewId;
    }
    // The worker may not have received a shortened lease yet.
    state.until = Math.max(state.until, until);
  }

  adopted(worker: WorkerId, viewId: string): void {
    this.#stateOf(worker).adopted = viewId;
  }

  forget(worker: WorkerId): void {
    this.#workers.delete(worker);
  }

  /** Until when any worker may act on any view; negative infinity if none may. */
  mayActUntil(workers: Iterable<WorkerId>): number {
    let latest = Number.NEGATIVE_INFINITY;
    for (const worker of workers) {
      const state = this.#workers.get(worker);
      if (state !== undefined) latest = Math.max(latest, state.until, state.earlierUntil);
    }
    return latest;
  }

  /** Until when any worker may act on a view other than this one; `undefined` if none can. */
  outstandingUntil(viewId: string, workers: Iterable<WorkerId>, now: number): number | undefined {
    let latest = now;
    for (const worker of workers) {
      const state = this.#workers.get(worker);
      if (state === undefined || state.adopted === viewId) continue;
      const until = state.viewId === viewId ? state.earlierUntil : Math.max(state.earlierUntil, state.until);
      latest = Math.max(latest, until);
    }
    return latest > now ? latest : undefined;
  }

  #stateOf(worker: WorkerId): AckState {
    const known = this.#workers.get(worker);
    if (known !== undefined) return known;
    const never = Number.NEGATIVE_INFINITY;
    const made: AckState = { adopted: '', viewId: '', until: never, earlierUntil: never };
    this.#workers.set(worker, made);
    return made;
  }
}
