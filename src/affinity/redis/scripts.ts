import { RULING_AT } from '../../core/evidence.ts';
import type { LuaConstant } from '../../redis/lua.ts';
import { loadLua } from '../../redis/lua.ts';
import { DIGITS, MOST_FORMER, SHARED } from '../session-note.ts';

const load = (name: string, constants?: Readonly<Record<string, LuaConstant>>): string =>
  loadLua(`affinity/redis/${name}.lua`, constants);

/** The scripts of the Redis store, by the name of the client command that runs each. */
export const SCRIPTS = {
  gwClaim: load('claim', { SHARED, MOST_FORMER, DIGITS, RULING_AT }),
  gwRebind: load('rebind'),
  gwRenew: load('renew'),
  gwRelease: load('release'),
  gwRestore: load('restore', { SHARED }),
  gwCounts: load('counts'),
  gwList: load('list'),
} as const;

export type ScriptName = keyof typeof SCRIPTS;
