import * as fc from 'fast-check';
import { expect } from 'vitest';
import type { Binding, Claim, Placement, Proposal } from '../../src/core/binding.ts';
import { forecastClaim } from '../../src/core/holdings.ts';
import type { Name, RequestName } from '../../src/core/identity.ts';
import type { Cause } from '../../src/core/origin.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { NamesNoAgent, StoreFull } from '../../src/core/ports.ts';
import type { Rebalance } from '../../src/core/rebalance.ts';
import { keyOf, Model } from './affinity-model.ts';
import { at, HOUR_MS, listAll, session, user } from './affinity-store-support.ts';

const CLAIMED: Cause = { kind: 'claimed', balancer: 'random' };
const REBOUND: Cause = { kind: 'rebound', from: 'x', loss: 'down' };

function because(place: Placement, cause: Cause): Proposal {
  return { ...place, cause, gateway: 'gw1' };
}

type Step = (model: Model, store: AffinityStore, fencingToken: string) => Promise<void>;

/** An empty pool that may have this many names, and a fencing token that is valid there. */
export type OpenPool = (
  maxBindings?: number,
) => Promise<{ readonly store: AffinityStore; readonly fencingToken: string }>;

/** Few enough for the users and sessions of these histories to need each other's places. */
export const FEW = 3;

const users = fc.constantFrom('A', 'B', 'C').map(user);
const evidence = fc.record({ found: fc.boolean() });
const borne = (names: fc.Arbitrary<Name>): fc.Arbitrary<RequestName> =>
  fc.tuple(names, evidence).map(([name, how]) => ({ ...name, ...how }));
const sessions = fc.constantFrom('1', '2', '3').map(session);
const placements = fc
  .tuple(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2'))
  .map(([i, n]) => at(i, n));
/** The instances that a log-on leaves; `undefined` if the claim is not for a log-on. */
const leaves = fc.constantFrom(undefined, undefined, ['x', 'y']);
/** How a log-on may leave an instance with more than its share; `undefined` if the pool is not rebalanced. */
const rebalances = fc.constantFrom<(Rebalance | undefined)[]>(
  undefined,
  { weights: { x: 1, y: 1, z: 1 }, heardMs: 0, leaseMs: HOUR_MS },
  { weights: { x: 1, y: 50 }, heardMs: 0, leaseMs: HOUR_MS },
);
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
  {
    weight: 6,
    arbitrary: fc
      .tuple(claims, placements, leaves, rebalances)
      .map(([names, place, from, rebalance]) => claimStep(names, place, from, rebalance)),
  },
  { weight: 3, arbitrary: fc.tuple(fc.nat(), placements).map(([which, place]) => rebindStep(which, place)) },
  { weight: 2, arbitrary: requests.map(renewStep) },
  { weight: 2, arbitrary: fc.nat().map(releaseStep) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(), fc.boolean()).map(([which, isAgain]) => logOffStep(which, isAgain)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(), fc.uniqueArray(sessions), fc.boolean())
      .map(([which, aliases, isServed]) => restoreStep(which, aliases, isServed)),
  },
);

function claimStep(
  names: readonly RequestName[],
  place: Placement,
  from: readonly string[] | undefined,
  rebalance: Rebalance | undefined,
): [string, Step] {
  return [
    `claim ${names.map((name) => keyOf(name) + (name.found === true ? '?' : ''))} ${place.instance}/${place.incarnation} from ${from}${rebalance === undefined ? '' : ` by ${JSON.stringify(rebalance.weights)}`}`,
    async (model, store, fencingToken) => {
      const holdings = await store.peek(names, { fencingToken, needsRoom: true });
      const { claim: forecast, isFull } = forecastClaim(names, holdings, place, from);
      const claimed = store
        .claim(names, because(place, CLAIMED), fencingToken, undefined, from, rebalance)
        .catch((error: unknown) => {
          if (error instanceof NamesNoAgent) return 'no-agent';
          if (error instanceof StoreFull) return 'full';
          throw error;
        });
      const claim = await claimed;
      expect(claim).toEqual(model.claim(names, place, from, rebalance));
      // Whether a log-on moves an agent for balance is not forecast.
      if (rebalance !== undefined) return;
      expect(isFull).toBe(claim === 'full');
      if (claim !== 'full') expect(forecast ?? 'no-agent').toEqual(forecastable(claim));
    },
  ];
}

/** What of a claim can be told before. */
function forecastable(claim: Claim | 'no-agent'): unknown {
  if (claim === 'no-agent') return claim;
  const { isNew: _isNew, replaced: _replaced, binding, ...rest } = claim;
  const isNewBinding = rest.made || rest.by === 'take' || rest.by === 'take-found';
  return { ...rest, binding: isNewBinding ? { ...binding, generation: 0 } : binding };
}

function rebindStep(which: number, place: Placement): [string, Step] {
  return [
    `rebind #${which} ${place.instance}/${place.incarnation}`,
    async (model, store, fencingToken) => {
      const expected = model.seen[which % (model.seen.length || 1)];
      if (expected === undefined) return;
      const moved = await store.rebind(expected, because(place, REBOUND), fencingToken);
      expect(moved).toEqual(model.rebind(expected, place));
    },
  ];
}

function renewStep(names: readonly Name[]): [string, Step] {
  return [
    `renew ${names.map(keyOf)}`,
    async (model, store) => {
      expect(await store.renew(names)).toEqual(model.renew(names));
    },
  ];
}

/** Mostly of a binding that holds, and sometimes of one that was moved or has ended. */
function releaseStep(which: number): [string, Step] {
  return [
    `release #${which}`,
    async (model, store, fencingToken) => {
      const from = which % 4 === 0 ? model.seen : [...model.roots.values()];
      const expected = from[which % (from.length || 1)];
      if (expected === undefined) return;
      expect(await store.release(expected, fencingToken)).toEqual(model.release(expected));
    },
  ];
}

/** Mostly of a binding that holds, and sometimes of one that was moved or has ended. */
function logOffStep(which: number, isAgain: boolean): [string, Step] {
  return [
    `log off #${which}${isAgain ? ' again' : ''}`,
    async (model, store) => {
      const from = which % 4 === 0 ? model.seen : [...model.roots.values()];
      const expected = from[which % (from.length || 1)];
      if (expected === undefined) return;
      // Longer than a history takes.
      const logOff = { graceMs: HOUR_MS / 2, ageMs: 0, isAgain };
      expect(await store.logOff(expected, logOff)).toEqual(model.logOff(expected, isAgain));
    },
  ];
}

function restoreStep(which: number, aliases: readonly Name[], isServed: boolean): [string, Step] {
  return [
    `restore #${which} with ${aliases.map(keyOf)}${isServed ? ', served' : ''}`,
    async (model, store) => {
      const binding = model.seen[which % (model.seen.length || 1)];
      if (binding === undefined) return;
      const known = { binding, aliases, epoch: 1, ...(isServed ? { placedAt: Date.now() } : {}) };
      expect(await store.restore([known])).toEqual([model.restore(known)]);
    },
  ];
}

/**
 * After any history of steps the store answers as the model does. `open` gives an empty pool.
 *
 * @param most the most names that the pool may have; with `FEW`, names give way to each other
 */
export async function behavesLikeTheModel(open: OpenPool, runs: number, most?: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 30 }), async (history) => {
      const { store, fencingToken } = await open(most);
      const model = new Model(most);
      for (const [, step] of history) await step(model, store, fencingToken);
      expect(new Map(await store.counts())).toEqual(model.counts());
      for (const name of [...model.roots.values()].map((binding) => binding.root)) {
        expect(await store.renew([name])).toEqual(model.renew([name]));
      }
      await store.close();
    }),
    { numRuns: runs },
  );
}

/** The same for listings, which take longer, and for what they tell of causes. */
export async function listsLikeTheModel(open: OpenPool, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 10, maxLength: 30 }), async (history) => {
      const { store, fencingToken } = await open();
      const model = new Model();
      for (const [, step] of history) await step(model, store, fencingToken);
      const lines = await listAll(store, { limit: 2, details: true });
      const listed = lines.map(({ binding }) => binding);
      const causes = lines.map(({ binding, origin }) => [keyOf(binding.root), origin?.cause.kind]);
      expect(new Map(causes as [string, string][])).toEqual(
        new Map([...model.roots.keys()].map((key) => [key, model.causes.get(key)])),
      );
      const byKey = (a: Binding, b: Binding): number => (keyOf(a.root) < keyOf(b.root) ? -1 : 1);
      expect(listed.sort(byKey)).toEqual([...model.roots.values()].sort(byKey));
      await store.close();
    }),
    { numRuns: runs },
  );
}
