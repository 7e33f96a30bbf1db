import type { Bound, CachedBinding } from '../core/agent-bindings.ts';
import type { Binding, Placement } from '../core/binding.ts';
import type { SessionHolds } from '../core/evidence.ts';
import { leadsTo, ruling } from '../core/evidence.ts';
import type { Name, RequestName } from '../core/identity.ts';
import { namedBy, nameKey } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import { storedForm } from '../core/stored-name.ts';
import type { BindingCache } from './binding-cache.ts';
import type { BindingsEvents } from './bindings-options.ts';
import type { WriteBackQueue } from './write-back-queue.ts';

/** Which binding the names of a request lead to, as far as this gateway knows. */
interface Weighed {
  /** `undefined` if the agent is new here. */
  readonly known: CachedBinding | undefined;
  /** The names that lead to it, or will. */
  readonly leading: readonly RequestName[];
  /** See {@link Bound.passedOver}. */
  readonly passedOver: InstanceId | undefined;
  /** The other placement of an agent who is bound to two instances. */
  readonly elsewhere: Placement | undefined;
}

/** Decides about bindings while the store is away. Every decision enters the write-back queue. */
export class DegradedDecisions {
  readonly #cache: BindingCache;
  readonly #writeBackQueue: WriteBackQueue;
  readonly #events: Pick<BindingsEvents, 'onConflict' | 'onDecidedAlone'>;

  constructor(
    cache: BindingCache,
    writeBackQueue: WriteBackQueue,
    events: Pick<BindingsEvents, 'onConflict' | 'onDecidedAlone'>,
  ) {
    this.#cache = cache;
    this.#writeBackQueue = writeBackQueue;
    this.#events = events;
  }

  /** Known agents stay, unknown ones are placed. */
  claim(names: readonly RequestName[], placement: Placement): Bound {
    const { known, leading, passedOver, elsewhere } = this.weigh(names);
    if (known === undefined) {
      const root = leading[0] ?? (names[0] as Name);
      return { binding: this.place(leading, root, placement), decision: 'storeless' };
    }
    this.#join(leading, known);
    if (elsewhere !== undefined) this.#events.onConflict(names, elsewhere, known.binding);
    return { binding: known.binding, decision: 'bound', passedOver };
  }

  /** Weighs the names by the store's own rules, on cached data. Changes nothing. */
  weigh(names: readonly RequestName[]): Weighed {
    const user = names.find(({ kind }) => kind !== 'session');
    const session = names.find(({ kind }) => kind === 'session');
    const ofUser = user && this.#get(user);
    const ofSession = session && this.#get(session);
    const named = namedBy(names);
    const by = ruling(named, ofUser === undefined ? 'nothing' : 'binding', sessionHolds(ofUser, ofSession));
    const leads = leadsTo(by);
    const leading = names.filter(({ kind }) => (kind === 'session' ? leads.session : leads.user));
    const takes = by === 'session' || by === 'take' || by === 'take-found';
    const known = takes ? ofSession : ofUser;
    const other = (takes ? ofUser : ofSession)?.binding ?? known?.binding;
    const isFound = named.user === 'found' || named.session === 'found';
    const isElsewhere = known !== undefined && other?.instance !== known.binding.instance;
    return {
      known,
      leading,
      passedOver: isElsewhere && isFound ? other?.instance : undefined,
      elsewhere: isElsewhere && !isFound ? other : undefined,
    };
  }

  /** Generation 0, because no other gateway has agreed: any binding that came from the store wins against it. */
  place(names: readonly Name[], root: Name, { instance, incarnation }: Placement): Binding {
    const { kind, value } = storedForm(root);
    const binding: Binding = { root: { kind, value }, instance, incarnation, generation: 0 };
    const entry = this.#cache.decide(names, binding, performance.now());
    this.#writeBackQueue.write(entry.names, binding, 0, Date.now());
    this.#events.onDecidedAlone?.(binding, entry.names.slice(1));
    return binding;
  }

  #join(names: readonly Name[], known: CachedBinding): void {
    if (names.every((name) => this.#get(name) === known)) return;
    this.#cache.join(names, known);
    this.#writeBackQueue.write(known.names, known.binding, known.epoch);
  }

  #get({ kind, value }: Name): CachedBinding | undefined {
    return this.#cache.get(nameKey(kind, value));
  }
}

/** The cache does not know which names were only found in bodies, so all of them count as asserted. */
function sessionHolds(ofUser: CachedBinding | undefined, ofSession: CachedBinding | undefined): SessionHolds {
  if (ofSession === undefined) return 'nothing';
  if (ofSession === ofUser) return 'same';
  return ofSession.binding.root.kind === 'session' ? 'itself' : 'other';
}
