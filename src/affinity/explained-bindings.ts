import type { AgentBindings, AgentLogOffs, Bound, CachedBinding } from '../core/agent-bindings.ts';
import type { Binding, Placement, Proposal } from '../core/binding.ts';
import { passedOver } from '../core/claimed-names.ts';
import type { ExplainableBindings, StoreNote } from '../core/explainable-bindings.ts';
import type { Holdings } from '../core/holdings.ts';
import { forecastClaim, forecastLookup } from '../core/holdings.ts';
import type { Name, Names, RequestName } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore } from '../core/ports.ts';
import { NamesNoAgent, StoreFull } from '../core/ports.ts';
import { storedForm, storedKey } from '../core/stored-name.ts';
import type { BindingCache } from './binding-cache.ts';
import type { DegradedDecisions } from './degraded-decisions.ts';
import type { Trust } from './trust.ts';

export interface ExplainedBindingsOptions {
  readonly bindings: AgentBindings;
  readonly store: Pick<AffinityStore, 'peek'>;
  readonly cache: Pick<BindingCache, 'isConfirmed' | 'mayHold'>;
  readonly trust: Trust;
  readonly degraded: Pick<DegradedDecisions, 'weigh'>;
}

const NO_LOG_OFFS: AgentLogOffs = {
  begin: () => undefined,
  end: () => {},
  logOff: async () => {},
};

/**
 * The bindings of a pool for one request that is only explained: whatever the router decides by them, nothing is bound,
 * moved, renewed or remembered. It notes what was looked at.
 */
export class ExplainedBindings implements ExplainableBindings {
  readonly #options: ExplainedBindingsOptions;
  /** What would be decided here without the store, by the keys of names. */
  readonly #decided = new Map<string, CachedBinding>();
  readonly logOffs = NO_LOG_OFFS;
  readonly notes: StoreNote[] = [];

  constructor(options: ExplainedBindingsOptions) {
    this.#options = { ...options, store: askingOnce(options.store) };
  }

  again(): ExplainedBindings {
    return new ExplainedBindings(this.#options);
  }

  get isComplete(): boolean {
    return this.#options.bindings.isComplete;
  }

  placeOf(group: string, holds: (binding: Binding) => boolean): InstanceId | undefined {
    return this.#options.bindings.placeOf(group, holds);
  }

  awaitsAnswer(names: readonly Name[]): boolean {
    return this.#options.bindings.awaitsAnswer(names);
  }

  findFor(names: Names): CachedBinding | undefined {
    return this.#options.bindings.findFor(names);
  }

  get(name: Name): CachedBinding | undefined {
    return this.#decided.get(storedKey(name)) ?? this.#options.bindings.get(name);
  }

  isTrusted(...[entry, state, isDegraded]: Parameters<AgentBindings['isTrusted']>): boolean {
    const { cache, trust } = this.#options;
    return isDegraded || cache.isConfirmed(entry, state.view, performance.now(), trust);
  }

  isUsableUnconfirmed(...[entry, state]: Parameters<AgentBindings['isUsableUnconfirmed']>): boolean {
    return this.#options.cache.mayHold(entry, state.view, performance.now());
  }

  invalidate(): void {}

  async claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    leaves?: readonly InstanceId[],
  ): Promise<Bound> {
    const { group } = proposal;
    const holdings = await this.#options.store.peek(names, { fencingToken, group, needsRoom: true });
    const { by, claim, isFull, ...holds } = forecastClaim(names, holdings, proposal, leaves);
    this.notes.push({
      kind: 'claim',
      by,
      ...holds,
      holdings,
      binding: claim?.binding,
      made: claim?.made === true && !isFull,
      isFull,
    });
    if (claim === undefined) throw new NamesNoAgent();
    if (isFull) throw new StoreFull();
    return {
      binding: claim.binding,
      decision: claim.made ? 'claimed' : 'bound',
      passedOver: passedOver(names, claim),
    };
  }

  async rebind(
    _names: readonly Name[],
    expected: Binding,
    proposal: Proposal,
    fencingToken: string,
  ): Promise<Bound> {
    const { group } = proposal;
    const { place } = await this.#options.store.peek([expected.root], { fencingToken, group, isMove: true });
    return this.#moved(expected, place ?? proposal);
  }

  async lookup(names: readonly RequestName[]): Promise<Binding | undefined> {
    const holdings = await this.#options.store.peek(names);
    const binding = forecastLookup(names, holdings);
    this.notes.push({ kind: 'lookup', holdings, binding });
    return binding;
  }

  claimAlone(names: readonly RequestName[], placement: Placement): Bound {
    const { known, leading, passedOver: other } = this.#options.degraded.weigh(names);
    this.notes.push({ kind: 'alone', binding: known?.binding });
    if (known !== undefined) {
      for (const name of leading) this.#decided.set(storedKey(name), known);
      return { binding: known.binding, decision: 'bound', passedOver: other };
    }
    const binding = this.#placed(leading, leading[0] ?? (names[0] as Name), placement);
    return { binding, decision: 'storeless' };
  }

  moveAlone(names: readonly Name[], expected: Binding, placement: Placement): Bound {
    const key = storedKey(expected.root);
    this.#placed(
      names.filter((name) => this.get(name)?.key === key),
      expected.root,
      placement,
    );
    return this.#moved(expected, placement);
  }

  #moved(from: Binding, { instance, incarnation }: Placement): Bound {
    const binding = { root: from.root, instance, incarnation, generation: from.generation + 1 };
    this.notes.push({ kind: 'move', from, binding });
    return { binding, decision: 'rebound' };
  }

  /** As `DegradedDecisions.place` does. */
  #placed(names: readonly Name[], root: Name, { instance, incarnation }: Placement): Binding {
    const { kind, value } = storedForm(root);
    const binding: Binding = { root: { kind, value }, instance, incarnation, generation: 0 };
    const entry: CachedBinding = {
      key: storedKey(root),
      binding,
      names: [binding.root],
      checkedAt: Number.NEGATIVE_INFINITY,
      renewedAt: Number.NEGATIVE_INFINITY,
      usedAt: performance.now(),
      epoch: 0,
      renewing: false,
      isNew: false,
      isEnding: false,
    };
    for (const name of [binding.root, ...names]) this.#decided.set(storedKey(name), entry);
    return binding;
  }
}

/** Asks the store the same thing once, also if it does not answer: the router would ask for each choice of a balancer. */
function askingOnce(store: Pick<AffinityStore, 'peek'>): Pick<AffinityStore, 'peek'> {
  const asked = new Map<string, Promise<Holdings>>();
  return {
    peek: (names, options) => {
      const key = JSON.stringify([names, options]);
      const asking = asked.get(key) ?? store.peek(names, options);
      asked.set(key, asking);
      return asking;
    },
  };
}
