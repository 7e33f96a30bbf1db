import type { Bound } from '../core/agent-bindings.ts';
import type { Binding, Claim, Proposal } from '../core/binding.ts';
import { leading, passedOver, sharedSession } from '../core/claimed-names.ts';
import type { Name, RequestName } from '../core/identity.ts';
import { byWeight } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore } from '../core/ports.ts';
import { StaleView } from '../core/ports.ts';
import type { Rebalance } from '../core/rebalance.ts';
import { epochOf } from '../core/view/view-store.ts';
import type { BindingCache, Confirmation } from './binding-cache.ts';
import type { BindingsEvents } from './bindings-options.ts';
import type { RecentInvalidations } from './recent-invalidations.ts';
import type { StoreMonitor } from './store-monitor.ts';
import { TimedOutClaims } from './timed-out-claims.ts';

// A renewal does not tell which of two names led to the binding.
const NOT_TOLD: readonly Name[] = [];

/** When, in which epoch and in which store generation the store was asked. */
interface Asked extends Confirmation {
  readonly storeGeneration: string | undefined;
}

export interface ClaimsOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  /** The name of this gateway. */
  readonly gateway: string;
  /** The epoch of the newest agreed view that is known here. */
  readonly epoch: () => number;
  readonly monitor: StoreMonitor;
  readonly invalidations: RecentInvalidations;
  readonly events: BindingsEvents;
  /** Called after an answer to a request that news about these names, the root first, have overtaken. */
  readonly onOvertaken: (names: readonly Name[], askedAt: number) => void;
  /** Names on probation gave way to new ones. */
  readonly onReplaced: (names: readonly Name[]) => void;
}

/** Asks the store about the bindings of agents, and takes its answers into the cache, also late ones. */
export class Claims {
  readonly #options: ClaimsOptions;
  readonly #timedOut = new TimedOutClaims(() => this.#onLateAnswers());
  #onLateAnswers: () => void = () => {};
  /** The latest known store generation. */
  #storeGeneration: string | undefined;

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /** The store may have lost what it said before. */
  beginGeneration(storeGeneration: string | undefined): void {
    this.#storeGeneration = storeGeneration;
  }

  /** May the store still carry out a claim or move of one of these names that timed out? */
  awaitsAnswer(names: readonly Name[]): boolean {
    return this.#timedOut.isOpen(names);
  }

  /** At most one listener, called after late answers to claims. */
  onLateAnswers(listener: () => void): void {
    this.#onLateAnswers = listener;
  }

  /** @throws StaleView | StoreUnavailable | StoreFull | NamesNoAgent */
  async claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    leaves: readonly InstanceId[] | undefined,
    rebalance: Rebalance | undefined,
  ): Promise<Bound> {
    const { store, cache } = this.#options;
    const asked = this.#asking(epochOf(fencingToken));
    const claim = await this.#answered(
      names,
      asked,
      'claim',
      store.claim(names, this.#named(proposal), fencingToken, cache.oldestAlias(names), leaves, rebalance),
    );
    const decision = claim.made ? 'claimed' : 'bound';
    return { binding: claim.binding, decision, passedOver: passedOver(names, claim) };
  }

  /** @throws StaleView | StoreUnavailable */
  async rebind(
    names: readonly Name[],
    expected: Binding,
    proposal: Proposal,
    fencingToken: string,
  ): Promise<Bound> {
    const { store, cache, events } = this.#options;
    const asked = this.#asking(epochOf(fencingToken));
    const moving = store.rebind(expected, this.#named(proposal), fencingToken);
    const claim = await this.#answered(cache.leadingTo(expected, names), asked, 'rebind', moving);
    if (claim.made) events.onRebound();
    return { binding: claim.binding, decision: claim.made ? 'rebound' : 'bound' };
  }

  /** @throws StoreUnavailable */
  lookup(names: readonly RequestName[]): Promise<Binding | undefined> {
    return this.#ask('lookup', byWeight(names), names.length === 1 ? names : NOT_TOLD);
  }

  /**
   * Restarts the lifetime of the binding.
   *
   * @param seenAgoMs see {@link AffinityStore.renew}
   * @throws StoreUnavailable
   */
  renew(names: readonly Name[], seenAgoMs?: number): Promise<Binding | undefined> {
    return this.#ask('renew', names, names, seenAgoMs);
  }

  #named(proposal: Proposal): Proposal {
    return { ...proposal, gateway: this.#options.gateway };
  }

  #asking(epoch: number): Asked {
    return { askedAt: performance.now(), epoch, storeGeneration: this.#storeGeneration };
  }

  /** Learns from the store's answer, even from a late one. */
  async #answered(
    names: readonly Name[],
    asked: Asked,
    operation: 'claim' | 'rebind',
    asking: Promise<Claim>,
  ): Promise<Claim> {
    let claim: Claim;
    try {
      claim = await this.#options.monitor.count(operation, asking);
    } catch (failure) {
      this.#timedOut.await(names, failure, (late) => this.#learn(names, late, asked));
      throw failure;
    }
    this.#learn(names, claim, asked);
    // What was done in an earlier store generation may be lost, so the caller has to ask again.
    if (asked.storeGeneration !== this.#storeGeneration)
      throw new StaleView('the store has begun another generation');
    return claim;
  }

  /** Asks the store for the binding, as of the epoch known when it is asked. */
  async #ask(
    operation: 'lookup' | 'renew',
    names: readonly Name[],
    told: readonly Name[],
    seenAgoMs?: number,
  ): Promise<Binding | undefined> {
    const { monitor, store, epoch } = this.#options;
    const asked = this.#asking(epoch());
    const binding = await monitor.count(operation, store.renew(names, seenAgoMs));
    if (binding !== undefined) this.#learn(told, { binding, made: false }, asked, operation === 'lookup');
    return binding;
  }

  /** @param isOfRequest false for a renewal in the background */
  #learn(
    names: readonly RequestName[],
    claim: Claim,
    { askedAt, epoch, storeGeneration }: Asked,
    isOfRequest = true,
  ): void {
    const { cache, events, invalidations, onOvertaken, onReplaced } = this.#options;
    if (claim.conflict !== undefined && passedOver(names, claim) === undefined) {
      events.onConflict(names, claim.conflict, claim.binding);
    }
    const shared = sharedSession(names, claim);
    if (shared !== undefined) {
      cache.share(shared, askedAt);
      events.onShared(shared);
    }
    const led = leading(names, claim);
    if (invalidations.isOutdated([...led, claim.binding.root], askedAt)) {
      if (isOfRequest) onOvertaken([claim.binding.root, ...led], askedAt);
      return;
    }
    if (claim.replaced !== undefined) {
      onReplaced(claim.replaced);
      events.onReplaced(claim.replaced.length);
    }
    // The store may have lost what it said in an earlier generation, and it may have been too late to write it back.
    const entry = cache.put(led, claim.binding, {
      askedAt,
      epoch: storeGeneration === this.#storeGeneration ? epoch : 0,
    });
    entry.isNew = claim.isNew === true;
  }
}
