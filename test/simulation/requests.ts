import type { Binding, Placement } from '../../src/core/binding.ts';
import type { InstanceId } from '../../src/core/instance.ts';
import type { Route } from '../../src/core/relay.ts';
import { nextRoute } from '../../src/core/relay.ts';
import type { Target } from '../../src/core/target.ts';
import { checkTarget, movesTo, wayToBind } from '../../src/core/target.ts';
import { NOWHERE } from '../../src/core/view/agreed-view.ts';
import type { Replica } from '../../src/core/view/replica.ts';
import { placementAt } from '../../src/core/view/view.ts';
import type { Random } from '../../src/simulator/random.ts';
import type { AttemptEnds } from './attempts.ts';
import { Attempt } from './attempts.ts';
import type { Entry } from './bindings.ts';
import { keyOf } from './bindings.ts';
import type { Gateway } from './gateway.ts';
import type { Answers } from './store.ts';
import { PARK_MS, RETRY_MS, SLOW_MS } from './times.ts';

export type Outcome = 'answered' | 'refused' | 'unknown';

/** The target of a request, and the reason for it. */
interface Found {
  readonly routed: Target;
  /** This gateway has decided it alone. */
  readonly alone: boolean;
}

const STORE_AGAIN_MS = 250;
const MOST_ROUNDS = 60;

/**
 * The path of one request through a gateway: `proxy/target-finder.ts` and the parts around
 * it, in simulated time. Every answer of the store is put into the cache,
 * and the target is then looked up there again.
 */
export class Request {
  readonly id: number;
  readonly agent: string;
  readonly gateway: Gateway;
  readonly begunAt: number;
  outcome: Outcome | undefined;
  endedAt = 0;
  readonly #name: string;
  readonly #key: string;
  readonly #random: Random;
  #rounds = 0;
  #attempts = 0;
  #renewed = false;
  #deadline = Number.POSITIVE_INFINITY;
  #seen = 0;
  /** The epoch of the view by which its target was found. */
  #epoch = 0;
  /** The routes that could not take it since it last waited. */
  #failed: readonly Route[] = [];

  constructor(id: number, agent: string, gateway: Gateway, random: Random) {
    this.id = id;
    this.#random = random;
    this.agent = agent;
    this.gateway = gateway;
    this.begunAt = gateway.world.scheduler.now;
    this.#name = gateway.nameOf(agent);
    this.#key = keyOf(this.#name);
  }

  start(): void {
    this.gateway.lastRequestAt = this.gateway.host.mono;
    this.#route();
  }

  #route(): void {
    const { gateway } = this;
    this.#rounds += 1;
    if (this.#rounds > MOST_ROUNDS) {
      this.#end('refused');
      return;
    }
    this.#seen = gateway.changes;
    const { view } = gateway.replica;
    this.#epoch = view.epoch;
    if (!view.settled) {
      this.#park();
    } else if (view.mode === 'failover') {
      const route = activeRoute(gateway.replica);
      if (route === undefined) this.#park();
      else if (!this.#follow(route)) this.#park();
    } else {
      this.#routeBound();
    }
  }

  #routeBound(): void {
    const { bindings, replica, host } = this.gateway;
    const entry = bindings.get(this.#name);
    const isDegraded = replica.modeAt(host.mono, host.wall) === 'degraded';
    // A placement made alone is looked up as soon as the store is back.
    if (entry === undefined || (entry.alone && !isDegraded)) this.#claim();
    else if (!this.#follow({ routed: entry.routed, alone: entry.alone })) this.#move(entry);
  }

  /** Returns false if the binding has to be moved first. */
  #follow(route: Found): boolean {
    const { replica, host, isEarlier } = this.gateway;
    let verdict = checkTarget(replica, route.routed, host.mono, host.wall);
    // To an earlier release, `NOWHERE` is an instance that does not exist.
    const isEffective = !replica.isBlocked && replica.before === undefined;
    if (isEarlier && verdict === 'wait' && isEffective && movesTo(replica.view, route.routed) === NOWHERE)
      verdict = 'move';
    switch (verdict) {
      case 'renew':
      case 'wait':
        this.#stay(verdict);
        return true;
      case 'forward':
        this.#attempt(route);
        return true;
      case 'outdated':
        this.#claim();
        return true;
      case 'cut-off':
      case 'differs':
        this.#end('refused');
        return true;
      case 'move':
        return false;
    }
  }

  /** One renewal at a time; if it brings no lease, the request has to wait. */
  #renew(): void {
    if (this.#renewed) {
      this.#park();
      return;
    }
    this.#renewed = true;
    this.gateway.renew(() => this.#route());
  }

  #stay(why: 'renew' | 'wait'): void {
    if (why === 'renew') {
      this.#renew();
      return;
    }
    const { isBlocked, before } = this.gateway.replica;
    // There is no news when a store that was too slow for a claim is fast again.
    this.#park(isBlocked || before !== undefined ? undefined : STORE_AGAIN_MS);
  }

  #claim(): void {
    const { gateway } = this;
    const agent = this.#name;
    const { replica, host, bindings, world, isEarlier } = gateway;
    const way = wayToBind(replica, host.mono, host.wall);
    if (way === 'renew' || way === 'wait') {
      this.#stay(way);
      return;
    }
    if (!isEarlier && replica.view.moving.get(this.#key) === NOWHERE) {
      this.#park();
      return;
    }
    const to = this.#propose();
    if (way === 'degraded') {
      if (to === undefined) {
        this.#park();
        return;
      }
      world.checker.onPlacedAlone(gateway, this.agent);
      const entry = bindings.placeAlone(agent, to);
      world.touch();
      if (!this.#follow(routeAlone(entry))) this.#move(entry);
      return;
    }
    const { fencingToken } = replica;
    if (to === undefined) {
      this.#ask({ kind: 'lookup', agent }, (binding) => {
        if (binding === undefined) this.#park();
        else this.#learn({ binding, made: false }, fencingToken);
      });
      return;
    }
    this.#ask({ kind: 'claim', agent, proposal: to, fencingToken }, (reply) =>
      this.#learn(reply, fencingToken),
    );
  }

  #move(entry: Entry): void {
    const { replica, host, bindings, world } = this.gateway;
    const way = wayToBind(replica, host.mono, host.wall);
    if (way === 'renew' || way === 'wait') {
      this.#stay(way);
      return;
    }
    const proposal = this.#propose();
    if (proposal === undefined) {
      this.#park();
      return;
    }
    if (way === 'degraded') {
      world.checker.onPlacedAlone(this.gateway, this.agent);
      const moved = bindings.moveAlone(entry, proposal);
      world.touch();
      if (!this.#follow(routeAlone(moved))) this.#park();
      return;
    }
    const { fencingToken } = replica;
    const expected: Binding = entry.binding;
    this.#ask({ kind: 'rebind', expected, proposal, fencingToken }, (reply) =>
      this.#learn(reply, fencingToken),
    );
  }

  #learn(reply: Answers['claim'], fencingToken: string): void {
    if (reply === 'stale') {
      this.#renewFor();
      return;
    }
    this.gateway.bindings.learn(reply.binding, fencingToken);
    this.gateway.world.touch();
    this.#renewed = false;
    this.#route();
  }

  /** The view has changed: syncs, and tries again in any case. */
  #renewFor(): void {
    this.gateway.renew(() => this.#route());
  }

  #ask<K extends 'lookup' | 'claim' | 'rebind'>(
    command: Parameters<Gateway['link']['ask']>[1] & { kind: K },
    onReply: (reply: Answers[K]) => void,
  ): void {
    const { link, host, replica } = this.gateway;
    const since = host.mono;
    link.ask(
      host,
      command,
      (reply) => onReply(reply as Answers[K]),
      (wasLate) => {
        replica.doubtStore(host.moment, { since, wasLate });
        host.after(RETRY_MS, () => this.#renewFor());
      },
    );
  }

  /** Any instance is valid, so gateways propose different ones whenever they can, except without the store. */
  #propose(): Placement | undefined {
    const { replica } = this.gateway;
    const { candidates, view } = replica;
    const to: InstanceId | undefined = view.moving.get(this.#key);
    if (to !== undefined) {
      const wanted = candidates.find(({ id }) => id === to);
      return wanted && placementAt(wanted);
    }
    const which = replica.placesAlone ? 0 : Math.floor(this.#random() * candidates.length);
    const chosen = candidates[which];
    return chosen && placementAt(chosen);
  }

  #attempt(found: Found): void {
    const { gateway } = this;
    const { replica, host } = gateway;
    const { instance } = found.routed;
    const chance = replica.relays?.has(instance) === true ? this.#random() : 0;
    const route = nextRoute(replica, instance, this.#failed, chance) ?? 'direct';
    const maySend = (): boolean => checkTarget(replica, found.routed, host.mono, host.wall) === 'forward';
    const ends: AttemptEnds = {
      onAnswered: () => {
        if (route !== 'direct') gateway.sent.answeredThroughPeer(instance);
        this.#end('answered');
      },
      onUnsent: () => this.#unsent(found, route),
      onUnknown: () => this.#end('unknown'),
      onWithdrawn: () => {
        this.#renewed = false;
        this.#route();
      },
    };
    const { id, agent } = this;
    const { routed: target, alone } = found;
    if (route !== 'direct') {
      const order = { id, agent, target, viewEpoch: this.#epoch };
      gateway.world.peers.hand(gateway, route.peer, order, maySend, ends);
      return;
    }
    // A connection has to be opened; a slow client's body is read once.
    const isSlow = this.#attempts === 0 && this.#random() < 0.15;
    this.#attempts += 1;
    const attempt = new Attempt({ gateway, id, agent, target, alone, isRelayed: false, maySend }, ends);
    attempt.begin(isSlow ? this.#random() * SLOW_MS : 1);
  }

  /** Tries the next route, or waits. */
  #unsent({ routed: { instance } }: Found, route: Route): void {
    const { gateway } = this;
    if (route === 'direct') gateway.suspect(instance);
    this.#failed = [...this.#failed, route];
    if (nextRoute(gateway.replica, instance, this.#failed, 0) !== undefined) {
      this.#renewed = false;
      this.#route();
      return;
    }
    this.#failed = [];
    this.#park();
  }

  /** Waits for a change, but no longer than this. */
  #park(again = PARK_MS): void {
    const { gateway } = this;
    const { host, world } = gateway;
    this.#renewed = false;
    if (gateway.changes !== this.#seen) {
      this.#route();
      return;
    }
    const { now } = world.scheduler;
    if (this.#deadline === Number.POSITIVE_INFINITY) this.#deadline = now + PARK_MS;
    if (now >= this.#deadline) {
      this.#end('refused');
      return;
    }
    let isOver = false;
    const wake = (): void => {
      if (isOver) return;
      isOver = true;
      gateway.parked.delete(wake);
      this.#route();
    };
    gateway.parked.add(wake);
    host.at(Math.min(this.#deadline, now + again), wake);
  }

  #end(outcome: Outcome): void {
    this.outcome = outcome;
    this.endedAt = this.gateway.world.scheduler.now;
    this.gateway.world.ended(this);
  }
}

/** There is no store to confirm the binding. */
function routeAlone({ routed: { instance, incarnation, root } }: Entry): Found {
  return { routed: { instance, incarnation, ...(root === undefined ? {} : { root }) }, alone: true };
}

/** The target of every request of a failover pool. */
export function activeRoute({ view }: Replica): Found | undefined {
  const active = view.instances.get(view.active);
  return active && { routed: placementAt(active), alone: false };
}
