import type { Moment } from '../../src/core/view/routing-state.ts';
import type { Scheduler } from './scheduler.ts';

interface Clocks {
  readonly rate: number;
  readonly mono: number;
  readonly wall: number;
}

/**
 * One process on one machine: its clocks, and whether it is running. Events
 * for a paused process take place when it goes on.
 */
export class Host {
  readonly #scheduler: Scheduler;
  readonly #clocks: Clocks;
  /** The total time for which the machine was paused. */
  #frozen = 0;
  #jumped = 0;
  #stoppedUntil = 0;
  #lateUntil = 0;
  #lateBy = 0;
  #isAlive = true;

  constructor(scheduler: Scheduler, clocks: Clocks) {
    this.#scheduler = scheduler;
    this.#clocks = clocks;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isRunning(): boolean {
    return this.#isAlive && this.#scheduler.now >= this.#stoppedUntil;
  }

  hasStoodStillSince(time: number): boolean {
    return this.#stoppedUntil > time;
  }

  get mono(): number {
    return this.#clocks.mono + this.#scheduler.now * this.#clocks.rate - this.#frozen;
  }

  get wall(): number {
    return this.#clocks.wall + this.#scheduler.now * this.#clocks.rate + this.#jumped;
  }

  get moment(): Moment {
    return { mono: this.mono, wall: this.wall };
  }

  at(time: number, run: () => void): void {
    // Every message and every timer waits for its turn.
    const late = Math.max(time, this.#scheduler.now) < this.#lateUntil ? this.#lateBy : 0;
    this.#scheduler.at(time + late, () => {
      if (!this.#isAlive) return;
      if (this.#scheduler.now < this.#stoppedUntil) this.at(this.#stoppedUntil, run);
      else run();
    });
  }

  /** @param delay by this machine's clock */
  after(delay: number, run: () => void): void {
    this.at(this.#scheduler.now + delay / this.#clocks.rate, run);
  }

  /** Pauses until then. `freezes` if the monotonic clock pauses too. */
  stop(until: number, freezes: boolean): void {
    if (until <= this.#stoppedUntil) return;
    if (freezes)
      this.#frozen += (until - Math.max(this.#scheduler.now, this.#stoppedUntil)) * this.#clocks.rate;
    this.#stoppedUntil = until;
  }

  /** Delays everything by this much until then: the event loop is overloaded. */
  beLate(until: number, by: number): void {
    this.#lateUntil = Math.max(this.#lateUntil, until);
    this.#lateBy = by;
  }

  jump(by: number): void {
    this.#jumped += by;
  }

  die(): void {
    this.#isAlive = false;
  }
}
