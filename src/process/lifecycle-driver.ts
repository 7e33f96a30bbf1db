import type { Life, LifecycleEvent, LifecycleState, StopPlan } from '../core/lifecycle.ts';
import { INITIAL, isStopping, planStop, stateOf, transition } from '../core/lifecycle.ts';

export interface LifecycleOptions {
  /** How long connections are still accepted in a stop, in milliseconds: what balancers take to learn of it. */
  readonly statusPollInterval: number;
  /** How long the gateway may be Starting, in milliseconds. */
  readonly maxInitTime: number;
  /** How long a stop may take, in milliseconds. */
  readonly shutdownTimeout: number;
  /** Told of every change, `why` in words for the log. */
  readonly onState: (state: LifecycleState, why: string) => void;
}

/** In milliseconds; what is missing is taken from the options. */
export interface StopTimes {
  readonly pollInterval?: number;
  readonly timeout?: number;
}

/**
 * Accepts no more connections, answers what is pending, and resolves when all of
 * it is over.
 *
 * @param graceMs how long that may take, as far as is known when it begins
 * @param cut aborts when that time is over, which a second stop can make sooner. What is pending is to be cut off
 *   then, and the promise to resolve at once.
 */
export type Drain = (graceMs: number, cut: AbortSignal) => Promise<void>;

// A drain that does not end when it is told to must not keep the process from ending.
const CUT_MS = 2_000;

/**
 * Lives the life of a gateway (`core/lifecycle.ts`) in real time. There is one
 * per gateway: in its only process, or in the supervisor.
 */
export class Lifecycle {
  /** Resolves when the state is no longer Starting. */
  readonly started: Promise<void>;
  /** Resolves when the state is Stopped. */
  readonly stopped: Promise<void>;
  readonly #options: LifecycleOptions;
  readonly #init: NodeJS.Timeout;
  readonly #cut = new AbortController();
  #life: Life = INITIAL;
  #plan: StopPlan | undefined;
  #replan: (() => void) | undefined;
  #stop: Promise<void> | undefined;
  #onStarted: () => void = () => {};
  #onStopped: () => void = () => {};

  /** Starts the time of {@link LifecycleOptions.maxInitTime}; ended by `settled` or `stop`. */
  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.started = new Promise((resolve) => {
      this.#onStarted = resolve;
    });
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    this.#init = setTimeout(() => this.#on('settled', 'lifecycle.maxInitTime is over'), options.maxInitTime);
    // Sockets keep a gateway alive; the wait for its instances does not.
    this.#init.unref();
  }

  get state(): LifecycleState {
    return stateOf(this.#life);
  }

  /** Requests of pools are to be answered by the gateway itself. */
  get inMaintenance(): boolean {
    return this.#life.inMaintenance;
  }

  /** Every pool's instances have been probed. Without effect when the time for that is over already. */
  settled(): void {
    clearTimeout(this.#init);
    this.#on('settled', 'every instance was probed');
  }

  /** False where it is too late for that: the gateway is stopping. */
  maintain(on: boolean, why: string): boolean {
    if (isStopping(this.#life)) return false;
    this.#on(on ? 'maintain' : 'resume', why);
    return true;
  }

  /**
   * Soft shutdown. Leaves Running at once, accepts for `pollInterval`, then
   * drains, and resolves when the state is Stopped, at the latest after `timeout`.
   * Called again it returns the same promise and can only shorten what is under
   * way; the drain of the first call is the one that counts.
   *
   * @throws what the drain rejects with, after the state is Stopped
   */
  stop(why: string, times: StopTimes, drain: Drain): Promise<void> {
    const { statusPollInterval: pollInterval, shutdownTimeout: timeout } = this.#options;
    clearTimeout(this.#init);
    this.#plan = planStop(performance.now(), { pollInterval, timeout, ...times }, this.#plan);
    this.#replan?.();
    this.#stop ??= this.#carryOut(why, drain);
    return this.#stop;
  }

  async #carryOut(why: string, drain: Drain): Promise<void> {
    this.#on('stop', why);
    await this.#until(({ drainAt }) => drainAt);
    this.#on('drain', why);
    const drained = drain(
      Math.max(
        0,
        this.#left(({ endAt }) => endAt),
      ),
      this.#cut.signal,
    );
    try {
      await Promise.race([drained, this.#cutOff(drained)]);
    } finally {
      this.#on('end', why);
    }
  }

  /** Resolves when the drain has had its time, and some more for ending. */
  async #cutOff(drained: Promise<void>): Promise<void> {
    const over = new AbortController();
    const done = (): void => over.abort();
    drained.then(done, done);
    await this.#until(({ endAt }) => endAt, over.signal);
    if (over.signal.aborted) return;
    this.#cut.abort();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CUT_MS);
      over.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #left(of: (plan: StopPlan) => number): number {
    return of(this.#plan as StopPlan) - performance.now();
  }

  /** Waits for a time of the plan, or less where the plan changes or `over` aborts. */
  async #until(of: (plan: StopPlan) => number, over?: AbortSignal): Promise<void> {
    // What is due is not put off to a turn of its own: a stop without a poll interval accepts nothing more.
    while (this.#left(of) > 0 && over?.aborted !== true) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          over?.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, Math.ceil(this.#left(of)));
        over?.addEventListener('abort', wake);
        this.#replan = wake;
      });
    }
  }

  #on(event: LifecycleEvent, why: string): void {
    const before = this.state;
    this.#life = transition(this.#life, event);
    if (this.state === before) return;
    this.#options.onState(this.state, why);
    this.#onStarted();
    if (this.state === 'Stopped') this.#onStopped();
  }
}
