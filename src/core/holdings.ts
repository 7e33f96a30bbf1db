import type { Binding, Claim, Placement } from './binding.ts';
import type { Ruling, SessionHolds, UserHolds } from './evidence.ts';
import { ruling } from './evidence.ts';
import type { Name, RequestName } from './identity.ts';
import { byWeight, namedBy } from './identity.ts';
import type { InstanceId } from './instance.ts';
import { storedForm, storedKey } from './stored-name.ts';

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
  /** The name has no entry in the store: it holds no binding and leads to none, not even to one that has ended. */
  readonly isNew: boolean;
}

/** Whether new names have room in the store, see `affinity.maxBindings`. */
export interface NameRoom {
  /** How many more names the pool may have; negative if an operator has lowered the limit. */
  readonly free: number;
  /** How many names on probation would give way, up to as many as the request has. */
  readonly replaceable: number;
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
  /** `undefined` if it was not asked for. */
  readonly room: NameRoom | undefined;
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
  /** The claim is refused, because the store has no room for the new names of an agent who is not bound. */
  readonly isFull: boolean;
}

/**
 * What a claim of these names would do, without doing it.
 *
 * @param leaves see {@link AffinityStore.claim}
 */
export function forecastClaim(
  names: readonly RequestName[],
  holdings: Holdings,
  proposal: Placement,
  leaves: readonly InstanceId[] = [],
): ClaimForecast {
  const asked = names.find(({ kind }) => kind === 'session');
  const user = left(
    holdings.user,
    names.find(({ kind }) => kind !== 'session'),
    leaves,
  );
  const session = left(holdings.session, asked, leaves);
  const { note } = holdings;
  const held = user?.binding;
  const at = session?.binding;
  const isSame = held !== undefined && at !== undefined && isName(held.root, at.root);
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
  if (by === 'no-agent') return { by, ...holds, claim: undefined, isFull: false };
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
    isFull: (by === 'session' || isTaken ? at : held) === undefined && lacksRoom(by, holdings, user, session),
  };
}

/** Would the claim add more names than the pool may have, although names on probation give way? */
function lacksRoom(
  by: Ruling,
  { room, user: userBefore, session: sessionBefore }: Holdings,
  user: Holding | undefined,
  session: Holding | undefined,
): boolean {
  if (room === undefined) return false;
  const newUser = by !== 'session' && user?.isNew === true;
  const newSession = by !== 'user' && session?.isNew === true;
  const added = Number(newUser) + Number(newSession);
  const ended = new Set<string>();
  for (const [before, after] of [
    [userBefore, user],
    [sessionBefore, session],
  ])
    if (before?.binding !== undefined && after?.binding === undefined) ended.add(storedKey(before.root));
  return Math.min(added, added - room.free - ended.size) > room.replaceable;
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
function left(
  holding: Holding | undefined,
  name: Name | undefined,
  leaves: readonly InstanceId[],
): Holding | undefined {
  if (holding?.binding === undefined || !holding.hasLoggedOff) return holding;
  if (!leaves.includes(holding.binding.instance)) return holding;
  const isItself = name !== undefined && isName(holding.binding.root, storedForm(name));
  return { ...holding, binding: undefined, isNew: isItself };
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
