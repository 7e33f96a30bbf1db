import type { GatewayPhase, LifecycleEvent, LifecycleState, StopPlan } from '../core/lifecycle.ts';
import { INITIAL, isStopping, planStop, stateOf, transition } from '../core/lifecycle.ts';

export interface LifecycleOptions {
  /** How long a stopping gateway still accepts connections, in milliseconds: balancers need this long to notice. */
  readonly statusPollInterval: number;
  /** How long the gateway may be Starting, in milliseconds. */
  readonly maxInitTime: number;
  /** How long a stop may take, in milliseconds. */
  readonly shutdownTimeout: number;
  /** Called on every state change; `why` is a text for the log. */
  readonly onState: (state: LifecycleState, why: string) => void;
}

/** In milliseconds. Missing values come from the options. */
export interface StopTimes {
  readonly pollInterval?: number;
  readonly timeout?: number;
}

/**
 * Stops accepting connections, answers pending requests, and resolves when all
 * of them are done.
 *
 * @param graceMs how long the drain may take, as known at its start
 * @param abort aborts when that time is over; a second stop can make it earlier. The drain must then cut off pending
 *   requests and resolve at once.
 */
export type Drain = (graceMs: number, abort: AbortSignal) => Promise<void>;

// A drain that ignores the abort must not keep the process alive.
const ABORT_GRACE_MS = 2_000;

/**
 * Drives the state machine of a gateway (`core/lifecycle.ts`) in real time. There is
 * one per gateway: in its only process, or in the supervisor.
 */
export class Lifecycle {
  /** Resolves when the state is no longer Starting. */
  readonly started: Promise<void>;
  /** Resolves when the state is Stopped. */
  readonly stopped: Promise<void>;
  readonly #options: LifecycleOptions;
  readonly #init: NodeJS.Timeout;
  readonly #abort = new AbortController();
  #phase: GatewayPhase = INITIAL;
  #plan: StopPlan | undefined;
  #replan: (() => void) | undefined;
  #stop: Promise<void> | undefined;
  #onStarted: () => void = () => {};
  #onStopped: () => void = () => {};

  /** Starts the timer of {@link LifecycleOptions.maxInitTime}; `settled` or `stop` end it. */
  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.started = new Promise((resolve) => {
      this.#onStarted = resolve;
    });
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    this.#init = setTimeout(() => this.#on('settled', 'lifecycle.maxInitTime is over'), options.maxInitTime);
    // Sockets keep the process alive; this timer must not.
    this.#init.unref();
  }

  get state(): LifecycleState {
    return stateOf(this.#phase);
  }

  /** The gateway itself answers all requests to its pools. */
  get inMaintenance(): boolean {
    return this.#phase.inMaintenance;
  }

  /** Reports that all instances of all pools have been probed. No effect once `maxInitTime` is over. */
  settled(): void {
    clearTimeout(this.#init);
    this.#on('settled', 'every instance was probed');
  }

  /** Switches maintenance on or off. Returns false if the gateway is already stopping. */
  maintain(on: boolean, why: string): boolean {
    if (isStopping(this.#phase)) return false;
    this.#on(on ? 'maintain' : 'resume', why);
    return true;
  }

  /**
   * Soft shutdown. Leaves Running at once, accepts connections for `pollInterval`,
   * then drains. Resolves when the state is Stopped, at the latest after `timeout`.
   * A second call returns the same promise and can only shorten the stop; the drain
   * of the first call counts.
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
        this.#msUntil(({ endAt }) => endAt),
      ),
      this.#abort.signal,
    );
    try {
      await Promise.race([drained, this.#cutOff(drained)]);
    } finally {
      this.#on('end', why);
    }
  }

  /** Resolves when the drain has used up its time and a short grace period after the abort. */
  async #cutOff(drained: Promise<void>): Promise<void> {
    const over = new AbortController();
    const done = (): void => over.abort();
    drained.then(done, done);
    await this.#until(({ endAt }) => endAt, over.signal);
    if (over.signal.aborted) return;
    this.#abort.abort();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ABORT_GRACE_MS);
      over.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #msUntil(of: (plan: StopPlan) => number): number {
    return of(this.#plan as StopPlan) - performance.now();
  }

  /** Waits for a time of the plan. Looks again when the plan changes; returns early when `over` aborts. */
  async #until(of: (plan: StopPlan) => number, over?: AbortSignal): Promise<void> {
    // Do not yield to the event loop when the time is already due: a stop without a poll interval must accept nothing
    // more.
    while (this.#msUntil(of) > 0 && over?.aborted !== true) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          over?.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, Math.ceil(this.#msUntil(of)));
        over?.addEventListener('abort', wake);
        this.#replan = wake;
      });
    }
  }

  #on(event: LifecycleEvent, why: string): void {
    const before = this.state;
    this.#phase = transition(this.#phase, event);
    if (this.state === before) return;
    this.#options.onState(this.state, why);
    this.#onStarted();
    if (this.state === 'Stopped') this.#onStopped();
  }
}
