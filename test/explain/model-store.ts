import type { Binding, Claim, Proposal } from '../../src/core/binding.ts';
import type { GroupsThere } from '../../src/core/groups.ts';
import type { Holding, Holdings, NameRoom } from '../../src/core/holdings.ts';
import type { Name, RequestName } from '../../src/core/identity.ts';
import { nameKey, parseNameKey } from '../../src/core/identity.ts';
import type {
  AffinityListener,
  AffinityStore,
  BindingPage,
  KnownBinding,
  ListedBinding,
  LogOff,
  PeekOptions,
} from '../../src/core/ports.ts';
import { NamesNoAgent, StaleView, StoreFull, StoreUnavailable } from '../../src/core/ports.ts';
import { keyOf, Model } from '../contract/affinity-model.ts';

/** An AffinityStore in memory: the model of the contract tests. */
export class ModelStore implements AffinityStore {
  readonly model: Model;
  isAway = false;
  /** How often it was asked for what names hold. */
  peeks = 0;
  /** The only valid fencing token. */
  fencingToken = '1.t:g';

  /** @param most names of the pool */
  constructor(most?: number) {
    this.model = new Model(most);
  }

  async claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    _oldest?: Name,
    leaves?: readonly string[],
  ): Promise<Claim> {
    this.#ask(fencingToken);
    const claim = this.model.claim(names, proposal, leaves);
    if (claim === 'no-agent') throw new NamesNoAgent();
    if (claim === 'full') throw new StoreFull();
    return claim;
  }

  async rebind(expected: Binding, proposal: Proposal, fencingToken: string): Promise<Claim> {
    this.#ask(fencingToken);
    return this.model.rebind(expected, proposal);
  }

  async peek(
    names: readonly RequestName[],
    { fencingToken, needsRoom = false }: PeekOptions = {},
  ): Promise<Holdings> {
    this.peeks += 1;
    this.#ask(fencingToken);
    const user = names.find(({ kind }) => kind !== 'session');
    const session = names.find(({ kind }) => kind === 'session');
    const key = session === undefined ? '' : keyOf(session);
    const { shared, former } = this.model;
    const alternates = user !== undefined && former.get(key)?.includes(keyOf(user)) === true;
    return {
      user: user && this.#holding(user),
      session: session && this.#holding(session),
      note: shared.has(key) ? 'shared' : alternates ? 'alternates' : undefined,
      place: undefined,
      room: needsRoom ? this.#room(names.map(keyOf)) : undefined,
    };
  }

  async find(names: readonly Name[]): Promise<ListedBinding | undefined> {
    this.#ask();
    const binding = names.map((name) => this.model.resolve(name)).find((one) => one !== undefined);
    return binding && { binding, expiresInMs: 1_000 };
  }

  async renew(names: readonly Name[]): Promise<Binding | undefined> {
    this.#ask();
    return this.model.renew(names);
  }

  async restore(entries: readonly KnownBinding[]): Promise<(Binding | undefined)[]> {
    this.#ask();
    return entries.map((entry) => this.model.restore(entry));
  }

  async release(expected: Binding, fencingToken: string): Promise<Binding | undefined> {
    this.#ask(fencingToken);
    return this.model.release(expected);
  }

  async logOff(expected: Binding, { isAgain = false }: LogOff): Promise<Binding | undefined> {
    this.#ask();
    return this.model.logOff(expected, isAgain);
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    return this.model.counts();
  }

  async groups(): Promise<ReadonlyMap<string, GroupsThere>> {
    return new Map();
  }

  async list(): Promise<BindingPage> {
    const bindings = [...this.model.roots.values()].map((binding) => ({ binding, expiresInMs: 1_000 }));
    return { bindings, cursor: undefined };
  }

  listen(listener: AffinityListener): void {
    listener.onGap();
  }

  async close(): Promise<void> {}

  #room(names: readonly string[]): NameRoom {
    const own = new Set(names.flatMap((name) => [name, this.model.rootOf(name)]));
    const replaceable = [...this.model.newcomers].filter((name) => !own.has(name)).length;
    return { free: this.model.most - this.model.names, replaceable: Math.min(replaceable, names.length) };
  }

  #holding(name: Name): Holding {
    const key = keyOf(name);
    const binding = this.model.resolve(name);
    const root = binding === undefined ? undefined : nameKey(binding.root.kind, binding.root.value);
    const next = root ?? this.model.rootWithout(key) ?? key;
    return {
      binding,
      root: parseNameKey(next) as Name,
      isFound: root !== undefined && this.model.found.has(root),
      isFoundAlias: !this.model.roots.has(key) && this.model.found.has(key),
      isNew: !this.model.roots.has(key) && !this.model.pointers.has(key),
      hasLoggedOff: root !== undefined && this.model.loggedOff.has(root),
    };
  }

  #ask(fencingToken?: string): void {
    if (this.isAway) throw new StoreUnavailable('away');
    if (fencingToken !== undefined && fencingToken !== this.fencingToken)
      throw new StaleView('another fencing token is valid');
  }
}
