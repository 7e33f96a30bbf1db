import { isLost } from '../../src/core/give-up.ts';
import type { InstanceId } from '../../src/core/instance.ts';
import type { Target } from '../../src/core/target.ts';
import type { Gateway } from './gateway.ts';
import type { Instance } from './instances.ts';

// The kernel retransmits at growing intervals.
const BACKOFF_MS = 2_000;
// As in `proxy/relaying.ts`.
const CONFIRM_MS = 500;

interface Held {
  readonly routed: Target;
  /** By the gateway's clock. */
  readonly sentAt: number;
  /** For a peer. */
  readonly isRelayed: boolean;
  readonly onGivenUp: () => void;
}

interface Handlers {
  /** The network delivers it. */
  readonly onHealed: () => void;
  /** Its connection was reset: it never arrives. */
  readonly onGivenUp: () => void;
}

/** The requests that a gateway has handed to its connections, as `proxy/attempt-aborter.ts` keeps them. */
export class Sent {
  readonly #gateway: Gateway;
  readonly #open = new Set<Instance>();
  readonly #held = new Set<Held>();
  /** The instances that have answered through a peer while probes from here fail. */
  readonly #doubted = new Set<InstanceId>();
  #timer = 0;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** Whether a connection to it was left open. */
  isOpen(instance: Instance): boolean {
    return this.#open.has(instance);
  }

  answered(instance: Instance): void {
    this.#open.add(instance);
  }

  /** The network holds a request until its fault ends, and a while longer. Returns what takes it back. */
  hold(
    instance: Instance,
    routed: Target,
    isRelayed: boolean,
    { onHealed, onGivenUp }: Handlers,
  ): () => void {
    const { number, world } = this.#gateway;
    const held = { routed, sentAt: this.#gateway.host.mono, isRelayed, onGivenUp };
    this.#held.add(held);
    const deliver = (): void => {
      if (!this.#held.has(held)) return;
      const { now } = world.scheduler;
      if (instance.isHeldFrom(number, now)) this.#whenHealed(instance, deliver);
      else {
        this.#held.delete(held);
        onHealed();
      }
    };
    this.#whenHealed(instance, deliver);
    return () => this.#held.delete(held);
  }

  /** If probes from here still fail a while later, what was sent before is given up: `proxy/relaying.ts`. */
  answeredThroughPeer(id: InstanceId): void {
    const { replica, host } = this.#gateway;
    if (!replica.failing.has(id) || this.#doubted.has(id)) return;
    const since = host.mono;
    this.#doubted.add(id);
    host.after(CONFIRM_MS, () => {
      this.#doubted.delete(id);
      if (!replica.failing.has(id)) return;
      for (const held of this.#held)
        if (held.routed.instance === id && held.sentAt < since) this.#giveUp(held);
    });
  }

  /** Called after every change of the routing state, before the view is acknowledged to the view store. */
  look(): void {
    const { replica, host, connectors, rules } = this.#gateway;
    const { mono, wall } = host.moment;
    for (const held of this.#held) {
      if (held.isRelayed && rules.relaying.keepsRelayed) continue;
      if (!rules.mustGiveUp(replica, held.routed, mono, wall)) continue;
      this.#giveUp(held);
    }
    for (const [id, instance] of connectors) {
      if (isLost(replica, id, mono, wall)) this.#open.delete(instance);
    }
    this.#lookWhenLeaseEnds();
  }

  #giveUp(held: Held): void {
    this.#held.delete(held);
    held.onGivenUp();
  }

  /** There is no other sign of it. */
  #lookWhenLeaseEnds(): void {
    const { replica, host } = this.#gateway;
    const { mono, wall } = host.moment;
    this.#timer += 1;
    const timer = this.#timer;
    const left = Math.min(replica.leaseEnd.mono - mono, replica.leaseEnd.wall - wall) + 1;
    if (this.#held.size === 0 || left <= 0) return;
    host.after(left, () => {
      if (timer === this.#timer) this.look();
    });
  }

  #whenHealed(instance: Instance, deliver: () => void): void {
    const { number, world } = this.#gateway;
    const healed = instance.heldUntil[number] as number;
    world.scheduler.at(healed + world.random() * BACKOFF_MS, deliver);
  }
}
