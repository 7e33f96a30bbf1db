import { randomUUID } from 'node:crypto';
import type { Binding, Claim, Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import { parseNameKey } from '../core/identity.ts';
import type {
  AffinityListener,
  AffinityStore,
  BindingPage,
  KnownBinding,
  ListedBinding,
} from '../core/ports.ts';
import { StoreLost, StoreUnavailable } from '../core/ports.ts';
import type { RedisCommands, RedisConnection } from '../redis/connection.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import { BUCKETS, bucketOf, isRoot, packable, quantumOf, unpack } from './packing.ts';
import type { ScriptName } from './redis-scripts.ts';
import { SCRIPTS } from './redis-scripts.ts';
import { storedKey } from './stored-name.ts';

// A pointer found in one round can lead elsewhere in the next only if it was moved in between.
const MOST_ROUNDS = 4;
// Written before an answer is awaited: enough to hide the round trips, few enough to answer within the timeout.
const RESTORED_AT_ONCE = 64;
// Redis serves nobody else during a script; these take well under a millisecond.
const BUCKETS_LISTED_AT_ONCE = 16;
const SCRIPTS_LISTED_AT_ONCE = 32;
const DEFAULT_PAGE = 100;
// What brings a store up to date that has lost its data, or takes away from it, must not be refused because it has.
const WRITES_BACK: ReadonlySet<ScriptName> = new Set(['gwRestore', 'gwRelease']);

export interface RedisStoreOptions {
  /** What the names of all keys and channels begin with. */
  readonly keyPrefix: string;
  /** How long a binding lives after it was last claimed or renewed. */
  readonly idleLifetimeMs: number;
}

/**
 * The bindings of one pool in Redis.
 *
 * Names are fields of bucket hashes, small enough for Redis's compact encoding;
 * the choice of bucket is the client's. The steps themselves are the scripts of
 * redis-scripts.ts. All keys share the hash tag of the pool.
 */
export class RedisStore implements AffinityStore {
  readonly #redis: RedisCommands;
  readonly #subscriber: RedisSubscriber;
  readonly #keys: string;
  readonly #counts: string;
  readonly #marker: string;
  readonly #channel: string;
  readonly #lifetime: readonly [string, string, string];
  /** Bindings were told, so a cache of them may exist. */
  #told = false;
  #closed = false;
  /** The mark that was told last. */
  #mark = '';

  constructor(redis: RedisConnection, pool: string, options: RedisStoreOptions) {
    this.#redis = redis.claims;
    this.#redis.define(SCRIPTS);
    this.#subscriber = redis.subscriber;
    this.#keys = `${options.keyPrefix}:{${pool}}:`;
    this.#counts = `${this.#keys}counts`;
    this.#marker = `${this.#keys}marker`;
    this.#channel = `${this.#keys}moved`;
    const quantum = quantumOf(options.idleLifetimeMs);
    this.#lifetime = [String(options.idleLifetimeMs), String(quantum), this.#channel];
  }

  async claim(names: readonly Name[], proposal: Placement): Promise<Claim> {
    return toClaim(await this.#step('gwClaim', names.map(storedKey), proposal));
  }

  async rebind(expected: Binding, proposal: Placement): Promise<Claim> {
    return toClaim(await this.#step('gwRebind', [storedKey(expected.root)], proposal, expected.generation));
  }

  async renew(names: readonly Name[]): Promise<Binding | undefined> {
    const reply = await this.#step('gwRenew', names.map(storedKey));
    return reply[0] === 'none' ? undefined : toClaim(reply).binding;
  }

  async release(name: Name): Promise<void> {
    await this.#step('gwRelease', [storedKey(name)]);
  }

  /** Atomic for each entry, not for all of them together. */
  async restore(entries: readonly KnownBinding[]): Promise<Binding[]> {
    const bindings: Binding[] = [];
    for (let start = 0; start < entries.length; start += RESTORED_AT_ONCE) {
      const replies = await Promise.all(
        entries.slice(start, start + RESTORED_AT_ONCE).map(({ binding, aliases }) => {
          const fields = [binding.root, ...aliases].map(storedKey);
          return this.#step('gwRestore', fields, binding, binding.generation);
        }),
      );
      for (const reply of replies) bindings.push(toClaim(reply).binding);
    }
    return bindings;
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const flat = (await this.#call('gwCounts', [this.#counts, this.#marker], this.#arguments(''))) as (
      | string
      | number
    )[];
    const counts = new Map<string, number>();
    for (let i = 0; i < flat.length; i += 2) counts.set(String(flat[i]), Number(flat[i + 1]));
    return counts;
  }

  /**
   * Walks the buckets in order, and each bucket in the order of its fields, so a
   * binding that lives throughout the walk is told exactly once.
   */
  async list(query: { instance?: string; cursor?: string; limit?: number }): Promise<BindingPage> {
    const limit = Math.max(1, query.limit ?? DEFAULT_PAGE);
    const bindings: ListedBinding[] = [];
    let [bucket, after] = parseCursor(query.cursor);
    // Grows while nothing is found, so that a sparse store takes few round trips.
    let scripts = 1;
    while (bucket < BUCKETS) {
      const foundBefore = bindings.length;
      for (const found of await this.#listBuckets(bucket, scripts, query.instance ?? '')) {
        for (const [field, listed] of found) {
          if (after !== undefined && field <= after) continue;
          bindings.push(listed);
          if (bindings.length === limit) return { bindings, cursor: `${bucket}.${field}` };
        }
        after = undefined;
        bucket += 1;
      }
      scripts = bindings.length > foundBefore ? 1 : Math.min(scripts * 2, SCRIPTS_LISTED_AT_ONCE);
    }
    return { bindings, cursor: undefined };
  }

  async marker(): Promise<string> {
    const reply = (await this.#call('gwMarker', [this.#marker], [randomUUID()])) as string[];
    this.#mark = reply[0] ?? '';
    return reply.join('.');
  }

  listen(listener: AffinityListener): void {
    this.#subscriber.listen(this.#channel, {
      onMessage: (message) => {
        const fields = JSON.parse(message) as string[];
        listener.onMoved(fields.map(toName));
      },
      onHeard: () => {
        if (this.#told) listener.onGap();
      },
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#subscriber.forget(this.#channel);
  }

  /** Runs a script over fields, and again with what it asks to be declared. */
  async #step(
    script: ScriptName,
    names: readonly string[],
    placement?: Placement,
    generation = 0,
  ): Promise<(string | number)[]> {
    const proposal = placement === undefined ? undefined : packable(placement);
    const fields = [...names];
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const keys = [this.#counts, this.#marker, ...fields.map((field) => this.#bucketKey(bucketOf(field)))];
      const reply = (await this.#call(script, keys, [
        ...this.#lifetime,
        proposal?.instance ?? '',
        proposal?.incarnation ?? '',
        String(generation),
        String(names.length),
        WRITES_BACK.has(script) ? '' : this.#mark,
        ...fields,
      ])) as (string | number)[];
      if (reply[0] === 'lost') throw new StoreLost('redis: the store has lost its data');
      if (reply[0] !== 'declare') {
        this.#told = true;
        return reply;
      }
      fields.push(...(reply.slice(1) as string[]));
    }
    throw new StoreUnavailable(`redis: a name was moved during each of ${MOST_ROUNDS} looks at it`);
  }

  #call(script: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    if (this.#closed) return Promise.reject(new StoreUnavailable('the affinity store is closed'));
    return this.#redis.run(script, keys, args);
  }

  async #listBuckets(first: number, scripts: number, instance: string): Promise<[string, ListedBinding][][]> {
    const starts: number[] = [];
    for (let i = 0; i < scripts; i += 1) {
      const start = first + i * BUCKETS_LISTED_AT_ONCE;
      if (start < BUCKETS) starts.push(start);
    }
    const replies = await Promise.all(
      starts.map((start) => {
        const end = Math.min(start + BUCKETS_LISTED_AT_ONCE, BUCKETS);
        const keys = [this.#counts, this.#marker];
        for (let bucket = start; bucket < end; bucket += 1) keys.push(this.#bucketKey(bucket));
        return this.#call('gwList', keys, this.#arguments(instance));
      }),
    );
    return (replies as [string, ...string[][]][]).flatMap(([now, ...buckets]) =>
      buckets.map((flat) => toListed(flat, Number(now))),
    );
  }

  /** For the scripts that take no fields. */
  #arguments(instance: string): string[] {
    return [...this.#lifetime, instance, '', '0', '0', ''];
  }

  #bucketKey(bucket: number): string {
    return `${this.#keys}b:${bucket}`;
  }
}

/** The reply of a script's `answer`. */
function toClaim(reply: readonly (string | number)[]): Claim {
  const [, field, instance, incarnation, generation, made, displaced, displacedIncarnation] = reply;
  const binding: Binding = {
    root: toName(String(field)),
    instance: String(instance),
    incarnation: String(incarnation),
    generation: Number(generation),
  };
  if (displaced === '') return { binding, made: made === 1 };
  const conflict = { instance: String(displaced), incarnation: String(displacedIncarnation) };
  return { binding, made: made === 1, conflict };
}

function toName(field: string): Name {
  const name = parseNameKey(field);
  if (name === undefined) throw new Error(`not a name of the affinity store: ${field}`);
  return name;
}

function toListed(flat: readonly string[], now: number): [string, ListedBinding][] {
  const listed: [string, ListedBinding][] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const field = flat[i] as string;
    const entry = unpack(flat[i + 1] as string);
    if (!isRoot(entry)) continue;
    const { end, ...holds } = entry;
    listed.push([field, { binding: { root: toName(field), ...holds }, expiresInMs: end - now }]);
  }
  return listed.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** `<bucket>.<last field told>` */
function parseCursor(cursor: string | undefined): [number, string | undefined] {
  if (cursor === undefined) return [0, undefined];
  const dot = cursor.indexOf('.');
  const bucket = Number.parseInt(cursor, 10);
  if (dot < 1 || !(bucket >= 0)) throw new TypeError(`not a cursor of the affinity store: ${cursor}`);
  return [bucket, cursor.slice(dot + 1)];
}
