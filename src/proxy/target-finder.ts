import type { Bound, CachedBinding, Decision } from '../core/agent-bindings.ts';
import { rendezvous } from '../core/balancers.ts';
import type { Binding, Proposal } from '../core/binding.ts';
import type { ErrorCode } from '../core/errors.ts';
import { GatewayError } from '../core/errors.ts';
import type { Name, Names, RequestName } from '../core/identity.ts';
import { byWeight, namesOf } from '../core/identity.ts';
import { isUsable } from '../core/instance.ts';
import type { Cause } from '../core/origin.ts';
import type { Coordinator } from '../core/ports.ts';
import { NamesNoAgent, StaleView, StoreFull, StoreUnavailable, wasLate } from '../core/ports.ts';
import { SharedTimer } from '../core/shared-timer.ts';
import { storedKey } from '../core/stored-name.ts';
import type { Target, WayToBind } from '../core/target.ts';
import { allPlaceAlike, checkTarget, drainingIn, lossOf, targetBy, wayToBind } from '../core/target.ts';
import { NOWHERE } from '../core/view/agreed-view.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import { placementAt } from '../core/view/view.ts';
import {
  canRebalance,
  groupOf,
  groupPlaceAlone,
  proposeInGroup,
  proposeNew,
  rebalanceIn,
} from './placing.ts';
import type { Pool } from './pool.ts';
import type { RoutedRequest } from './request-context.ts';

/**
 * What a request waits for.
 *
 * `starting`: the first probe results of all instances. `no-instance`: an instance that may take it. `view`: the new
 * view to take effect. `lease`: a lease, without which the view must not be used. `store`: the store, which makes
 * bindings.
 */
export type WaitReason = 'starting' | 'no-instance' | 'view' | 'lease' | 'store';

export interface Wait {
  readonly wait: WaitReason;
  /** When to look again without any news, in ms; `undefined` if only news can help. */
  readonly againMs?: number;
}

/** A binding, and the epoch in which it was learnt; 0 if no store confirmed it. */
interface Learnt {
  readonly binding: Binding;
  readonly epoch: number;
  /** What was proposed and not needed. */
  readonly unused?: Proposal | undefined;
}

// Every turn after the first follows an answer of the view store, and every move an act of another gateway. A request
// that has to wait returns to its caller.
const MOST_TURNS = 5;
const MOST_MOVES = 5;

// Far longer than a claim takes, and far shorter than its time-out.
const LATE_MS = 10;

const STARTING: Wait = { wait: 'starting' };
const NO_INSTANCE: Wait = { wait: 'no-instance' };
const VIEW: Wait = { wait: 'view' };
const LEASE: Wait = { wait: 'lease' };
// No message tells that a store that was too slow for a claim is fast again, so look again soon.
const STORE: Wait = { wait: 'store', againMs: 250 };

/**
 * Finds the instance for a request: the one to which its agent is bound. Binds an unknown agent first. Changes only the
 * context of the request and the binding.
 */
export class TargetFinder {
  readonly #coordinator: Coordinator;
  readonly #late = new SharedTimer(LATE_MS);

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
  }

  /** The cached binding of the request's agent. */
  known(pool: Pool, names: Names): CachedBinding | undefined {
    return pool.bindsAgents ? pool.bindings.findFor(names) : undefined;
  }

  /** What {@link find} finds without a promise, as for known agents; `undefined` if it must be called. */
  findAtOnce(pool: Pool, context: RoutedRequest): Target | Wait | undefined {
    const found = this.#fromCache(pool, context);
    return found === LEASE ? undefined : found;
  }

  /** @throws GatewayError if the request must be refused */
  async find(pool: Pool, context: RoutedRequest): Promise<Target | Wait> {
    let trouble: Wait | undefined;
    let isLate = false;
    for (let turn = 0; turn < MOST_TURNS; turn += 1) {
      const before = trouble;
      const begunAt = performance.now();
      try {
        const found = this.#fromCache(pool, context) ?? (await this.#bind(pool, context, namesOf(context)));
        if (found !== LEASE) return found;
        trouble = LEASE;
      } catch (error) {
        if (error instanceof StaleView) trouble = VIEW;
        else if (error instanceof StoreUnavailable) trouble = STORE;
        else if (error instanceof NamesNoAgent) {
          // The session names no agent, so go on without it.
          context.session = undefined;
          context.ignore(context.sessionIsInBody ? 'body' : 'cookie', 'shared');
          continue;
        } else if (error instanceof StoreFull) throw new GatewayError('GW_BINDINGS_FULL', error);
        else throw error;
        isLate = wasLate(error);
      }
      // After the same failure twice, a third turn would not help. A stale view is different: a newer one exists.
      if (trouble === before && trouble !== VIEW) return trouble;
      if (trouble === STORE) {
        const asking = this.#coordinator.storeFailed(pool.name, { since: begunAt, wasLate: isLate });
        const known = this.#unconfirmed(pool, context);
        if (known !== undefined) return known;
        await asking;
      } else await this.#coordinator.renew(pool.name);
    }
    return trouble ?? VIEW;
  }

  /** The target, if it is known without the store; `undefined` if the store must be asked. */
  #fromCache(pool: Pool, context: RoutedRequest): Target | Wait | undefined {
    const { routingState, bindings } = pool;
    context.epoch = routingState.view.epoch;
    const { fit, settled } = routingState.view;
    // First, because under a different configuration a name may mean another agent.
    if (fit === 'differs') return stay(fit);
    if (!settled) return STARTING;
    if (fit === 'unknown' && routingState.modeAt(performance.now(), Date.now()) !== 'degraded') return VIEW;

    const entry = this.known(pool, context);
    if (entry === undefined) return isBound(pool, context) ? undefined : this.#findUnbound(pool, context);
    const mono = performance.now();
    const wall = Date.now();
    if (!bindings.isTrusted(entry, routingState, routingState.modeAt(mono, wall) === 'degraded'))
      return undefined;
    const target = targetBy(entry.binding, entry.epoch, entry);
    const verdict = checkTarget(routingState, target, mono, wall);
    if (verdict === 'move' || verdict === 'outdated') return undefined;
    if (verdict !== 'forward') return stay(verdict);
    // The hot path.
    recordDecision(context, 'bound');
    return target;
  }

  /** Is the request's agent known here by a session alone, so that no other name needs to be looked for? */
  isKnownBySession(pool: Pool, names: Names): boolean {
    if (names.session === undefined || names.user !== undefined) return false;
    const entry = this.known(pool, names);
    if (entry === undefined) return false;
    const { routingState, bindings } = pool;
    const isDegraded = routingState.modeAt(performance.now(), Date.now()) === 'degraded';
    return bindings.isTrusted(entry, routingState, isDegraded);
  }

  /** The target by a cached binding that the store should confirm, while the store does not answer. */
  #unconfirmed(pool: Pool, context: RoutedRequest): Target | undefined {
    const { routingState, bindings } = pool;
    const entry = this.known(pool, context);
    if (entry === undefined || !bindings.isUsableUnconfirmed(entry, routingState)) return undefined;
    const target = targetBy(entry.binding, entry.epoch, entry);
    if (checkTarget(routingState, target, performance.now(), Date.now()) !== 'forward') return undefined;
    recordDecision(context, 'bound');
    return target;
  }

  /** The target of a new agent without the store, if every gateway would place the agent at the same instance. */
  #alike(pool: Pool, context: RoutedRequest, names: readonly RequestName[]): Target | undefined {
    const { routingState, bindings, balancer } = pool;
    // For a session alone, or a user who was only found, another gateway may choose another instance.
    const [first] = names;
    if (balancer !== rendezvous || first?.kind !== 'user' || first.found === true) return undefined;
    if (!bindings.isComplete) return undefined;
    if (!allPlaceAlike(routingState, performance.now(), Date.now())) return undefined;
    const group = groupOf(pool, context);
    // Other gateways may not know of this group, or the store may find no room for it there.
    if (group !== undefined && (pool.maxAgents.size > 0 || pool.groups?.ofUser(first.value) === undefined))
      return undefined;
    const chosen = this.#propose(pool, context, storedKey(first), 'degraded');
    if (chosen === undefined) return undefined;
    const { binding, decision } = bindings.claimAlone(names, chosen);
    const target = targetBy(binding, routingState.view.epoch, this.known(pool, context));
    if (checkTarget(routingState, target, performance.now(), Date.now()) !== 'forward') return undefined;
    recordDecision(context, decision);
    return target;
  }

  /** For requests without a name, and for pools whose active instance serves all agents. */
  #findUnbound(pool: Pool, context: RoutedRequest): Target | Wait {
    const { routingState, mode } = pool;
    const { view, candidates } = routingState;
    const chosen =
      mode === 'failover'
        ? view.instances.get(view.active)
        : pool.anonymousBalancer(candidates, context.request.id, pool.load);
    if (chosen === undefined) return noInstance(routingState);
    const { id: instance, incarnation } = chosen;
    const target: Target = { instance, incarnation, root: undefined, entry: undefined };
    const verdict = checkTarget(routingState, target, performance.now(), Date.now());
    // The active instance is down, and no other one can take over.
    if (verdict === 'move' || verdict === 'outdated') return NO_INSTANCE;
    if (verdict !== 'forward') return stay(verdict);
    recordDecision(context, mode === 'failover' ? 'bound' : 'anonymous');
    return target;
  }

  /**
   * Gets or makes the binding, and moves it if the request may not go there. That takes one step each, unless the view
   * changes in the meantime or another gateway moves the binding too.
   */
  async #bind(pool: Pool, context: RoutedRequest, names: readonly RequestName[]): Promise<Target | Wait> {
    const { routingState } = pool;
    // The store may still carry out an earlier claim of this agent, so this gateway must not decide something else.
    const isAsked = pool.bindings.awaitsAnswer(names);
    if (isAsked || routingState.claimFailure !== undefined || isWithoutAnswer(routingState)) {
      const target = this.#unconfirmed(pool, context) ?? this.#alike(pool, context, names);
      if (target !== undefined) return target;
      if (isAsked) return STORE;
    }
    let learnt = await this.#claim(pool, context, names);
    for (let moves = 0; moves <= MOST_MOVES; moves += 1) {
      if ('wait' in learnt) return learnt;
      // The view may have changed while the store was asked.
      context.epoch = routingState.view.epoch;
      const target = targetBy(learnt.binding, learnt.epoch, this.known(pool, context));
      const verdict = checkTarget(routingState, target, performance.now(), Date.now());
      if (verdict === 'forward') return target;
      if (verdict === 'outdated' && routingState.fencingToken === '') return STORE;
      if (verdict === 'outdated') learnt = await this.#claim(pool, context, names);
      else if (verdict === 'move') learnt = await this.#move(pool, context, names, learnt);
      else return stay(verdict);
    }
    return VIEW;
  }

  async #claim(pool: Pool, context: RoutedRequest, names: readonly RequestName[]): Promise<Learnt | Wait> {
    const { routingState, bindings } = pool;
    const { way, epoch } = howToBind(routingState);
    if (way === 'renew' || way === 'wait') return noWay(routingState, way);
    const key = storedKey(names[0] as Name);
    // An operator is ending the binding. A new one can be made when that is done.
    if (routingState.view.moving.get(key) === NOWHERE) return VIEW;
    const proposal = this.#propose(pool, context, key, way);
    if (way === 'degraded') {
      const bound = proposal && bindings.claimAlone(names, proposal);
      if (bound !== undefined) take(context, bound);
      return knownHere(pool, names, epoch) ?? noInstance(routingState);
    }
    if (proposal === undefined) {
      // No instance takes new agents, but a draining instance still serves those bound to it.
      const binding = await bindings.lookup(names);
      if (binding === undefined) return noInstance(routingState);
      recordDecision(context, 'bound');
      return { binding, epoch };
    }
    // A store that is late may be away. Ask the view store already now, so that this is known when the claim fails.
    const late = this.#late.start(() => void this.#coordinator.renew(pool.name));
    const cause: Cause = moveOf(routingState, key) ?? { kind: 'claimed', balancer: pool.balancerName };
    const isLogon = context.isLogon === true;
    const leaves = isLogon ? drainingIn(routingState.view) : undefined;
    const rebalance = isLogon && canRebalance(pool) ? rebalanceIn(pool) : undefined;
    const bound = await bindings
      .claim(names, { ...proposal, cause }, routingState.fencingToken, leaves, rebalance)
      .finally(() => late.stop());
    take(context, bound);
    return { binding: bound.binding, epoch, unused: bound.decision === 'bound' ? proposal : undefined };
  }

  async #move(
    pool: Pool,
    context: RoutedRequest,
    names: readonly Name[],
    { binding: from, unused }: Learnt,
  ): Promise<Learnt | Wait> {
    const { routingState, bindings } = pool;
    const { way, epoch } = howToBind(routingState);
    if (way === 'renew' || way === 'wait') return noWay(routingState, way);
    // By the root and not the request's first name, so that all gateways propose the same instance.
    const key = storedKey(from.root);
    const next = turnOf(pool, key, unused) ?? this.#propose(pool, context, key, way);
    if (next === undefined) return noInstance(routingState);
    const loss = lossOf(routingState.view, from);
    const cause =
      moveOf(routingState, key) ?? (loss && ({ kind: 'rebound', from: from.instance, loss } as const));
    const moved =
      way === 'claim'
        ? await bindings.rebind(names, from, { ...next, cause }, routingState.fencingToken)
        : bindings.moveAlone(names, from, next);
    if (moved.decision === 'rebound') context.sessionLost = true;
    recordDecision(context, moved.decision);
    return { binding: moved.binding, epoch };
  }

  #propose(pool: Pool, context: RoutedRequest, key: string, way: WayToBind): Proposal | undefined {
    const { view, candidates } = pool.routingState;
    const to = view.moving.get(key);
    if (to !== undefined) {
      const target = view.instances.get(to);
      return target !== undefined && isUsable(target) ? placementAt(target) : undefined;
    }
    const group = groupOf(pool, context);
    if (group !== undefined)
      return way === 'degraded' ? groupPlaceAlone(pool, group) : proposeInGroup(pool, group);
    // Without the store, gateways cannot agree, but with rendezvous hashing all of them choose the same instance.
    const chosen = way === 'degraded' ? rendezvous(candidates, key) : proposeNew(pool, key);
    return chosen && placementAt(chosen);
  }
}

/** An agent takes one turn, although its binding is claimed before it is moved. Other balancers go by the key. */
function turnOf(
  { balancerName, routingState }: Pool,
  key: string,
  unused: Proposal | undefined,
): Proposal | undefined {
  if (balancerName !== 'round-robin' || unused === undefined || unused.group !== undefined) return undefined;
  const { view, candidates } = routingState;
  const { instance, incarnation } = unused;
  const isOpen = candidates.some((one) => one.id === instance && one.incarnation === incarnation);
  return isOpen && !view.moving.has(key) ? unused : undefined;
}

/** The operator's move of the agent, if one is under way. */
function moveOf({ view }: RoutingState, key: string): Cause | undefined {
  if (!view.moving.has(key)) return undefined;
  const { by = '', why = '' } = view.moves?.get(key) ?? {};
  return { kind: 'moved', by, why };
}

/** The error for a request that has waited without success. */
export function errorAfterWait(
  { wait }: Wait,
  { claimFailure }: Pick<RoutingState, 'claimFailure'>,
): ErrorCode {
  switch (wait) {
    case 'starting':
      return 'GW_STARTING';
    case 'no-instance':
    case 'view':
      return 'GW_NO_INSTANCE';
    case 'store':
      return claimFailure === undefined ? 'GW_AFFINITY_UNAVAILABLE' : 'GW_BINDING_UNAVAILABLE';
    case 'lease':
      return 'GW_AFFINITY_UNAVAILABLE';
  }
}

/** @throws GatewayError if waiting does not help */
function stay(verdict: 'wait' | 'renew' | 'cut-off' | 'differs'): Wait {
  if (verdict === 'differs') throw new GatewayError('GW_CONFIG_DIFFERS');
  if (verdict === 'cut-off') throw new GatewayError('GW_INSTANCE_CUT_OFF');
  return verdict === 'renew' ? LEASE : VIEW;
}

/** Without a lease, the epoch is 0, so that the store is asked again when it is back. */
function howToBind(routingState: RoutingState): { way: WayToBind; epoch: number } {
  const mono = performance.now();
  const wall = Date.now();
  const epoch = routingState.modeAt(mono, wall) === 'leased' ? routingState.view.epoch : 0;
  return { way: wayToBind(routingState, mono, wall), epoch };
}

/** The lease is valid, but the store does not answer and has given no fencing token. */
function isWithoutAnswer(routingState: RoutingState): boolean {
  const { fencingToken, isBlocked, before } = routingState;
  if (fencingToken !== '' || isBlocked || before !== undefined) return false;
  return routingState.modeAt(performance.now(), Date.now()) === 'leased';
}

function noWay(routingState: RoutingState, way: 'renew' | 'wait'): Wait {
  if (way === 'renew') return LEASE;
  return routingState.isBlocked || routingState.before !== undefined ? VIEW : STORE;
}

/**
 * To be called if no instance takes new agents.
 *
 * @throws GatewayError if other gateways could place the agent
 */
function noInstance({ view, cutOff }: RoutingState): Wait {
  const isCutOff = view.assignable.length > 0 && view.assignable.every(({ id }) => cutOff.has(id));
  return isCutOff ? stay('cut-off') : NO_INSTANCE;
}

/** @throws GatewayError if the pool refuses requests without a name */
function isBound(pool: Pool, { user, session, address }: RoutedRequest): boolean {
  if (!pool.bindsAgents) return false;
  if (user !== undefined || session !== undefined || address !== undefined) return true;
  if (pool.mode === 'sticky' && pool.anonymous === 'refuse') throw new GatewayError('GW_IDENTITY_MISSING');
  return false;
}

/**
 * The cached binding. One from the store keeps its epoch, so that it can prove outdated. One decided here has epoch 0;
 * it gets the caller's epoch and never does.
 */
function knownHere({ bindings }: Pool, names: readonly RequestName[], epoch: number): Learnt | undefined {
  for (const name of byWeight(names)) {
    const entry = bindings.get(name);
    if (entry !== undefined)
      return { binding: entry.binding, epoch: entry.epoch === 0 ? epoch : entry.epoch };
  }
  return undefined;
}

function take(context: RoutedRequest, { decision, passedOver }: Bound): void {
  recordDecision(context, decision);
  context.passedOver ??= passedOver;
}

/** A later `bound` does not overwrite `claimed` or `rebound`, which say more. */
function recordDecision(context: RoutedRequest, decision: Decision | 'anonymous'): void {
  if (decision !== 'bound' || context.decision === 'refused') context.decision = decision;
}
