import type { Binding, Claim, GroupProposal, Placement } from '../../core/binding.ts';
import type { Named, Ruling } from '../../core/evidence.ts';
import { ruling } from '../../core/evidence.ts';
import { isHandedOn, sessionHolds, userHolds } from '../../core/holdings.ts';
import type { Name } from '../../core/identity.ts';
import { parseNameKey } from '../../core/identity.ts';
import type { Rebalance } from '../../core/rebalance.ts';
import { isBetterAt } from '../../core/rebalance.ts';
import { storedKey } from '../../core/stored-name.ts';
import { CLAIMED, GROUPED, JOINED, originText, readOrigin } from '../origin-text.ts';
import type { Entry, RootEntry } from '../packing.ts';
import { isRoot } from '../packing.ts';
import { DIGITS, digestOf, MOST_FORMER, readNote, SHARED } from '../session-note.ts';
import type { EmbeddedGroups } from './groups.ts';
import type { EmbeddedTables, Found } from './tables.ts';

const NOTHING: Found = { entry: undefined, field: undefined, root: undefined };
const NO_NAMES: readonly string[] = [];

/** What an origin consists of, see affinity/origin-text.ts. */
export interface Because {
  readonly since: number;
  readonly epoch: number;
  readonly reason: string;
}

export interface ClaimStep {
  readonly named: Named;
  /** Keys. A client address takes the place of a user. */
  readonly user: string | undefined;
  readonly session: string | undefined;
  readonly place: Placement;
  /** The most names that the pool may have. */
  readonly most: number;
  /** An alias to remove if the session becomes an alias. */
  readonly oldest: string | undefined;
  /** The group of the agent, which decides about the place. */
  readonly group: GroupProposal | undefined;
  /** Instances at which the binding of an agent who has logged off ends, because this is a log-on. */
  readonly leaves: readonly string[];
  /** The same where an instance has more than its share. */
  readonly rebalance: Rebalance | undefined;
  /** Why the place is proposed; `undefined` if the caller does not say. */
  readonly because: Because | undefined;
  readonly now: number;
  readonly end: number;
}

/** Does what affinity/redis/claim.lua does. */
export function claim(
  tables: EmbeddedTables,
  groups: EmbeddedGroups,
  step: ClaimStep,
): Claim | 'no-agent' | 'full' {
  const { user, session, now } = step;
  leave(tables, groups, step);
  const ofUser = user === undefined ? NOTHING : tables.resolve(user, now);
  const ofSession = session === undefined ? NOTHING : tables.resolve(session, now);
  const by = rule(tables, step, ofUser, ofSession);
  if (by === 'no-agent') return by;
  const added = namesToAdd(step, by, ofUser, ofSession);
  const replaced = makeRoom(tables, step, added, isKnown(by, ofUser, ofSession));
  if (replaced === undefined) return 'full';
  const { group, end } = step;
  const place = group && groups.place(tables, group, { asked: '', now });
  const because = place && groups.isAt(group, place.instance) ? grouped(step.because) : step.because;
  const placed = place === undefined ? step : { ...step, place, because };
  const claimed =
    by === 'session'
      ? claimBySession(tables, placed, ofUser, ofSession)
      : claimByUser(tables, placed, by, ofUser, ofSession);
  if (group !== undefined)
    groups.note(group, storedKey(claimed.binding.root), claimed.binding.instance, claimed.made, end);
  for (const name of new Set([user, session, storedKey(claimed.binding.root)])) {
    if (name !== undefined && !added.includes(name)) tables.newcomers.remove(name);
  }
  for (const name of added) tables.newcomers.add(name, end);
  tables.grow(added.length - replaced.length);
  if (by === 'session' && claimed.made) tables.countAgain();
  if (added.at(-1) === session) dropOldest(tables, step, claimed);
  return {
    ...claimed,
    ...(added.length > 0 ? ({ isNew: true } as const) : {}),
    ...(replaced.length > 0 ? { replaced: replaced.map(toName) } : {}),
  };
}

/** Ends the binding of an agent who has logged off, if the log-on may place the agent elsewhere. */
function leave(tables: EmbeddedTables, groups: EmbeddedGroups, step: ClaimStep): void {
  const { user, session, leaves, rebalance, now } = step;
  if (leaves.length === 0 && rebalance === undefined) return;
  const found = [user, session].map((name) => (name === undefined ? NOTHING : tables.resolve(name, now)));
  const roots = new Map(found.map(({ field, root }) => [field, root]));
  // Both are decided before one of them ends.
  const leaving = [...roots].filter(([field, root]) => mayLeave(tables, groups, field, root, step));
  for (const [field, root] of leaving) {
    tables.removeRoot(field as string, root as RootEntry);
    tables.countAgain();
  }
}

function mayLeave(
  tables: EmbeddedTables,
  groups: EmbeddedGroups,
  field: string | undefined,
  root: RootEntry | undefined,
  { leaves, rebalance, group, place, now }: ClaimStep,
): boolean {
  const logOff = field === undefined || root === undefined ? undefined : tables.logOffOf(field, root, now);
  if (field === undefined || root === undefined || logOff === undefined) return false;
  const { instance } = root;
  if (leaves.includes(instance)) return true;
  if (rebalance === undefined || now - logOff.since < rebalance.heardMs) return false;
  if (group !== undefined) {
    const there = groups.place(tables, group, { asked: field, leaving: instance, now });
    return there !== undefined && there.instance !== instance;
  }
  const counts = tables.counts(now);
  return isBetterAt(instance, place.instance, rebalance, (id) => counts.get(id) ?? 0);
}

/** The names that get an entry which they do not have. */
function namesToAdd({ user, session }: ClaimStep, by: Ruling, ofUser: Found, ofSession: Found): string[] {
  const added: string[] = [];
  if (user !== undefined && by !== 'session' && ofUser.entry === undefined) added.push(user);
  if (session !== undefined && by !== 'user' && ofSession.entry === undefined) added.push(session);
  return added;
}

/** Has the agent a binding already? */
function isKnown(by: Ruling, ofUser: Found, ofSession: Found): boolean {
  const isOfSession = by === 'session' || by === 'take' || by === 'take-found';
  return (isOfSession ? ofSession : ofUser).root !== undefined;
}

/** Removes names on probation if there are too many names, and returns them; `undefined` if there is no room. */
function makeRoom(
  tables: EmbeddedTables,
  { user, session, most, now }: ClaimStep,
  added: readonly string[],
  isBound: boolean,
): readonly string[] | undefined {
  if (added.length === 0) return NO_NAMES;
  const over = Math.min(added.length, tables.held(most, now) + added.length - most);
  if (over <= 0) return NO_NAMES;
  const roots = [user, session].map((name) => name && tables.resolve(name, now).field);
  const places = tables.onProbation(over, [user, session, ...roots], now);
  if (places.length < over && !isBound) return undefined;
  for (const field of places) {
    tables.remove(field, tables.resolve(field, now).entry);
    tables.newcomers.remove(field);
  }
  return places;
}

function dropOldest(tables: EmbeddedTables, { oldest, now }: ClaimStep, { binding }: Claim): void {
  const entry = oldest === undefined ? undefined : tables.resolve(oldest, now).entry;
  if (oldest === undefined || entry === undefined || isRoot(entry)) return;
  if (entry.root !== storedKey(binding.root)) return;
  tables.remove(oldest, entry);
  tables.newcomers.remove(oldest);
  tables.grow(-1);
}

function claimByUser(
  tables: EmbeddedTables,
  step: ClaimStep,
  by: Ruling,
  ofUser: Found,
  leading: Found,
): Claim {
  const { user, session, because, now, end } = step;
  let ofSession = leading;
  // The session is shared from now on, so it must not lead to an agent.
  if (by === 'user' && session !== undefined && tables.note(session, now) === SHARED) {
    tables.remove(session, ofSession.entry);
    tables.writeNote(session, SHARED, end, now);
    ofSession = NOTHING;
  }

  const isFound = step.named.user === 'found';
  const held = ofUser.root;
  const at = ofSession.root;
  let field = ofUser.field ?? (user as string);
  let root: RootEntry;
  let displaced: RootEntry | undefined;
  if ((by === 'take' || by === 'take-found') && at !== undefined) {
    const before = held ?? tables.released(field, now);
    const generation = Math.max(before.generation, at.generation) + 1;
    root = { instance: at.instance, incarnation: at.incarnation, generation, end, found: isFound, used: now };
    root = withOrigin(root, because && joined(at, because));
    displaced = held;
  } else if (held !== undefined) {
    root = { ...held, end, found: held.found === true && isFound, used: now };
  } else {
    field = user as string;
    root = { ...madeFor(field, tables, step), found: isFound };
  }
  tables.writeRoot(field, held, root, now);
  if (field !== user) {
    const found = ofUser.entry?.found === true;
    tables.writePointer(user as string, ofUser.entry, { root: field, end, found }, now);
  }
  if (by !== 'user' && session !== undefined && session !== field) {
    const keeps = by === 'keep' && ofSession.entry?.found === true;
    const found = keeps || by === 'link-found' || by === 'take-found';
    tables.writePointer(session, ofSession.entry, { root: field, end, found }, now);
  }
  if (at !== undefined && ofSession.field !== field && by !== 'take' && by !== 'take-found') displaced = at;
  const made = held === undefined && by !== 'take' && by !== 'take-found';
  return answer(field, root, made, displaced, by);
}

/** The binding to make for a root that has none. */
function madeFor(field: string, tables: EmbeddedTables, { place, because, now, end }: ClaimStep): RootEntry {
  const { generation, found } = tables.released(field, now);
  return withOrigin({ ...place, generation: generation + 1, end, found, used: now }, because);
}

function claimBySession(
  tables: EmbeddedTables,
  step: ClaimStep,
  ofUser: Found,
  { entry, field: heldBy, root: held }: Found,
): Claim {
  const { session, now, end } = step;
  const field = heldBy ?? rootWithout(tables, session as string, entry, now);
  const root = held === undefined ? madeFor(field, tables, step) : { ...held, end, used: now };
  tables.writeRoot(field, held, root, now);
  if (field !== session) {
    tables.writePointer(session as string, entry, { root: field, end, found: entry?.found === true }, now);
  }
  return answer(field, root, held === undefined, ofUser.root, 'session');
}

/** The user takes over the place of its session, and so has been there for as long as the session. */
function joined({ origin }: RootEntry, because: Because): Because {
  const was = origin === undefined ? undefined : readOrigin(origin);
  return { ...because, since: was?.since ?? because.since, reason: JOINED + because.reason.slice(1) };
}

/** The group decided, if the balancer would have. */
function grouped(because: Because | undefined): Because | undefined {
  if (because?.reason.startsWith(CLAIMED) !== true) return because;
  return { ...because, reason: GROUPED + because.reason.slice(1) };
}

export function withOrigin(root: RootEntry, because: Because | undefined): RootEntry {
  if (because === undefined) return root;
  return { ...root, origin: originText(because.since, because.epoch, because.reason) };
}

/**
 * The root to bind for a session without a binding: the session's user, if an operator ended the binding of that user.
 */
export function rootWithout(
  tables: EmbeddedTables,
  session: string,
  entry: Entry | undefined,
  now: number,
): string {
  const isFree = entry === undefined || isRoot(entry) || tables.resolve(entry.root, now).entry !== undefined;
  return isFree ? session : entry.root;
}

/** The ruling for what the two names hold now. Notes the session's previous user. */
function rule(tables: EmbeddedTables, step: ClaimStep, ofUser: Found, ofSession: Found): Ruling {
  const { named, user, session, now, end } = step;
  const isSame = ofUser.root !== undefined && ofUser.field === ofSession.field;
  const text = session === undefined || isSame ? undefined : tables.note(session, now);
  const noted = readNote(text, user);
  if (noted === 'shared') tables.writeNote(session as string, SHARED, end, now);
  const has = sessionHolds({
    isShared: noted === 'shared',
    isSame,
    hasBinding: ofSession.root !== undefined,
    isRoot: ofSession.field === session,
    isFoundAlias: ofSession.entry?.found === true,
  });
  const by = ruling(named, userHolds(ofUser.root !== undefined, ofUser.root?.found === true), has);
  if (!isHandedOn(by, has)) return by;
  if (noted === 'alternates') {
    tables.writeNote(session as string, SHARED, end, now);
    return 'user';
  }
  const kept = ((text ?? '') + digestOf(ofSession.field as string)).slice(-MOST_FORMER * DIGITS);
  tables.writeNote(session as string, kept, end, now);
  return by;
}

function answer(
  field: string,
  root: RootEntry,
  made: boolean,
  displaced: RootEntry | undefined,
  by: Ruling,
): Claim {
  const binding = toBinding(field, root);
  if (displaced === undefined || samePlace(displaced, root)) return { binding, made, by };
  const conflict = { instance: displaced.instance, incarnation: displaced.incarnation };
  return { binding, made, conflict, by };
}

function samePlace(a: Placement, b: Placement): boolean {
  return a.instance === b.instance && a.incarnation === b.incarnation;
}

export function toName(field: string): Name {
  const name = parseNameKey(field);
  if (name === undefined) throw new Error(`the affinity store has a name that cannot be read: ${field}`);
  return name;
}

export function toBinding(field: string, { instance, incarnation, generation }: RootEntry): Binding {
  return { root: toName(field), instance, incarnation, generation };
}
