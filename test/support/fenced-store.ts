import type { Binding, Claim, Placement, Proposal } from '../../src/core/binding.ts';
import type { GroupsThere } from '../../src/core/groups.ts';
import type { Holdings } from '../../src/core/holdings.ts';
import type { Name } from '../../src/core/identity.ts';
import type { InstanceId } from '../../src/core/instance.ts';
import type {
  AffinityListener,
  AffinityStore,
  BindingPage,
  KnownBinding,
  ListedBinding,
  PeekOptions,
} from '../../src/core/ports.ts';
import { StaleView, StoreUnavailable } from '../../src/core/ports.ts';
import { storedForm, storedKey } from '../../src/core/stored-name.ts';

/** A store in memory for root names only. It can be away, and records its calls. */
export class FencedStore implements AffinityStore {
  readonly bindings = new Map<string, Binding>();
  readonly asked: string[] = [];
  /** Why each binding was made or moved, by the key of its root. */
  readonly causes = new Map<string, Proposal['cause']>();
  isAway = false;
  /** Runs during a call, before the answer. */
  meanwhile: (() => void)[] = [];
  readonly #fencingToken: () => string;

  /** @param fencingToken returns the valid token of the moment */
  constructor(fencingToken: () => string) {
    this.#fencingToken = fencingToken;
  }

  async claim([name]: readonly Name[], proposal: Proposal, fencingToken: string): Promise<Claim> {
    this.#ask('claim', fencingToken);
    const held = this.bindings.get(storedKey(name as Name));
    if (held !== undefined) return { binding: held, made: false };
    this.causes.set(storedKey(name as Name), proposal.cause);
    return { binding: this.hold(name as Name, proposal, 1), made: true };
  }

  async rebind(expected: Binding, proposal: Proposal, fencingToken: string): Promise<Claim> {
    this.#ask('rebind', fencingToken);
    const held = this.bindings.get(storedKey(expected.root));
    if (held !== undefined && held.generation !== expected.generation) return { binding: held, made: false };
    this.causes.set(storedKey(expected.root), proposal.cause);
    return { binding: this.hold(expected.root, proposal, expected.generation + 1), made: true };
  }

  async find(): Promise<ListedBinding | undefined> {
    return undefined;
  }

  async peek([name]: readonly Name[], { fencingToken }: PeekOptions = {}): Promise<Holdings> {
    if (this.isAway) throw new StoreUnavailable('away');
    if (fencingToken !== undefined && fencingToken !== this.#fencingToken())
      throw new StaleView('another fencing token is valid');
    const root = storedForm(name as Name);
    const binding = this.bindings.get(storedKey(root));
    const holding = {
      binding,
      root,
      isFound: false,
      isFoundAlias: false,
      hasLoggedOff: false,
      isNew: binding === undefined,
    };
    const isSession = root.kind === 'session';
    return {
      user: isSession ? undefined : holding,
      session: isSession ? holding : undefined,
      note: undefined,
      place: undefined,
      room: undefined,
    };
  }

  async renew([name]: readonly Name[]): Promise<Binding | undefined> {
    this.#ask('renew');
    return this.bindings.get(storedKey(name as Name));
  }

  async restore(entries: readonly KnownBinding[]): Promise<Binding[]> {
    this.#ask('restore');
    return entries.map(({ binding }) => {
      const held = this.bindings.get(storedKey(binding.root));
      return held ?? this.hold(binding.root, binding, binding.generation);
    });
  }

  async release({ root, generation }: Binding, fencingToken: string): Promise<Binding | undefined> {
    this.#ask('release', fencingToken);
    const held = this.bindings.get(storedKey(root));
    if (held !== undefined && held.generation !== generation) return held;
    this.bindings.delete(storedKey(root));
    return undefined;
  }

  async logOff({ root, generation }: Binding): Promise<Binding | undefined> {
    this.#ask('logOff');
    const held = this.bindings.get(storedKey(root));
    return held?.generation === generation ? this.hold(root, held, generation + 1) : undefined;
  }

  async counts(): Promise<ReadonlyMap<InstanceId, number>> {
    return new Map();
  }

  async groups(): Promise<ReadonlyMap<InstanceId, GroupsThere>> {
    return new Map();
  }

  async list(): Promise<BindingPage> {
    return { bindings: [], cursor: undefined };
  }

  listen(listener: AffinityListener): void {
    listener.onGap();
  }

  async close(): Promise<void> {}

  hold(root: Name, { instance, incarnation }: Placement, generation: number): Binding {
    const binding: Binding = { instance, incarnation, root, generation };
    this.bindings.set(storedKey(root), binding);
    return binding;
  }

  #ask(what: string, fencingToken?: string): void {
    this.asked.push(what);
    this.meanwhile.shift()?.();
    if (this.isAway) throw new StoreUnavailable('away');
    if (fencingToken !== undefined && fencingToken !== this.#fencingToken())
      throw new StaleView('another fencing token is valid');
  }
}
