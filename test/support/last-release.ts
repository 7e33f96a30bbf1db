import { readdirSync, readFileSync } from 'node:fs';
import type { RedisConnection } from '../../src/redis/connection.ts';

const HEAD = 'head.lua';
// What the view store's scripts of the last release know.
const KEYS = 5;
const SYNC_ARGUMENTS = 20;
const SYNC_REPLY = 11;

/** The scripts of the last release, as its gateways load them: all scripts of one kind share a head. */
export function scriptsOfLastRelease(kind: 'bindings' | 'ledger'): Record<string, string> {
  const folder = new URL(`../fixtures/release-0.1/${kind}/`, import.meta.url);
  const read = (file: string): string => readFileSync(new URL(file, folder), 'utf8');
  const bodies = readdirSync(folder).filter((file) => file !== HEAD);
  return Object.fromEntries(bodies.map((file) => [file.replace('.lua', ''), read(HEAD) + read(file)]));
}

/**
 * The connection of a gateway of the last release to the view store: its scripts, with its arguments and results. To be
 * used for nothing else.
 */
export function viewStoreOfLastRelease(redis: RedisConnection): RedisConnection {
  const { viewStore } = redis;
  const scripts = scriptsOfLastRelease('ledger');
  const run = async (script: string, keys: readonly string[], args: readonly string[]): Promise<unknown> => {
    if (script !== 'gwSync') return viewStore.run(script, keys.slice(0, KEYS), args);
    const reply = await viewStore.run(script, keys.slice(0, KEYS), args.slice(0, SYNC_ARGUMENTS));
    const parts = reply as unknown[];
    return [...parts.slice(0, SYNC_REPLY), '', ...parts.slice(SYNC_REPLY), 'configs', []];
  };
  return {
    ...redis,
    viewStore: { ...viewStore, run, define: (ours) => viewStore.define({ ...ours, ...scripts }) },
  };
}
