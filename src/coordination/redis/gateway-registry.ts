import type { GatewayEntry, GatewayRegistry, SeenGateway } from '../../core/gateways.ts';
import type { RedisCommands, RedisConnection } from '../../redis/connection.ts';
import { gatewaysKey } from '../../redis/keys.ts';
import { loadLuaThatNeedsNoRoom } from '../../redis/lua.ts';

// Long enough for an operator who is called to see which gateway died.
const LIFETIME_MS = 60_000;
const SCANNED_AT_ONCE = 50;
// An entry is written again and again, so a listing that never meets the end would only repeat itself.
const MOST_PARTS = 1_000;

const load = (name: string): string =>
  loadLuaThatNeedsNoRoom(`coordination/redis/${name}.lua`, { SCANNED_AT_ONCE });

/** The scripts of the registry, by the name of the client command that runs each. */
export const GATEWAY_SCRIPTS = {
  gwGatewaysWrite: load('gateways-write'),
  gwGatewaysList: load('gateways-list'),
  gwGatewaysRemove: loadLuaThatNeedsNoRoom('coordination/redis/gateways-remove.lua'),
} as const;

export interface RedisGatewayRegistryOptions {
  readonly keyPrefix: string;
  /** How long an entry counts that is not written again, in milliseconds. */
  readonly lifetimeMs?: number;
}

type ListReply = readonly [cursor: string, entries: readonly (readonly [string, string, string])[]];

/** The registry of the gateways that share a Redis and a key prefix. */
export class RedisGatewayRegistry implements GatewayRegistry {
  readonly #redis: RedisCommands;
  readonly #listings: RedisCommands;
  readonly #keys: readonly string[];
  readonly #lifetime: string;
  /** Each write continues where the one before it stopped removing entries that have ended. */
  #cursor = '0';

  constructor(
    { claims, listings }: RedisConnection,
    { keyPrefix, lifetimeMs = LIFETIME_MS }: RedisGatewayRegistryOptions,
  ) {
    // Not the connection of the view store: leases never wait for what only operators read.
    this.#redis = claims;
    this.#listings = listings;
    this.#keys = [gatewaysKey(keyPrefix)];
    this.#lifetime = String(lifetimeMs);
    claims.define(GATEWAY_SCRIPTS);
    listings.define(GATEWAY_SCRIPTS);
  }

  async write(entry: GatewayEntry): Promise<void> {
    const args = [entry.replica, JSON.stringify(entry), this.#lifetime, this.#cursor];
    this.#cursor = String(await this.#redis.run('gwGatewaysWrite', this.#keys, args));
  }

  async remove(replica: string): Promise<void> {
    await this.#redis.run('gwGatewaysRemove', this.#keys, [replica]);
  }

  async list(): Promise<readonly SeenGateway[]> {
    // By name, because an entry can appear in two parts.
    const seen = new Map<string, SeenGateway>();
    let cursor = '0';
    for (let part = 0; part < MOST_PARTS; part += 1) {
      const reply = (await this.#listings.run('gwGatewaysList', this.#keys, [cursor])) as ListReply;
      for (const [replica, age, json] of reply[1])
        seen.set(replica, { replica, entry: parsed(json), seenAgoMs: Number(age) });
      cursor = reply[0];
      if (cursor === '0') break;
    }
    return [...seen.values()];
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
