import { hash } from 'node:crypto';
import type { Binding, Claim, Placement } from '../../core/binding.ts';
import type { Named, Ruling, SessionHolds, UserHolds } from '../../core/evidence.ts';
import { ruling } from '../../core/evidence.ts';
import type { Name } from '../../core/identity.ts';
import { parseNameKey } from '../../core/identity.ts';
import type { RootEntry } from '../packing.ts';
import { DIGITS, MOST_FORMER, SHARED } from '../session-note.ts';
import type { EmbeddedTables, Found } from './tables.ts';

const NOTHING: Found = { entry: undefined, field: undefined, root: undefined };

export interface ClaimStep {
  readonly named: Named;
  /** Keys. A client address takes the place of a user. */
  readonly user: string | undefined;
  readonly session: string | undefined;
  readonly place: Placement;
  readonly now: number;
  readonly end: number;
}

/** Does what affinity/redis/claim.lua does. Returns `undefined` if the names name no agent. */
export function claim(tables: EmbeddedTables, step: ClaimStep): Claim | undefined {
  const { user, session, place, now, end } = step;
  const ofUser = user === undefined ? NOTHING : tables.resolve(user, now);
  let ofSession = session === undefined ? NOTHING : tables.resolve(session, now);
  const by = rule(tables, step, ofUser, ofSession);
  if (by === 'no-agent') return undefined;
  if (by === 'session') return claimBySession(tables, step, ofUser, ofSession);
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
    const generation = Math.max(held?.generation ?? 0, at.generation) + 1;
    root = { instance: at.instance, incarnation: at.incarnation, generation, end, found: isFound };
    displaced = held;
  } else if (held !== undefined) {
    root = { ...held, end, found: held.found === true && isFound };
  } else {
    field = user as string;
    root = { ...place, generation: 1, end, found: isFound };
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

function claimBySession(
  tables: EmbeddedTables,
  { session, place, now, end }: ClaimStep,
  ofUser: Found,
  { entry, field = session as string, root: held }: Found,
): Claim {
  const root = held === undefined ? { ...place, generation: 1, end } : { ...held, end };
  tables.writeRoot(field, held, root, now);
  if (field !== session && held !== undefined) {
    tables.writePointer(session as string, entry, { root: field, end, found: entry?.found === true }, now);
  }
  return answer(field, root, held === undefined, ofUser.root, 'session');
}

/** The ruling for what the two names hold now. Notes the session's previous user. */
function rule(tables: EmbeddedTables, step: ClaimStep, ofUser: Found, ofSession: Found): Ruling {
  const { named, user, session, now, end } = step;
  const isSame = ofUser.root !== undefined && ofUser.field === ofSession.field;
  const noted = session === undefined || isSame ? undefined : tables.note(session, now);
  const has = noted === SHARED ? 'shared' : sessionHolds(session, ofSession, isSame);
  if (noted === SHARED) tables.writeNote(session as string, SHARED, end, now);
  const by = ruling(named, userHolds(ofUser), has);
  if (by !== 'link' || has !== 'other') return by;
  const former = noted ?? '';
  const mine = digest(user as string);
  for (let i = 0; i < former.length; i += DIGITS) {
    if (former.slice(i, i + DIGITS) !== mine) continue;
    tables.writeNote(session as string, SHARED, end, now);
    return 'user';
  }
  const kept = (former + digest(ofSession.field as string)).slice(-MOST_FORMER * DIGITS);
  tables.writeNote(session as string, kept, end, now);
  return by;
}

function userHolds({ root }: Found): UserHolds {
  if (root === undefined) return 'nothing';
  return root.found === true ? 'found' : 'binding';
}

function sessionHolds(
  session: string | undefined,
  { entry, field, root }: Found,
  isSame: boolean,
): SessionHolds {
  if (isSame) return 'same';
  if (root === undefined) return 'nothing';
  if (field === session) return 'itself';
  return entry?.found === true ? 'found-other' : 'other';
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

function digest(field: string): string {
  return hash('sha1', field, 'hex').slice(0, DIGITS);
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
