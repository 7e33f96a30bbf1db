import type { Binding, Claim, Placement } from '../../src/core/binding.ts';
import type { SessionHolds } from '../../src/core/evidence.ts';
import { ruling } from '../../src/core/evidence.ts';
import type { Name, RequestName } from '../../src/core/identity.ts';
import { namedBy, nameKey, parseNameKey } from '../../src/core/identity.ts';
import type { Cause } from '../../src/core/origin.ts';
import type { KnownBinding } from '../../src/core/ports.ts';
import type { Rebalance } from '../../src/core/rebalance.ts';
import { isBetterAt } from '../../src/core/rebalance.ts';
import { storedForm } from '../../src/core/stored-name.ts';

/** AffinityStore without time, in plain maps: a name either holds a binding or leads to a name that does. */
export class Model {
  readonly roots = new Map<string, Binding>();
  readonly pointers = new Map<string, string>();
  /** Keys of roots and of pointers that were found and never asserted. */
  readonly found = new Set<string>();
  /** Users who had a session before, and sessions that are shared. */
  readonly former = new Map<string, string[]>();
  readonly shared = new Set<string>();
  /** Why each root was made or moved last. */
  readonly causes = new Map<string, Cause['kind']>();
  /** The generation of each root's last released binding; the root's mark if it was only found. */
  readonly released = new Map<string, { readonly generation: number; readonly found: boolean }>();
  /** Roots whose agents have logged off and sent no request since. */
  readonly loggedOff = new Set<string>();
  /** Bindings that callers may still have cached. */
  readonly seen: Binding[] = [];
  /** Names on probation, the oldest first. */
  readonly newcomers = new Set<string>();
  readonly most: number;

  constructor(most = Number.POSITIVE_INFINITY) {
    this.most = most;
  }

  /** The names with an entry. */
  get names(): number {
    return new Set([...this.roots.keys(), ...this.pointers.keys()]).size;
  }

  resolve(name: Name): Binding | undefined {
    const key = keyOf(name);
    return this.roots.get(key) ?? this.roots.get(this.pointers.get(key) ?? '');
  }

  /** The root that a key leads to. */
  rootOf(key: string | undefined): string | undefined {
    if (key === undefined || this.roots.has(key)) return key;
    const root = this.pointers.get(key);
    return root !== undefined && this.roots.has(root) ? root : undefined;
  }

  claim(
    names: readonly RequestName[],
    proposal: Placement,
    leaves: readonly string[] = [],
    rebalance?: Rebalance,
  ): Claim | 'no-agent' | 'full' {
    const named = namedBy(names);
    const keys = new Map(names.map((name) => [name.kind === 'session' ? 'session' : 'user', keyOf(name)]));
    const roots = new Set([...keys.values()].map((key) => this.rootOf(key) ?? ''));
    const leaving = [...roots].filter((root) => this.mayLeave(root, proposal.instance, leaves, rebalance));
    for (const root of leaving) this.leave(root);
    const [user, session] = [keys.get('user'), keys.get('session')];
    const userRoot = this.rootOf(user);
    const sessionRoot = this.rootOf(session);
    const held = this.roots.get(userRoot ?? '');
    const at = this.roots.get(sessionRoot ?? '');
    const userHas = held === undefined ? 'nothing' : this.found.has(userRoot ?? '') ? 'found' : 'binding';
    let by = ruling(named, userHas, this.sessionHolds(session, userRoot, sessionRoot));
    if (by === 'no-agent') return 'no-agent';
    const added = [by === 'session' ? undefined : user, by === 'user' ? undefined : session].filter(
      (key): key is string => key !== undefined && !this.roots.has(key) && !this.pointers.has(key),
    );
    const isOfSession = by === 'session' || by === 'take' || by === 'take-found';
    const replaced = this.replace(added.length, (isOfSession ? at : held) !== undefined, [
      ...keys.values(),
      userRoot,
      sessionRoot,
    ]);
    if (replaced === undefined) return 'full';
    for (const key of keys.values()) this.newcomers.delete(key);
    if (by === 'link' && session !== undefined && at !== undefined && userRoot !== sessionRoot) {
      if (sessionRoot !== session && !this.found.has(session))
        by = this.handOn(session, user ?? '', sessionRoot ?? '');
    }
    const root = (by === 'session' ? (sessionRoot ?? this.rootWithout(session)) : userRoot) ?? user ?? '';
    const leads = parseNameKey(root) as Name;
    const ended = this.released.get(root);
    const now = this.shared.has(session ?? '') ? undefined : at;
    const isTaken = by === 'take' || by === 'take-found';
    const next = { ...proposal, root: leads, generation: (ended?.generation ?? 0) + 1 };
    let binding = (by === 'session' ? at : held) ?? next;
    const generation = Math.max(held?.generation ?? ended?.generation ?? 0, at?.generation ?? 0) + 1;
    if (isTaken && at !== undefined) binding = { ...at, root: leads, generation };
    const made = !isTaken && (by === 'session' ? at : held) === undefined;
    if (made || isTaken) this.causes.set(keyOf(binding.root), made ? 'claimed' : 'joined');
    this.hold(binding);
    if (made && by === 'session') {
      this.mark(root, ended?.found === true);
      if (root !== session) this.pointers.set(session ?? '', root);
    }
    if (by !== 'session') {
      const isOnlyFound = named.user === 'found' && (held === undefined || userHas === 'found');
      this.mark(root, isOnlyFound || (by === 'take-found' && named.user === 'found'));
    }
    if (session !== undefined && by !== 'user' && by !== 'session' && session !== root) {
      this.roots.delete(session);
      this.pointers.set(session, root);
      if (by !== 'keep') this.mark(session, by.endsWith('found'));
    }
    const lost = by === 'session' || isTaken ? held : now;
    this.newcomers.delete(root);
    for (const key of added) this.newcomers.add(key);
    const told = {
      ...(added.length > 0 ? ({ isNew: true } as const) : {}),
      ...(replaced.length > 0 ? { replaced: replaced.map((key) => parseNameKey(key) as Name) } : {}),
    };
    if (lost === undefined || samePlace(lost, binding)) return { binding, made, by, ...told };
    return {
      binding,
      made,
      by,
      ...told,
      conflict: { instance: lost.instance, incarnation: lost.incarnation },
    };
  }

  /** The names that give way to `added` new ones; `undefined` if there is no room for an agent who is not bound. */
  replace(added: number, isBound: boolean, except: readonly (string | undefined)[]): string[] | undefined {
    const over = Math.min(added, this.names + added - this.most);
    const places = [...this.newcomers].filter((key) => !except.includes(key)).slice(0, Math.max(over, 0));
    if (places.length < over && !isBound) return undefined;
    for (const key of places) {
      this.roots.delete(key);
      this.pointers.delete(key);
      this.former.delete(key);
      this.newcomers.delete(key);
    }
    return places;
  }

  mayLeave(root: string, to: string, leaves: readonly string[], rebalance: Rebalance | undefined): boolean {
    const held = this.roots.get(root);
    if (held === undefined || !this.loggedOff.has(root)) return false;
    if (leaves.includes(held.instance)) return true;
    const counts = this.counts();
    return rebalance !== undefined && isBetterAt(held.instance, to, rebalance, (id) => counts.get(id) ?? 0);
  }

  /** Ends the binding of an agent who has logged off and logs on again. */
  leave(root: string): void {
    this.roots.delete(root);
    this.loggedOff.delete(root);
    this.newcomers.delete(root);
  }

  logOff(expected: Binding, isAgain = false): Binding | undefined {
    const key = keyOf(expected.root);
    const held = this.roots.get(key);
    if (held?.generation !== expected.generation) return undefined;
    if (isAgain && !this.loggedOff.has(key)) return undefined;
    const after = { ...held, generation: held.generation + 1 };
    this.hold(after);
    this.released.set(key, { generation: after.generation, found: this.found.has(key) });
    this.loggedOff.add(key);
    this.newcomers.delete(key);
    return after;
  }

  renew(names: readonly Name[]): Binding | undefined {
    const held = names.map((name) => this.resolve(name)).find((binding) => binding !== undefined);
    if (held === undefined) return undefined;
    this.loggedOff.delete(keyOf(held.root));
    this.newcomers.delete(keyOf(held.root));
    for (const name of names) if (this.resolve(name) === held) this.newcomers.delete(keyOf(name));
    return held;
  }

  sessionHolds(
    session: string | undefined,
    userRoot: string | undefined,
    root: string | undefined,
  ): SessionHolds {
    if (session !== undefined && this.shared.has(session)) return 'shared';
    if (root === undefined) return 'nothing';
    if (root === userRoot) return 'same';
    if (root === session) return 'itself';
    return this.found.has(session ?? '') ? 'found-other' : 'other';
  }

  /** An asserted session goes from one asserted user to the next, unless that one had it before. */
  handOn(session: string, user: string, from: string): 'link' | 'user' {
    const former = this.former.get(session) ?? [];
    if (former.includes(user)) {
      this.shared.add(session);
      this.pointers.delete(session);
      return 'user';
    }
    this.former.set(session, [...former, from].slice(-8));
    return 'link';
  }

  mark(key: string, isFound: boolean): void {
    if (isFound) this.found.add(key);
    else this.found.delete(key);
  }

  rebind(expected: Binding, proposal: Placement): Claim {
    const held = this.resolve(expected.root);
    const isItself = held !== undefined && keyOf(held.root) === keyOf(expected.root);
    if (held !== undefined && !(isItself && held.generation === expected.generation)) {
      return { binding: held, made: false };
    }
    const ended = this.released.get(keyOf(expected.root))?.generation ?? 0;
    const generation = Math.max(expected.generation, ended) + 1;
    const binding = { ...proposal, root: expected.root, generation };
    this.causes.set(keyOf(binding.root), 'rebound');
    this.newcomers.delete(keyOf(binding.root));
    if (held === undefined) this.mark(keyOf(expected.root), false);
    this.hold(binding);
    return { binding, made: true };
  }

  release(expected: Binding): Binding | undefined {
    const key = keyOf(expected.root);
    const held = this.resolve(expected.root);
    if (held === undefined) return undefined;
    if (keyOf(held.root) !== key || held.generation !== expected.generation) return held;
    this.roots.delete(key);
    this.newcomers.delete(key);
    this.former.delete(key);
    this.released.set(key, { generation: held.generation, found: this.found.has(key) });
    return undefined;
  }

  /** The root that the next binding of a session without one gets: its user, if the user's binding was released. */
  rootWithout(session: string | undefined): string | undefined {
    const root = this.pointers.get(session ?? '');
    return root === undefined || this.pointers.has(root) ? session : root;
  }

  restore({ binding, aliases, placedAt }: KnownBinding): Binding | undefined {
    const key = keyOf(binding.root);
    const known = this.resolve(binding.root);
    const ended = this.released.get(key)?.generation ?? 0;
    if (known === undefined && placedAt === undefined && ended > 0 && binding.generation <= ended)
      return undefined;
    const held = known ?? binding;
    const wasLoggedOff = placedAt === undefined && this.loggedOff.has(keyOf(held.root));
    const free = aliases.filter(
      (alias) => this.resolve(alias) === undefined && !this.shared.has(keyOf(alias)),
    );
    if (this.resolve(binding.root) === undefined) {
      this.mark(keyOf(binding.root), false);
      this.causes.set(key, placedAt === undefined ? 'written-back' : 'placed-alone');
    }
    this.hold(held);
    if (wasLoggedOff) this.loggedOff.add(keyOf(held.root));
    for (const alias of free) {
      if (keyOf(alias) === keyOf(held.root)) continue;
      this.pointers.set(keyOf(alias), keyOf(held.root));
      this.mark(keyOf(alias), false);
    }
    return held;
  }

  hold(binding: Binding): void {
    this.pointers.delete(keyOf(binding.root));
    this.loggedOff.delete(keyOf(binding.root));
    this.roots.set(keyOf(binding.root), binding);
    this.seen.push(binding);
  }

  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { instance } of this.roots.values()) counts.set(instance, (counts.get(instance) ?? 0) + 1);
    return counts;
  }
}

export function keyOf(name: Name): string {
  const { kind, value } = storedForm(name);
  return nameKey(kind, value);
}

function samePlace(a: Placement, b: Placement): boolean {
  return a.instance === b.instance && a.incarnation === b.incarnation;
}
