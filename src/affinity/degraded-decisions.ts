import type { Bound, CachedBinding } from '../core/agent-bindings.ts';
import type { Binding, Placement } from '../core/binding.ts';
import type { SessionHolds } from '../core/evidence.ts';
import { leadsTo, ruling } from '../core/evidence.ts';
import type { Name, RequestName } from '../core/identity.ts';
import { namedBy, nameKey } from '../core/identity.ts';
import { storedForm } from '../core/stored-name.ts';
import type { BindingCache } from './binding-cache.ts';
import type { WriteBackQueue } from './write-back-queue.ts';

/** Decides about bindings while the store is away. Every decision enters the write-back queue. */
export class DegradedDecisions {
  readonly #cache: BindingCache;
  readonly #writeBackQueue: WriteBackQueue;
  readonly #onConflict: (names: readonly Name[], was: Placement, now: Placement) => void;

  constructor(
    cache: BindingCache,
    writeBackQueue: WriteBackQueue,
    onConflict: (names: readonly Name[], was: Placement, now: Placement) => void,
  ) {
    this.#cache = cache;
    this.#writeBackQueue = writeBackQueue;
    this.#onConflict = onConflict;
  }

  /** Known agents stay, unknown ones are placed. The names are weighed by the store's own rules, on cached data. */
  claim(names: readonly RequestName[], placement: Placement): Bound {
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
    if (known === undefined) {
      const root = leading[0] ?? (names[0] as Name);
      return { binding: this.place(leading, root, placement), decision: 'storeless' };
    }
    this.#join(leading, known);
    const other = (takes ? ofUser : ofSession)?.binding ?? known.binding;
    const isFound = named.user === 'found' || named.session === 'found';
    const isElsewhere = other.instance !== known.binding.instance;
    if (isElsewhere && !isFound) this.#onConflict(names, other, known.binding);
    return {
      binding: known.binding,
      decision: 'bound',
      passedOver: isElsewhere && isFound ? other.instance : undefined,
    };
  }

  /** Generation 0, because no other gateway has agreed: any binding that came from the store wins against it. */
  place(names: readonly Name[], root: Name, { instance, incarnation }: Placement): Binding {
    const { kind, value } = storedForm(root);
    const binding: Binding = { root: { kind, value }, instance, incarnation, generation: 0 };
    const entry = this.#cache.decide(names, binding, performance.now());
    this.#writeBackQueue.write(entry.names, binding, 0, Date.now());
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
