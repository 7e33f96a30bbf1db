import { expect } from 'vitest';
import { BindingCache } from '../../src/affinity/binding-cache.ts';
import { Bindings } from '../../src/affinity/bindings.ts';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { Binding, Placement } from '../../src/core/binding.ts';
import type { Name } from '../../src/core/identity.ts';
import type { InstanceState } from '../../src/core/instance.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import type { View } from '../../src/core/view/view.ts';
import { makeView } from '../../src/core/view/view.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { eventually } from '../support/eventually.ts';
import { setFencingToken } from '../support/fencing-token.ts';
import { redisCommand } from '../support/redis-command.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

export const A: Placement = { instance: 'a', incarnation: '1' };
export const B: Placement = { instance: 'b', incarnation: '1' };
export const C: Placement = { instance: 'c', incarnation: '1' };
export const user = (value: string): Name => ({ kind: 'user', value });
export const session = (value: string): Name => ({ kind: 'session', value });

/** The bindings of one gateway, and its reports. */
export interface Side {
  readonly bindings: Bindings;
  readonly conflicts: string[];
  /** The store operations, with their outcomes. */
  readonly operations: string[];
  /** Rejects while there is no connection to the store. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface SideOptions {
  readonly idleLifetimeMs?: number;
  readonly sessionsAreProvisional?: boolean;
  readonly maxEntries?: number;
  readonly maxBindings?: number;
  /** Long time-outs by default, for a busy machine. */
  readonly commandTimeoutMs?: number;
  /** Wraps the store. */
  readonly between?: (store: AffinityStore) => AffinityStore;
}

/** Several gateways on one Redis that use the view of the test. */
export class Site {
  readonly redis: RedisServer;
  readonly #sides: Side[] = [];
  fencingToken: string;
  epoch = 1;
  view: View = viewOf(1);

  private constructor(redis: RedisServer, fencingToken: string) {
    this.redis = redis;
    this.fencingToken = fencingToken;
  }

  static async start(): Promise<Site> {
    const redis = await startRedis();
    return new Site(redis, await setFencingToken(redis.port, 'test', { pool: 'ici' }));
  }

  /** Brings the view of a later epoch into effect. `lostAt`: see InstanceState, for instance `a`. */
  async agree(epoch: number, lostAt = 0): Promise<void> {
    this.epoch = epoch;
    this.view = viewOf(epoch, lostAt);
    this.fencingToken = await setFencingToken(this.redis.port, 'test', { epoch, pool: 'ici' });
  }

  async open({
    idleLifetimeMs = 60_000,
    sessionsAreProvisional = true,
    maxEntries = 1_000,
    maxBindings = 1_000_000,
    commandTimeoutMs = 15_000,
    between = (store) => store,
  }: SideOptions = {}): Promise<Side> {
    const conflicts: string[] = [];
    const operations: string[] = [];
    const connection = openRedis({
      ...REDIS_TIMEOUTS,
      url: this.redis.url,
      commandTimeoutMs,
      onState: (link, state) => {
        if (link === 'hearing') bindings?.hearing(state);
      },
    });
    await eventually(() => connection.ping());
    const bindings = new Bindings({
      gateway: 'gw1',
      store: between(new RedisStore(connection, 'ici', { keyPrefix: 'test', idleLifetimeMs, maxBindings })),
      cache: new BindingCache({ maxEntries, idleLifetimeMs }),
      sessionsAreProvisional,
      epoch: () => this.epoch,
      events: {
        onReplaced: () => {},
        onRebound: () => {},
        onShared: () => {},
        onConflict: (names, was, now) =>
          conflicts.push(`${names[0]?.value}: ${was.instance} -> ${now.instance}`),
        onOperation: (operation, outcome) => operations.push(`${operation} ${outcome}`),
      },
    });
    const close = async (): Promise<void> => {
      await bindings.close();
      await connection.close();
    };
    const side = { bindings, conflicts, operations, ping: () => connection.ping(), close };
    this.#sides.push(side);
    await this.hears(side);
    return side;
  }

  /** Resolves once the gateway receives news of new bindings. */
  async hears({ bindings }: Side): Promise<void> {
    const probe = `PROBE${Math.random()}`;
    await eventually(async () => {
      await this.command(
        'PUBLISH',
        'test:{ici}:bindings',
        JSON.stringify(['bound', '1', `u${probe}`, 'a', '', 1]),
      );
      expect(bindings.find(probe, undefined)).toBeDefined();
    });
  }

  async claim({ bindings }: Side, names: readonly Name[], proposal: Placement): Promise<string> {
    return (await bindings.claim(names, proposal, this.fencingToken)).binding.instance;
  }

  async move({ bindings }: Side, names: readonly Name[], from: Binding, to: Placement): Promise<string> {
    return (await bindings.rebind(names, from, to, this.fencingToken)).binding.instance;
  }

  /** The instance of the agent, if the gateway may act on it without a lookup. */
  trusted({ bindings }: Side, agent: string | undefined, ofSession?: string): string | undefined {
    const entry = bindings.find(agent, ofSession);
    if (entry === undefined || !bindings.isTrusted(entry, this, false)) return undefined;
    return entry.binding.instance;
  }

  command(...command: readonly string[]): Promise<string> {
    return redisCommand(this.redis.port, ...command);
  }

  async close(): Promise<void> {
    for (const side of this.#sides) await side.close();
    this.redis.resume();
    await this.redis.stop();
  }
}

function viewOf(epoch: number, lostAt = 0): View {
  const instances = ['a', 'b', 'c'].map(
    (id): InstanceState => ({
      id,
      weight: 1,
      priority: 1,
      admin: 'enabled',
      health: 'up',
      incarnation: '1',
      past: [],
      quarantined: false,
      lostAt: id === 'a' ? lostAt : 0,
    }),
  );
  return makeView({
    pool: 'ici',
    mode: 'sticky',
    epoch,
    settled: true,
    instances,
    active: '',
    moving: new Map(),
  });
}
