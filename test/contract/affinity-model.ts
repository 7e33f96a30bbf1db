import * as fc from 'fast-check';
import { expect } from 'vitest';
import type { Binding, Claim, Placement } from '../../src/core/binding.ts';
import type { SessionHolds } from '../../src/core/evidence.ts';
import { ruling } from '../../src/core/evidence.ts';
import type { Name, RequestName } from '../../src/core/identity.ts';
import { namedBy, nameKey, parseNameKey } from '../../src/core/identity.ts';
import type { AffinityStore, KnownBinding } from '../../src/core/ports.ts';
import { NamesNoAgent } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import { at, listAll, session, user } from './affinity-store-support.ts';

/** AffinityStore without time, in plain maps: a name either holds a binding or leads to a name that does. */
class Model {
  readonly roots = new Map<string, Binding>();
  readonly pointers = new Map<string, string>();
  /** Keys of roots and of pointers that were found and never asserted. */
  readonly found = new Set<string>();
  /** Users who had a session before, and sessions that are shared. */
  readonly former = new Map<string, string[]>();
  readonly shared = new Set<string>();
  /** Bindings that callers may still have cached. */
  readonly seen: Binding[] = [];

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

  claim(names: readonly RequestName[], proposal: Placement): Claim | 'no-agent' {
    const named = namedBy(names);
    const keys = new Map(names.map((name) => [name.kind === 'session' ? 'session' : 'user', keyOf(name)]));
    const [user, session] = [keys.get('user'), keys.get('session')];
    const userRoot = this.rootOf(user);
    const sessionRoot = this.rootOf(session);
    const held = this.roots.get(userRoot ?? '');
    const at = this.roots.get(sessionRoot ?? '');
    const userHas = held === undefined ? 'nothing' : this.found.has(userRoot ?? '') ? 'found' : 'binding';
    let by = ruling(named, userHas, this.sessionHolds(session, userRoot, sessionRoot));
    if (by === 'no-agent') return 'no-agent';
    if (by === 'link' && session !== undefined && at !== undefined && userRoot !== sessionRoot) {
      if (sessionRoot !== session && !this.found.has(session))
        by = this.handOn(session, user ?? '', sessionRoot ?? '');
    }
    const decider = by === 'session' ? session : user;
    const root = (by === 'session' ? sessionRoot : userRoot) ?? decider ?? '';
    const leads = parseNameKey(root) as Name;
    const now = this.shared.has(session ?? '') ? undefined : at;
    const isTaken = by === 'take' || by === 'take-found';
    let binding = (by === 'session' ? at : held) ?? { ...proposal, root: leads, generation: 1 };
    const generation = Math.max(held?.generation ?? 0, at?.generation ?? 0) + 1;
    if (isTaken && at !== undefined) binding = { ...at, root: leads, generation };
    const made = !isTaken && (by === 'session' ? at : held) === undefined;
    this.hold(binding);
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
    if (lost === undefined || samePlace(lost, binding)) return { binding, made, by };
    return { binding, made, by, conflict: { instance: lost.instance, incarnation: lost.incarnation } };
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
    const binding = { ...proposal, root: expected.root, generation: expected.generation + 1 };
    if (held === undefined) this.mark(keyOf(expected.root), false);
    this.hold(binding);
    return { binding, made: true };
  }

  release(name: Name): void {
    const held = this.resolve(name);
    if (held !== undefined) this.roots.delete(keyOf(held.root));
    this.pointers.delete(keyOf(name));
    this.shared.delete(keyOf(name));
    this.former.delete(keyOf(name));
  }

  restore({ binding, aliases }: KnownBinding): Binding {
    const held = this.resolve(binding.root) ?? binding;
    const free = aliases.filter(
      (alias) => this.resolve(alias) === undefined && !this.shared.has(keyOf(alias)),
    );
    if (this.resolve(binding.root) === undefined) this.mark(keyOf(binding.root), false);
    this.hold(held);
    for (const alias of free) {
      if (keyOf(alias) === keyOf(held.root)) continue;
      this.pointers.set(keyOf(alias), keyOf(held.root));
      this.mark(keyOf(alias), false);
    }
    return held;
  }

  hold(binding: Binding): void {
    this.pointers.delete(keyOf(binding.root));
    this.roots.set(keyOf(binding.root), binding);
    this.seen.push(binding);
  }

  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { instance } of this.roots.values()) counts.set(instance, (counts.get(instance) ?? 0) + 1);
    return counts;
  }
}

type Step = (model: Model, store: AffinityStore, fencingToken: string) => Promise<void>;

/** An empty pool, and a fencing token that is valid there. */
export type OpenPool = () => Promise<{ readonly store: AffinityStore; readonly fencingToken: string }>;

const users = fc.constantFrom('A', 'B', 'C').map(user);
const evidence = fc.record({ found: fc.boolean() });
const borne = (names: fc.Arbitrary<Name>): fc.Arbitrary<RequestName> =>
  fc.tuple(names, evidence).map(([name, how]) => ({ ...name, ...how }));
const sessions = fc.constantFrom('1', '2', '3').map(session);
const anyName = fc.oneof(users, sessions);
const placements = fc
  .tuple(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2'))
  .map(([i, n]) => at(i, n));
const claims = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(borne(users), borne(sessions)) },
  { weight: 1, arbitrary: borne(users).map((name) => [name]) },
  { weight: 1, arbitrary: borne(sessions).map((name) => [name]) },
);
const requests = fc.oneof(
  fc.tuple(users, sessions),
  users.map((name) => [name]),
  sessions.map((name) => [name]),
);

const steps: fc.Arbitrary<[string, Step]> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(claims, placements).map(([names, place]) => claimStep(names, place)) },
  { weight: 3, arbitrary: fc.tuple(fc.nat(), placements).map(([which, place]) => rebindStep(which, place)) },
  { weight: 2, arbitrary: requests.map(renewStep) },
  { weight: 2, arbitrary: anyName.map(releaseStep) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(), fc.uniqueArray(sessions)).map(([w, s]) => restoreStep(w, s)) },
);

function claimStep(names: readonly RequestName[], place: Placement): [string, Step] {
  return [
    `claim ${names.map((name) => keyOf(name) + (name.found === true ? '?' : ''))} ${place.instance}/${place.incarnation}`,
    async (model, store, fencingToken) => {
      const claimed = store.claim(names, place, fencingToken).catch((error: unknown) => {
        if (error instanceof NamesNoAgent) return 'no-agent';
        throw error;
      });
      expect(await claimed).toEqual(model.claim(names, place));
    },
  ];
}

function rebindStep(which: number, place: Placement): [string, Step] {
  return [
    `rebind #${which} ${place.instance}/${place.incarnation}`,
    async (model, store, fencingToken) => {
      const expected = model.seen[which % (model.seen.length || 1)];
      if (expected === undefined) return;
      expect(await store.rebind(expected, place, fencingToken)).toEqual(model.rebind(expected, place));
    },
  ];
}

function renewStep(names: readonly Name[]): [string, Step] {
  return [
    `renew ${names.map(keyOf)}`,
    async (model, store) => {
      const held = names.map((name) => model.resolve(name)).find((binding) => binding !== undefined);
      expect(await store.renew(names)).toEqual(held);
    },
  ];
}

function releaseStep(name: Name): [string, Step] {
  return [
    `release ${keyOf(name)}`,
    async (model, store) => {
      await store.release(name);
      model.release(name);
    },
  ];
}

function restoreStep(which: number, aliases: readonly Name[]): [string, Step] {
  return [
    `restore #${which} with ${aliases.map(keyOf)}`,
    async (model, store) => {
      const binding = model.seen[which % (model.seen.length || 1)];
      if (binding === undefined) return;
      const known = { binding, aliases, epoch: 1 };
      expect(await store.restore([known])).toEqual([model.restore(known)]);
    },
  ];
}

/** After any history of steps the store answers as the model does. `open` gives an empty pool. */
export async function behavesLikeTheModel(open: OpenPool, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 30 }), async (history) => {
      const { store, fencingToken } = await open();
      const model = new Model();
      for (const [, step] of history) await step(model, store, fencingToken);
      expect(new Map(await store.counts())).toEqual(model.counts());
      for (const name of [...model.roots.values()].map((binding) => binding.root)) {
        expect(await store.renew([name])).toEqual(model.resolve(name));
      }
      await store.close();
    }),
    { numRuns: runs },
  );
}

/** The same for listings, which take longer. */
export async function listsLikeTheModel(open: OpenPool, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 10, maxLength: 30 }), async (history) => {
      const { store, fencingToken } = await open();
      const model = new Model();
      for (const [, step] of history) await step(model, store, fencingToken);
      const listed = (await listAll(store, { limit: 2 })).map(({ binding }) => binding);
      const byKey = (a: Binding, b: Binding): number => (keyOf(a.root) < keyOf(b.root) ? -1 : 1);
      expect(listed.sort(byKey)).toEqual([...model.roots.values()].sort(byKey));
      await store.close();
    }),
    { numRuns: runs },
  );
}

function keyOf(name: Name): string {
  const { kind, value } = storedForm(name);
  return nameKey(kind, value);
}

function samePlace(a: Placement, b: Placement): boolean {
  return a.instance === b.instance && a.incarnation === b.incarnation;
}
