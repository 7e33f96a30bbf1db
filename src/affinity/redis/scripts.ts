import { RULING_AT } from '../../core/evidence.ts';
import { HEARD_LEASES } from '../../core/rebalance.ts';
import type { LuaConstant } from '../../redis/lua.ts';
import { loadLua, loadLuaThatNeedsNoRoom } from '../../redis/lua.ts';
import { CLAIMED, GROUPED, JOINED, MOVED } from '../origin-text.ts';
import { DIGITS, MOST_FORMER, SHARED } from '../session-note.ts';
import { LOGOFF_NAME } from './logoff-message.ts';

// Added to the score of a reserved name: more than any time in microseconds, so that a score holds both exactly.
const RESERVED = 4e15;
// Enough for most claims, although some of them may have settled meanwhile.
const AT_ONCE = 6;

const load = (name: string, constants?: Readonly<Record<string, LuaConstant>>): string =>
  loadLua(`affinity/redis/${name}.lua`, constants);

const loadForBound = (name: string, constants?: Readonly<Record<string, LuaConstant>>): string =>
  loadLuaThatNeedsNoRoom(`affinity/redis/${name}.lua`, constants);

// The buckets of a script's names must be declared, and each takes two arguments.
const MOST_MEMBERS = 2_000;

const CLAIM_CONSTANTS = {
  MOST_MEMBERS,
  CLAIMED,
  GROUPED,
  JOINED,
  SHARED,
  MOST_FORMER,
  DIGITS,
  RESERVED,
  AT_ONCE,
  RULING_AT,
  HEARD_LEASES,
};

/** The scripts of the Redis store, by the name of the client command that runs each. */
export const SCRIPTS = {
  gwClaim: load('claim', CLAIM_CONSTANTS),
  /** For a Redis beyond its `maxmemory`: with 0 as the most names, so that they do not become more. */
  gwClaimWithoutRoom: loadForBound('claim', CLAIM_CONSTANTS),
  gwRebind: loadForBound('rebind', { MOVED, MOST_MEMBERS }),
  gwRenew: loadForBound('renew'),
  gwRelease: loadForBound('release'),
  gwLogOff: loadForBound('logoff', { LOGOFF_NAME }),
  gwRestore: loadForBound('restore', { SHARED }),
  gwCounts: load('counts'),
  gwHeldGroups: load('held-groups'),
  gwList: load('list'),
  gwFind: load('find'),
  gwPeek: load('peek', { MOST_MEMBERS, RESERVED, AT_ONCE }),
} as const;

export type ScriptName = keyof typeof SCRIPTS;
