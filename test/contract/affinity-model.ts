import * as fc from 'fast-check';
import { expect } from 'vitest';
import { storedForm } from '../../src/affinity/stored-name.ts';
import type { Binding, Claim, Placement } from '../../src/core/binding.ts';
import type { Name } from '../../src/core/identity.ts';
import { nameKey } from '../../src/core/identity.ts';
import type { AffinityStore, KnownBinding } from '../../src/core/ports.ts';
import { at, listAll, session, user } from './affinity-store.ts';

/** A name either holds a binding or leads to one that does: AffinityStore without time, in plain maps. */
class Model {
  readonly roots = new Map<string, Binding>();
  readonly pointers = new Map<string, string>();
  /** Bindings that callers may still believe in. */
  readonly seen: Binding[] = [];

  resolve(name: Name): Binding | undefined {
    const key = keyOf(name);
    return this.roots.get(key) ?? this.roots.get(this.pointers.get(key) ?? '');
  }

  claim([first, second]: readonly Name[], proposal: Placement): Claim {
    const one = this.resolve(first as Name);
    const two = second && this.resolve(second);
    const secondIsRoot = second !== undefined && this.roots.has(keyOf(second));
    const made = one === undefined && !secondIsRoot;
    const root = storedForm(first as Name);
    let binding: Binding;
    if (one !== undefined) binding = one;
    else if (two !== undefined && secondIsRoot) binding = { ...two, root, generation: two.generation + 1 };
    else binding = { ...proposal, root, generation: 1 };
    this.hold(binding);
    if (second === undefined || keyOf(second) === keyOf(binding.root)) return { binding, made };
    this.roots.delete(keyOf(second));
    this.pointers.set(keyOf(second), keyOf(binding.root));
    if (two === undefined || samePlace(two, binding)) return { binding, made };
    return { binding, made, conflict: { instance: two.instance, incarnation: two.incarnation } };
  }

  rebind(expected: Binding, proposal: Placement): Claim {
    const held = this.resolve(expected.root);
    const isItself = held !== undefined && keyOf(held.root) === keyOf(expected.root);
    if (held !== undefined && !(isItself && held.generation === expected.generation)) {
      return { binding: held, made: false };
    }
    const binding = { ...proposal, root: expected.root, generation: expected.generation + 1 };
    this.hold(binding);
    return { binding, made: true };
  }

  release(name: Name): void {
    const held = this.resolve(name);
    if (held !== undefined) this.roots.delete(keyOf(held.root));
    this.pointers.delete(keyOf(name));
  }

  restore({ binding, aliases }: KnownBinding): Binding {
    const held = this.resolve(binding.root) ?? binding;
    const free = aliases.filter((alias) => this.resolve(alias) === undefined);
    this.hold(held);
    for (const alias of free) {
      if (keyOf(alias) !== keyOf(held.root)) this.pointers.set(keyOf(alias), keyOf(held.root));
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

type Step = (model: Model, store: AffinityStore, fence: string) => Promise<void>;

/** An empty pool, and a fence that holds there. */
export type OpenPool = () => Promise<{ readonly store: AffinityStore; readonly fence: string }>;

const users = fc.constantFrom('A', 'B', 'C').map(user);
const sessions = fc.constantFrom('1', '2', '3').map(session);
const anyName = fc.oneof(users, sessions);
const placements = fc
  .tuple(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2'))
  .map(([i, n]) => at(i, n));
const requests = fc.oneof(
  fc.tuple(users, sessions),
  users.map((name) => [name]),
  sessions.map((name) => [name]),
);

const steps: fc.Arbitrary<[string, Step]> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(requests, placements).map(([names, place]) => claimStep(names, place)) },
  { weight: 3, arbitrary: fc.tuple(fc.nat(), placements).map(([which, place]) => rebindStep(which, place)) },
  { weight: 2, arbitrary: requests.map(renewStep) },
  { weight: 2, arbitrary: anyName.map(releaseStep) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(), fc.uniqueArray(sessions)).map(([w, s]) => restoreStep(w, s)) },
);

function claimStep(names: readonly Name[], place: Placement): [string, Step] {
  return [
    `claim ${names.map(keyOf)} ${place.instance}/${place.incarnation}`,
    async (model, store, fence) =>
      expect(await store.claim(names, place, fence)).toEqual(model.claim(names, place)),
  ];
}

function rebindStep(which: number, place: Placement): [string, Step] {
  return [
    `rebind #${which} ${place.instance}/${place.incarnation}`,
    async (model, store, fence) => {
      const expected = model.seen[which % (model.seen.length || 1)];
      if (expected === undefined) return;
      expect(await store.rebind(expected, place, fence)).toEqual(model.rebind(expected, place));
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

/** Any history of steps leaves the store telling what the model tells. `open` gives an empty pool. */
export async function behavesLikeTheModel(open: OpenPool, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 30 }), async (history) => {
      const { store, fence } = await open();
      const model = new Model();
      for (const [, step] of history) await step(model, store, fence);
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
      const { store, fence } = await open();
      const model = new Model();
      for (const [, step] of history) await step(model, store, fence);
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
