import type { Target } from '../../src/core/target.ts';
import type { Gateway } from './gateway.ts';
import { CONNECT_TIMEOUT_MS } from './times.ts';

/** A request as a gateway sends it to an instance. */
export interface Sending {
  readonly id: number;
  readonly agent: string;
  readonly target: Target;
  /** The gateway has decided the target by itself. */
  readonly alone: boolean;
  /** The request came from a peer. */
  readonly isRelayed: boolean;
}

export interface AttemptOptions extends Sending {
  readonly gateway: Gateway;
  /** Asked right before the first byte: may it still be sent? */
  maySend(): boolean;
}

/** How an attempt ends. One of them is called, once, unless the gateway ends before. */
export interface AttemptEnds {
  onAnswered(): void;
  /** The instance has got no byte of it. */
  onUnsent(): void;
  onUnknown(): void;
  /** It may not be sent any more, and was not. */
  onWithdrawn(): void;
}

/**
 * One attempt of a gateway to send a request to an instance over a connection of its own: `proxy/attempt.ts` in simulated
 * time.
 */
export class Attempt {
  readonly #options: AttemptOptions;
  readonly #ends: AttemptEnds;
  isSent = false;
  #isOver = false;
  /** Takes back what the network holds of it. */
  #takeBack = (): void => {};

  constructor(options: AttemptOptions, ends: AttemptEnds) {
    this.#options = options;
    this.#ends = ends;
  }

  /** @param delay until a connection is open, by the gateway's clock */
  begin(delay: number): void {
    const { gateway, target } = this.#options;
    const { host, number, world } = gateway;
    host.after(delay, () => {
      const instance = gateway.connector(target.instance);
      const { now } = world.scheduler;
      // A connection that is still open takes it.
      const isTaken = instance.isHeldFrom(number, now) && gateway.sent.isOpen(instance);
      const reached = isTaken ? 'answers' : instance.reachedBy(number, now);
      if (reached === 'answers') this.#send();
      else
        host.after(reached === 'refused' ? 1 : CONNECT_TIMEOUT_MS, () =>
          this.#end(() => this.#ends.onUnsent()),
        );
    });
  }

  /** Nothing awaits it any more: what was not sent is not sent, and what was is reset. */
  cancel(): void {
    this.#isOver = true;
    this.#takeBack();
  }

  /** The check right before the first byte, because anything may have happened since the target was found. */
  #send(): void {
    if (this.#isOver) return;
    const { gateway, target, agent, id, maySend, ...how } = this.#options;
    const { host, world } = gateway;
    if (!maySend()) {
      this.#end(() => this.#ends.onWithdrawn());
      return;
    }
    const instance = gateway.connector(target.instance);
    const { incarnation } = instance;
    this.isSent = true;
    world.checker.onSend(gateway, { agent, id, target, ...how });
    const arrive = (): void => {
      const { now } = world.scheduler;
      if (instance.incarnation !== incarnation || instance.reachedBy(gateway.number, now) !== 'answers') {
        host.after(1, () => this.#end(() => this.#ends.onUnknown()));
        return;
      }
      world.checker.onDelivered(id);
      instance.sessions.add(agent);
      host.after(2, () => {
        if (host.isAlive) gateway.sent.answered(instance);
        this.#end(() => this.#ends.onAnswered());
      });
    };
    world.scheduler.after(2, () => {
      if (!instance.isHeldFrom(gateway.number, world.scheduler.now)) {
        arrive();
        return;
      }
      if (this.#isOver) return;
      this.#takeBack = gateway.sent.hold(instance, target, how.isRelayed, {
        onHealed: () => {
          world.checker.onLate(gateway, agent, id, target);
          arrive();
        },
        onGivenUp: () => host.after(1, () => this.#end(() => this.#ends.onUnknown())),
      });
    });
  }

  #end(how: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    how();
  }
}
