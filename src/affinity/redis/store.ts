import type { Binding, Claim, Placement } from '../../core/binding.ts';
import { rulingOf, rulingsFor } from '../../core/evidence.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import { namedBy, parseNameKey } from '../../core/identity.ts';
import type {
  AffinityListener,
  AffinityStore,
  BindingPage,
  BindingQuery,
  KnownBinding,
  ListedAlias,
  ListedBinding,
} from '../../core/ports.ts';
import { NamesNoAgent, StaleView, StoreUnavailable, UnknownCursor } from '../../core/ports.ts';
import { storedForm, storedKey } from '../../core/stored-name.ts';
import { epochOf } from '../../core/view/view-store.ts';
import type { RedisCommands, RedisConnection } from '../../redis/connection.ts';
import { bindingsChannel, fencingTokenKey, poolKey } from '../../redis/keys.ts';
import type { RedisSubscriber } from '../../redis/subscriber.ts';
import { BUCKETS, bucketOf, isRoot, packable, quantumOf, unpack } from '../packing.ts';
import type { ScriptName } from './scripts.ts';
import { SCRIPTS } from './scripts.ts';

// A pointer leads elsewhere in the next round only if it was moved in between.
const MAX_ROUNDS = 4;
// Enough bindings in flight to hide the round trips, and few enough for an answer within the time-out.
const RESTORED_BY_SCRIPT = 32;
const SCRIPTS_RESTORING_AT_ONCE = 4;
// Redis serves no other client during a script. With this many buckets it takes well under a millisecond.
const BUCKETS_LISTED_AT_ONCE = 16;
const SCRIPTS_LISTED_AT_ONCE = 32;
const DEFAULT_PAGE = 100;

export interface RedisStoreOptions {
  /** The prefix of all keys and channels. */
  readonly keyPrefix: string;
  /** How long a binding lives after its last claim or renewal. */
  readonly idleLifetimeMs: number;
}

/** The arguments of a script besides names. */
interface Step {
  readonly placement?: Placement;
  /** ARGV[6]: a generation or rulings. */
  readonly sixth?: string;
  readonly fencingToken?: string;
  readonly epoch?: number;
}

/** What restore.lua returns. */
type RestoreReply = readonly [readonly string[], readonly (1 | '' | readonly (string | number)[])[]];

/**
 * The bindings of one pool in Redis.
 *
 * Names are fields of hashes (buckets) that are small enough for Redis's compact encoding. The client chooses the
 * bucket of a name; the scripts in affinity/redis/*.lua do the rest. All keys share the hash tag of the pool.
 */
export class RedisStore implements AffinityStore {
  readonly #redis: RedisCommands;
  readonly #listings: RedisCommands;
  readonly #subscriber: RedisSubscriber;
  readonly #keys: string;
  readonly #counts: string;
  readonly #fencingToken: string;
  readonly #viewStore: string;
  readonly #channel: string;
  readonly #lifetime: readonly [string, string, string];
  #closed = false;

  constructor(redis: RedisConnection, pool: string, options: RedisStoreOptions) {
    const key = (name: string): string => poolKey(options.keyPrefix, pool, name);
    this.#redis = redis.claims;
    this.#redis.define(SCRIPTS);
    this.#listings = redis.listings;
    this.#listings.define({ gwList: SCRIPTS.gwList });
    this.#subscriber = redis.subscriber;
    this.#keys = key('');
    this.#counts = key('counts');
    this.#fencingToken = fencingTokenKey(options.keyPrefix, pool);
    this.#viewStore = key('ledger');
    this.#channel = bindingsChannel(options.keyPrefix, pool);
    const quantum = quantumOf(options.idleLifetimeMs);
    this.#lifetime = [String(options.idleLifetimeMs), String(quantum), this.#channel];
  }

  async claim(names: readonly RequestName[], proposal: Placement, fencingToken: string): Promise<Claim> {
    return this.#withToken('gwClaim', names.map(storedKey), proposal, rulingsOf(names), fencingToken);
  }

  async rebind(expected: Binding, proposal: Placement, fencingToken: string): Promise<Claim> {
    return this.#withToken(
      'gwRebind',
      [storedKey(expected.root)],
      proposal,
      String(expected.generation),
      fencingToken,
    );
  }

  async renew(names: readonly Name[]): Promise<Binding | undefined> {
    const reply = await this.#step('gwRenew', names.map(storedKey), {});
    return reply[0] === 'none' ? undefined : toClaim(reply).binding;
  }

  async release(name: Name): Promise<void> {
    await this.#step('gwRelease', [storedKey(name)], {});
  }

  /** Atomic for each entry, not for all together. */
  async restore(entries: readonly KnownBinding[]): Promise<Binding[]> {
    const held: Binding[] = [];
    const atOnce = RESTORED_BY_SCRIPT * SCRIPTS_RESTORING_AT_ONCE;
    for (let start = 0; start < entries.length; start += atOnce) {
      const parts: Promise<Binding[]>[] = [];
      for (let i = start; i < Math.min(start + atOnce, entries.length); i += RESTORED_BY_SCRIPT) {
        parts.push(this.#restore(entries.slice(i, i + RESTORED_BY_SCRIPT)));
      }
      for (const part of await Promise.all(parts)) held.push(...part);
    }
    return held;
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const flat = (await this.#call('gwCounts', [this.#counts, this.#fencingToken], this.#arguments())) as (
      | string
      | number
    )[];
    const counts = new Map<string, number>();
    for (let i = 0; i < flat.length; i += 2) counts.set(String(flat[i]), Number(flat[i + 1]));
    return counts;
  }

  /**
   * Reads the buckets in order, and the fields of each bucket in order, so a binding that lives throughout the listing
   * appears exactly once.
   */
  async list(query: BindingQuery): Promise<BindingPage> {
    const limit = Math.max(1, query.limit ?? DEFAULT_PAGE);
    const bindings: ListedBinding[] = [];
    const aliases: ListedAlias[] = [];
    const page = (cursor: string | undefined): BindingPage =>
      query.aliases === true ? { bindings, aliases, cursor } : { bindings, cursor };
    let [bucket, after] = parseCursor(query.cursor);
    let told = 0;
    // Grows while nothing is found, so that a nearly empty store takes few round trips.
    let scripts = 1;
    while (bucket < BUCKETS) {
      const toldBefore = told;
      for (const found of await this.#listBuckets(bucket, scripts, query)) {
        for (const [field, line] of found) {
          if (after !== undefined && field <= after) continue;
          if ('binding' in line) bindings.push(line);
          else aliases.push(line);
          told += 1;
          if (told === limit) return page(`${bucket}.${field}`);
        }
        after = undefined;
        bucket += 1;
      }
      scripts = told > toldBefore ? 1 : Math.min(scripts * 2, SCRIPTS_LISTED_AT_ONCE);
    }
    return page(undefined);
  }

  listen(listener: AffinityListener): void {
    this.#subscriber.listen(this.#channel, {
      onMessage: (message) => tell(listener, JSON.parse(message) as string[]),
      onHeard: () => listener.onGap(),
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#subscriber.forget(this.#channel);
  }

  async #withToken(
    script: ScriptName,
    names: readonly string[],
    placement: Placement,
    sixth: string,
    fencingToken: string,
  ): Promise<Claim> {
    // The script would skip the check for an empty token.
    if (fencingToken === '') throw new StaleView('no view is in effect');
    try {
      return toClaim(
        await this.#step(script, names, { placement, sixth, fencingToken, epoch: epochOf(fencingToken) }),
      );
    } catch (error) {
      throw error instanceof StoreUnavailable ? answeredByClaim(error) : error;
    }
  }

  /** Runs a script on the names, and again with the roots that it asks to be declared. */
  async #step(script: ScriptName, names: readonly string[], step: Step): Promise<(string | number)[]> {
    const proposal = step.placement === undefined ? undefined : packable(step.placement);
    const fields = [...names];
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const keys = [
        this.#counts,
        this.#fencingToken,
        ...fields.map((field) => this.#bucketKey(bucketOf(field))),
      ];
      const reply = (await this.#call(script, keys, [
        ...this.#lifetime,
        proposal?.instance ?? '',
        proposal?.incarnation ?? '',
        step.sixth ?? '0',
        String(names.length),
        step.fencingToken ?? '',
        String(step.epoch ?? 0),
        ...fields,
      ])) as (string | number)[];
      if (reply[0] === 'stale') throw new StaleView('the view has changed');
      if (reply[0] === 'no-agent') throw new NamesNoAgent();
      if (reply[0] !== 'declare') return reply;
      fields.push(...(reply.slice(1) as string[]));
    }
    throw movedTooOften();
  }

  /** Writes back the bindings in one script, and again those for which it asks roots to be declared. */
  async #restore(entries: readonly KnownBinding[]): Promise<Binding[]> {
    const held: Binding[] = [];
    const names = entries.map(({ binding, aliases }) => [binding.root, ...aliases].map(storedKey));
    let todo = entries.map((_, i) => i);
    const declared: string[] = [];
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const fields = [...todo.flatMap((i) => names[i] as string[]), ...declared];
      const known = todo.map((i) => {
        const { binding, epoch } = entries[i] as KnownBinding;
        const { instance, incarnation } = packable(binding);
        return [instance, incarnation, binding.generation, epoch, names[i]?.length];
      });
      const keys = [
        this.#counts,
        this.#viewStore,
        ...fields.map((field) => this.#bucketKey(bucketOf(field))),
      ];
      const args = [...this.#lifetime, JSON.stringify(known), '', '0', '0', '', '0', ...fields];
      const [undeclared, results] = (await this.#call('gwRestore', keys, args)) as RestoreReply;
      const left: number[] = [];
      for (const [j, i] of todo.entries()) {
        const result = results[j] as RestoreReply[1][number];
        if (result === '') left.push(i);
        else held[i] = result === 1 ? asGiven(entries[i] as KnownBinding) : toClaim(result).binding;
      }
      if (left.length === 0) return held;
      todo = left;
      declared.push(...undeclared);
    }
    throw movedTooOften();
  }

  #call(
    script: ScriptName,
    keys: readonly string[],
    args: readonly string[],
    redis = this.#redis,
  ): Promise<unknown> {
    if (this.#closed) return Promise.reject(new StoreUnavailable('the affinity store is closed'));
    return redis.run(script, keys, args);
  }

  async #listBuckets(
    first: number,
    scripts: number,
    query: BindingQuery,
  ): Promise<[string, ListedBinding | ListedAlias][][]> {
    const starts: number[] = [];
    for (let i = 0; i < scripts; i += 1) {
      const start = first + i * BUCKETS_LISTED_AT_ONCE;
      if (start < BUCKETS) starts.push(start);
    }
    const replies = await Promise.all(
      starts.map((start) => {
        const end = Math.min(start + BUCKETS_LISTED_AT_ONCE, BUCKETS);
        const keys = [this.#counts, this.#fencingToken];
        for (let bucket = start; bucket < end; bucket += 1) keys.push(this.#bucketKey(bucket));
        return this.#call('gwList', keys, this.#arguments(query), this.#listings);
      }),
    );
    return (replies as [string, ...string[][]][]).flatMap(([now, ...buckets]) =>
      buckets.map((flat) => toListed(flat, Number(now))),
    );
  }

  /** The arguments of scripts that take no fields. */
  #arguments({ instance = '', aliases = false }: BindingQuery = {}): string[] {
    return [...this.#lifetime, instance, '', aliases ? '1' : '0', '0', '', '0'];
  }

  #bucketKey(bucket: number): string {
    return `${this.#keys}b:${bucket}`;
  }
}

/** The rulings for each way in which a request can name its agent, computed once. */
const rulings = new Map<string, string>();

function rulingsOf(names: readonly RequestName[]): string {
  const named = namedBy(names);
  const key = `${named.user} ${named.session}`;
  let letters = rulings.get(key);
  if (letters === undefined) {
    letters = rulingsFor(named);
    rulings.set(key, letters);
  }
  return letters;
}

/** The same failure, but its late answer is the claim, or `undefined` if the store did nothing. */
function answeredByClaim(failure: StoreUnavailable): StoreUnavailable {
  if (failure.timedOut === undefined) return failure;
  const { wasLate, answer } = failure.timedOut;
  const claim = answer.then((reply) => {
    const parts = reply as (string | number)[];
    return parts[0] === 'holds' ? toClaim(parts) : undefined;
  });
  // The caller need not wait for it.
  claim.catch(() => {});
  return new StoreUnavailable(failure.message, failure.cause, { wasLate, answer: claim });
}

function movedTooOften(): StoreUnavailable {
  return new StoreUnavailable(`redis: a name moved during each of ${MAX_ROUNDS} attempts to read it`);
}

function asGiven({ binding }: KnownBinding): Binding {
  return { root: storedForm(binding.root), ...packable(binding), generation: binding.generation };
}

/** Passes on a message that `moved` or `bound` of the scripts published. */
function tell(listener: AffinityListener, [kind, ...rest]: readonly string[]): void {
  if (kind === 'moved') {
    listener.onMoved(rest.map(toName));
    return;
  }
  const [epoch, field = '', instance = '', incarnation = '', generation, ...aliases] = rest;
  const binding = { root: toName(field), instance, incarnation, generation: Number(generation) };
  listener.onBound(binding, aliases.map(toName), Number(epoch));
}

/** The claim in the reply that `answer` of the scripts made. */
function toClaim(reply: readonly (string | number)[]): Claim {
  const [, field, instance, incarnation, generation, made, displaced, displacedIncarnation, letter] = reply;
  const binding: Binding = {
    root: toName(String(field)),
    instance: String(instance),
    incarnation: String(incarnation),
    generation: Number(generation),
  };
  const by = letter === undefined ? {} : { by: rulingOf(String(letter)) };
  if (displaced === '') return { binding, made: made === 1, ...by };
  const conflict = { instance: String(displaced), incarnation: String(displacedIncarnation) };
  return { binding, made: made === 1, conflict, ...by };
}

function toName(field: string): Name {
  const name = parseNameKey(field);
  if (name === undefined) throw new Error(`the affinity store has a name that cannot be read: ${field}`);
  return name;
}

function toListed(flat: readonly string[], now: number): [string, ListedBinding | ListedAlias][] {
  const listed: [string, ListedBinding | ListedAlias][] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const field = flat[i] as string;
    const name = parseNameKey(field);
    // An earlier release stored another kind of name; those entries expire.
    if (name === undefined) continue;
    const entry = unpack(flat[i + 1] as string);
    if (isRoot(entry)) {
      const { end, ...holds } = entry;
      listed.push([field, { binding: { root: name, ...holds }, expiresInMs: end - now }]);
    } else {
      listed.push([field, { name, root: toName(entry.root) }]);
    }
  }
  return listed.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** `<bucket>.<last listed field>` */
function parseCursor(cursor: string | undefined): [number, string | undefined] {
  if (cursor === undefined) return [0, undefined];
  const dot = cursor.indexOf('.');
  const bucket = Number.parseInt(cursor, 10);
  if (dot < 1 || !(bucket >= 0)) throw new UnknownCursor(cursor);
  return [bucket, cursor.slice(dot + 1)];
}
