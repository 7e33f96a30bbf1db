import type { Binding, Claim, Placement } from './binding.ts';
import type { Ruling, SessionHolds, UserHolds } from './evidence.ts';
import { ruling } from './evidence.ts';
import type { Name, RequestName } from './identity.ts';
import { byWeight, namedBy } from './identity.ts';
import type { InstanceId } from './instance.ts';
import { storedForm } from './stored-name.ts';

/** What one name holds in the store. */
export interface Holding {
  /** The binding to which the name leads; `undefined` if it has none. */
  readonly binding: Binding | undefined;
  /** The root of the binding, or the one that gets the next binding of this name. */
  readonly root: Name;
  /** Only names that were found in bodies have used the binding. */
  readonly isFound: boolean;
  /** The name is an alias, and one of the two names was only found in a body beside the other. */
  readonly isFoundAlias: boolean;
  /** The agent has logged off, and no request has come since. */
  readonly hasLoggedOff: boolean;
}

/**
 * The note on a session that belongs to several users. `shared`: it names no agent. `alternates`: the user of the
 * request had it before another one, so it is shared from this request on.
 */
export type SessionNote = 'shared' | 'alternates' | undefined;

/** What the names of a request hold, and where the store would place a new agent of its group. */
export interface Holdings {
  /** Of the user, or of the client address. */
  readonly user: Holding | undefined;
  readonly session: Holding | undefined;
  readonly note: SessionNote;
  readonly place: Placement | undefined;
}

export interface SessionFacts {
  readonly isShared: boolean;
  /** It leads to the binding of the user. */
  readonly isSame: boolean;
  readonly hasBinding: boolean;
  /** It holds the binding itself. */
  readonly isRoot: boolean;
  readonly isFoundAlias: boolean;
}

export function userHolds(hasBinding: boolean, isFound: boolean): UserHolds {
  if (!hasBinding) return 'nothing';
  return isFound ? 'found' : 'binding';
}

export function sessionHolds({
  isShared,
  isSame,
  hasBinding,
  isRoot,
  isFoundAlias,
}: SessionFacts): SessionHolds {
  if (isShared) return 'shared';
  if (isSame) return 'same';
  if (!hasBinding) return 'nothing';
  if (isRoot) return 'itself';
  return isFoundAlias ? 'found-other' : 'other';
}

/** Does an asserted session go from one asserted user to another? It is shared if that one had it before. */
export function isHandedOn(by: Ruling, holds: SessionHolds): boolean {
  return by === 'link' && holds === 'other';
}

/** What a claim would do. */
export interface ClaimForecast {
  readonly by: Ruling;
  readonly userHolds: UserHolds;
  readonly sessionHolds: SessionHolds;
  /** `undefined` if the names name no agent. The generation of a new binding is not known and 0. */
  readonly claim: Pick<Claim, 'binding' | 'made' | 'conflict' | 'by'> | undefined;
}

/**
 * What a claim of these names would do, without doing it. It does not tell whether the store has room for a new name.
 *
 * @param leaves see {@link AffinityStore.claim}
 */
export function forecastClaim(
  names: readonly RequestName[],
  holdings: Holdings,
  proposal: Placement,
  leaves: readonly InstanceId[] = [],
): ClaimForecast {
  const user = left(holdings.user, leaves);
  const session = left(holdings.session, leaves);
  const { note } = holdings;
  const held = user?.binding;
  const at = session?.binding;
  const isSame = held !== undefined && at !== undefined && isName(held.root, at.root);
  const asked = names.find(({ kind }) => kind === 'session');
  const holds = {
    userHolds: userHolds(held !== undefined, user?.isFound === true),
    sessionHolds: sessionHolds({
      // The note does not count for a session of the user itself.
      isShared: note === 'shared' && !isSame,
      isSame,
      hasBinding: at !== undefined,
      isRoot: at !== undefined && asked !== undefined && isName(at.root, storedForm(asked)),
      isFoundAlias: session?.isFoundAlias === true,
    }),
  };
  const ruled = ruling(namedBy(names), holds.userHolds, holds.sessionHolds);
  const isShared = note === 'alternates' && isHandedOn(ruled, holds.sessionHolds);
  const by = isShared ? 'user' : ruled;
  if (by === 'no-agent') return { by, ...holds, claim: undefined };
  const isTaken = by === 'take' || by === 'take-found';
  const { instance, incarnation } = holdings.place ?? proposal;
  const made = (root: Name): Binding => ({ root, instance, incarnation, generation: 0 });
  let binding: Binding;
  if (by === 'session') binding = at ?? made((session as Holding).root);
  else if (isTaken && at !== undefined)
    binding = { ...at, root: held?.root ?? ownRoot(names), generation: 0 };
  else binding = held ?? made(ownRoot(names));
  // A session that becomes shared leads nowhere from then on.
  const led = isShared ? undefined : at;
  const other = by === 'session' || isTaken ? held : led;
  return {
    by,
    ...holds,
    claim: {
      binding,
      made: !isTaken && (by === 'session' ? at : held) === undefined,
      by,
      ...(other === undefined || isPlace(other, binding)
        ? {}
        : { conflict: { instance: other.instance, incarnation: other.incarnation } }),
    },
  };
}

/** The binding that a look-up of these names would find. */
export function forecastLookup(names: readonly RequestName[], holdings: Holdings): Binding | undefined {
  for (const { kind } of byWeight(names)) {
    const binding = (kind === 'session' ? holdings.session : holdings.user)?.binding;
    if (binding !== undefined) return binding;
  }
  return undefined;
}

/** The binding of an agent who has logged off ends there, because a log-on places the agent elsewhere. */
function left(holding: Holding | undefined, leaves: readonly InstanceId[]): Holding | undefined {
  if (holding?.binding === undefined || !holding.hasLoggedOff) return holding;
  return leaves.includes(holding.binding.instance) ? { ...holding, binding: undefined } : holding;
}

/** The root of a new binding of the user. */
function ownRoot(names: readonly RequestName[]): Name {
  const { kind, value } = storedForm(names[0] as Name);
  return { kind, value };
}

function isName(a: Name, b: Name): boolean {
  return a.kind === b.kind && a.value === b.value;
}

function isPlace(a: Placement, b: Placement): boolean {
  return a.instance === b.instance && a.incarnation === b.incarnation;
}
