import { isLost, mustGiveUp } from '../core/give-up.ts';
import type { InstanceId } from '../core/instance.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { Pool } from './pool.ts';
import type { Upstream } from './upstream.ts';

/** Applies the decisions of `core/give-up.ts` to the attempts and connections of one pool. */
export class AttemptAborter {
  readonly #pool: Pool;
  readonly #addresses: (id: InstanceId) => readonly string[] | undefined;
  /** The lost instances, whose connections have been reset. */
  readonly #lost = new Set<Upstream>();
  /** The incarnation that the connections to each instance belong to. */
  readonly #incarnations = new Map<Upstream, string>();
  #timer: NodeJS.Timeout | undefined;

  /** @param addresses the addresses of an instance, as far as they are known */
  constructor(pool: Pool, addresses: (id: InstanceId) => readonly string[] | undefined) {
    this.#pool = pool;
    this.#addresses = addresses;
  }

  /** To be called after every change of the routing state. */
  look(): void {
    const { routingState, upstreams } = this.#pool;
    const mono = performance.now();
    const wall = Date.now();
    for (const upstream of upstreams.values()) {
      for (const attempt of upstream.attempts) {
        if (mustGiveUp(routingState, attempt.request.target, mono, wall)) attempt.giveUp();
      }
      this.#retire(upstream, mono, wall);
      upstream.moveTo(this.#addresses(upstream.id));
    }
    clearTimeout(this.#timer);
    const { leaseEnd, failing } = routingState;
    const left = Math.min(leaseEnd.mono - mono, leaseEnd.wall - wall) + 1;
    // The end of the lease is no change that anyone announces, so look again then.
    if (failing.size > 0 && left > 0 && left < LONGEST_TIMER_MS)
      this.#timer = setTimeout(() => this.#lookSoon(), left).unref();
  }

  /** Reads answers that have already arrived first. */
  #lookSoon(): void {
    setImmediate(() => this.look());
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #retire(upstream: Upstream, mono: number, wall: number): void {
    const { routingState } = this.#pool;
    const wasLost = this.#lost.delete(upstream);
    const lost = isLost(routingState, upstream.id, mono, wall);
    if (lost) this.#lost.add(upstream);
    const incarnation = routingState.view.instances.get(upstream.id)?.incarnation ?? '';
    const known = this.#incarnations.get(upstream);
    if (incarnation !== '') this.#incarnations.set(upstream, incarnation);
    const hasRestarted = known !== undefined && incarnation !== '' && incarnation !== known;
    if ((lost && !wasLost) || hasRestarted) upstream.retire(lost);
  }
}
