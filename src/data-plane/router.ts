import type { CachedBinding } from '../affinity/binding-cache.ts';
import { storedKey } from '../affinity/stored-name.ts';
import { rendezvous } from '../core/balancers.ts';
import type { Binding, Placement } from '../core/binding.ts';
import type { ErrorCode } from '../core/errors.ts';
import { GatewayError } from '../core/errors.ts';
import type { Name } from '../core/identity.ts';
import { aliasesOf, POOL_NAME } from '../core/identity.ts';
import type { InstanceId, InstanceState } from '../core/instance.ts';
import type { Coordinator } from '../core/ports.ts';
import { judge, nextInLine } from '../core/route.ts';
import type { View } from '../core/view.ts';
import { placementAt } from '../core/view.ts';
import type { Exchange } from './exchange.ts';
import type { Pool } from './pools.ts';

const POOL_NAMES: readonly Name[] = [POOL_NAME];

/** Where a request may go now, or why it has to wait. */
export type Route =
  | {
      readonly to: InstanceId;
      /** What it goes there by; `undefined` for a request that names nobody. */
      readonly binding: Placement | undefined;
      readonly entry: CachedBinding | undefined;
    }
  | { readonly wait: 'starting' | 'no-instance' };

// Gateways whose views differ may pull a binding to and fro; whoever waits for the next view lets go.
const MOST_MOVES = 5;

const STARTING: Route = { wait: 'starting' };
const NO_INSTANCE: Route = { wait: 'no-instance' };

/**
 * Finds the instance of a request: by its binding, or by making one before the
 * request leaves. Changes nothing but the exchange's own record and the binding.
 */
export class Router {
  readonly #coordinator: Coordinator;

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
  }

  /** What is known of the request's agent here, without asking anyone. */
  known(pool: Pool, exchange: Exchange): CachedBinding | undefined {
    return pool.mode === 'failover'
      ? pool.bindings.get(POOL_NAME)
      : pool.bindings.find(exchange.user, exchange.session);
  }

  /** @throws GatewayError where the request must be refused */
  async route(pool: Pool, exchange: Exchange): Promise<Route> {
    const view = pool.view();
    exchange.epoch = view.epoch;
    if (!view.settled) return STARTING;

    const entry = this.known(pool, exchange);
    if (entry !== undefined && pool.bindings.isTrusted(entry) && judge(view, entry.binding) === 'forward') {
      // The hot path: nothing was asked and nothing was made.
      exchange.decision = exchange.decision === 'refused' ? 'bound' : exchange.decision;
      return { to: entry.binding.instance, binding: entry.binding, entry };
    }
    const names = pool.mode === 'failover' ? POOL_NAMES : this.#names(pool, exchange);
    return names.length === 0
      ? this.#routeAnonymous(pool, exchange, view)
      : this.#bind(pool, exchange, names);
  }

  #names(pool: Pool, exchange: Exchange): readonly Name[] {
    const names = aliasesOf(exchange);
    if (names.length === 0 && pool.anonymous === 'refuse') throw new GatewayError('GW_IDENTITY_MISSING');
    return names;
  }

  #routeAnonymous(pool: Pool, exchange: Exchange, view: View): Route {
    const chosen = pool.anonymousBalancer(view.assignable, exchange.request.id, pool.load);
    if (chosen === undefined) return NO_INSTANCE;
    exchange.decision = 'anonymous';
    return { to: chosen.id, binding: undefined, entry: undefined };
  }

  async #bind(pool: Pool, exchange: Exchange, names: readonly Name[]): Promise<Route> {
    let view = pool.view();
    const proposal = this.#propose(pool, view, storedKey(names[0] as Name));
    const binding = await this.#claim(pool, exchange, names, view, proposal);
    if (binding === undefined) return NO_INSTANCE;

    // The store was asked meanwhile, so the view may have moved on.
    view = pool.view();
    let verdict = judge(view, binding);
    if (verdict === 'refresh') {
      view = await this.#coordinator.refresh(pool.name, binding.instance, binding.incarnation);
      verdict = judge(view, binding);
      // The instance could not be looked at; whether it still knows the agent will show.
      if (verdict === 'refresh') return NO_INSTANCE;
    }
    if (verdict === 'forward') return this.#to(binding, pool, exchange);

    return this.#move(pool, exchange, names, binding);
  }

  /**
   * Moves the binding until it is where the request may go. One step, unless the
   * view changes meanwhile or a gateway with another view moves it too.
   */
  async #move(pool: Pool, exchange: Exchange, names: readonly Name[], from: Binding): Promise<Route> {
    // The root, not the request's first name: whatever an agent is called by, all gateways propose alike.
    const key = storedKey(from.root);
    let binding = from;
    for (let moves = 0; moves < MOST_MOVES; moves += 1) {
      const view = pool.view();
      const next = this.#propose(pool, view, key);
      if (next === undefined) return NO_INSTANCE;
      const rebound = await pool.bindings.rebind(
        names,
        binding,
        placementAt(next),
        this.#storelessPlacement(pool, view, key, next),
      );
      if (rebound.decision === 'rebound') exchange.decision = 'rebound';
      binding = rebound.binding;
      if (judge(pool.view(), binding) === 'forward') return this.#to(binding, pool, exchange);
    }
    return NO_INSTANCE;
  }

  async #claim(
    pool: Pool,
    exchange: Exchange,
    names: readonly Name[],
    view: View,
    proposal: InstanceState | undefined,
  ): Promise<Binding | undefined> {
    if (proposal === undefined) {
      // Nobody takes new agents, but those of a draining instance are still at home there.
      const held = await pool.bindings.lookup(names);
      if (held !== undefined) exchange.decision = 'bound';
      return held;
    }
    const claimed = await pool.bindings.claim(
      names,
      placementAt(proposal),
      this.#storelessPlacement(pool, view, storedKey(names[0] as Name), proposal),
    );
    exchange.decision = claimed.decision;
    return claimed.binding;
  }

  #to(binding: Binding, pool: Pool, exchange: Exchange): Route {
    return { to: binding.instance, binding, entry: this.known(pool, exchange) };
  }

  #propose(pool: Pool, view: View, key: string): InstanceState | undefined {
    return pool.mode === 'failover' ? nextInLine(view) : pool.balancer(view.assignable, key, pool.load);
  }

  /** Without the store gateways cannot talk, but they can all come to the same conclusion. */
  #storelessPlacement(pool: Pool, view: View, key: string, proposal: InstanceState): Placement {
    if (pool.mode === 'failover') return placementAt(proposal);
    return placementAt(rendezvous(view.assignable, key) ?? proposal);
  }
}

/** What a client is told whose request waited in vain. */
export function waitedInVain(route: Route & { wait: string }): ErrorCode {
  return route.wait === 'starting' ? 'GW_STARTING' : 'GW_NO_INSTANCE';
}
