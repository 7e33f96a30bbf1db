import { randomUUID } from 'node:crypto';
import type { Binding, Claim, GroupProposal, Proposal } from '../../core/binding.ts';
import type { GroupsThere } from '../../core/groups.ts';
import type { Holdings } from '../../core/holdings.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type {
  AffinityListener,
  AffinityStore,
  BindingPage,
  BindingQuery,
  KnownBinding,
  ListedBinding,
  LogOff,
  PeekOptions,
} from '../../core/ports.ts';
import { NamesNoAgent, StaleView, StoreFull, StoreUnavailable } from '../../core/ports.ts';
import type { Rebalance } from '../../core/rebalance.ts';
import { storedForm, storedKey } from '../../core/stored-name.ts';
import { epochOf } from '../../core/view/view-store.ts';
import type { RedisCommands, RedisConnection } from '../../redis/connection.ts';
import { bindingsChannel, fencingTokenKey, poolKey } from '../../redis/keys.ts';
import type { ChannelListener, RedisSubscriber } from '../../redis/subscriber.ts';
import { isOutOfMemory } from '../../redis/unavailable.ts';
import { reasonText } from '../origin-text.ts';
import type { RootEntry } from '../packing.ts';
import { bucketOf, packable, quantumOf, unpack } from '../packing.ts';
import type { ClaimText, Place } from './claim-text.ts';
import { claimText, groupText, rebindText } from './claim-text.ts';
import { listedBinding, toName } from './listed-lines.ts';
import type { ListArguments } from './lister.ts';
import { Lister } from './lister.ts';
import { callerText } from './logoff-message.ts';
import { answeredByClaim, tell, toClaim, toGroups, toHoldings } from './replies.ts';
import type { ScriptName } from './scripts.ts';
import { SCRIPTS } from './scripts.ts';

// A pointer leads elsewhere in the next round only if it was moved in between. Members of a group take two rounds.
const MAX_ROUNDS = 6;
// Enough bindings in flight to hide the round trips, and few enough for an answer within the time-out.
const RESTORED_BY_SCRIPT = 32;
const SCRIPTS_RESTORING_AT_ONCE = 4;

export interface RedisStoreOptions {
  /** The prefix of all keys and channels. */
  readonly keyPrefix: string;
  /** How long a binding lives after its last claim or renewal. */
  readonly idleLifetimeMs: number;
  /** The most names that the pool may have, roots and aliases; no limit by default. */
  readonly maxBindings?: number;
}

/** The arguments of a script besides names. */
interface Step {
  readonly proposal?: Proposal;
  /** ARGV[4] and ARGV[5], if the step has no proposal. */
  readonly times?: readonly [string, string];
  /** ARGV[10], if the step has no proposal. */
  readonly text?: string;
  /** ARGV[6]: a generation, or what {@link ClaimText} makes. */
  readonly sixth?: string | ClaimText;
  readonly fencingToken?: string;
  /** The group of the agent, if the step has no proposal. */
  readonly group?: GroupProposal;
  readonly epoch?: number;
  /** A field that the script may need besides the names. */
  readonly declared?: string | undefined;
  /** The script reads the view store. */
  readonly readsViewStore?: boolean;
}

/** What restore.lua returns. */
type RestoreReply = readonly [readonly string[], readonly (1 | 0 | '' | readonly (string | number)[])[]];

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
  /** The keys that follow those of the buckets. */
  readonly #names: readonly [string, string, string];
  readonly #maxBindings: number;
  readonly #idleLifetimeMs: number;
  readonly #lister: Lister;
  /** Marks the log-offs of this client, which its subscription tells of too. */
  readonly #origin = randomUUID();
  #listener: ChannelListener | undefined;
  #closed = false;

  constructor(redis: RedisConnection, pool: string, options: RedisStoreOptions) {
    const key = (name: string): string => poolKey(options.keyPrefix, pool, name);
    this.#redis = redis.claims;
    this.#redis.define(SCRIPTS);
    this.#listings = redis.listings;
    this.#listings.define({ gwList: SCRIPTS.gwList, gwFind: SCRIPTS.gwFind, gwPeek: SCRIPTS.gwPeek });
    this.#subscriber = redis.subscriber;
    this.#keys = key('');
    this.#counts = key('counts');
    this.#fencingToken = fencingTokenKey(options.keyPrefix, pool);
    this.#viewStore = key('ledger');
    this.#channel = bindingsChannel(options.keyPrefix, pool);
    const quantum = quantumOf(options.idleLifetimeMs);
    this.#names = [key('aliases'), key('newcomers'), key('held')];
    this.#maxBindings = options.maxBindings ?? Number.MAX_SAFE_INTEGER;
    this.#lifetime = [String(options.idleLifetimeMs), String(quantum), this.#channel];
    this.#idleLifetimeMs = options.idleLifetimeMs;
    this.#lister = new Lister({
      run: (buckets, args) => this.#list(buckets, args),
      idleLifetimeMs: options.idleLifetimeMs,
    });
  }

  async claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    oldest?: Name,
    leaves?: readonly InstanceId[],
    rebalance?: Rebalance,
  ): Promise<Claim> {
    const fields = names.map(storedKey);
    const dropped = oldest && storedKey(oldest);
    const more = { oldest: dropped, group: proposal.group, leaves, rebalance };
    const step = { proposal, fencingToken, declared: dropped, readsViewStore: rebalance !== undefined };
    try {
      const sixth = claimText(names, this.#maxBindings, more);
      return await this.#withToken('gwClaim', fields, { ...step, sixth });
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || !isOutOfMemory(error.message)) throw error;
      return this.#withToken('gwClaimWithoutRoom', fields, { ...step, sixth: claimText(names, 0, more) });
    }
  }

  async rebind(expected: Binding, proposal: Proposal, fencingToken: string): Promise<Claim> {
    const sixth = rebindText(expected.generation, proposal.group);
    return this.#withToken('gwRebind', [storedKey(expected.root)], { proposal, sixth, fencingToken });
  }

  async renew(names: readonly Name[], seenAgoMs = 0): Promise<Binding | undefined> {
    const sixth = String(Math.floor(seenAgoMs));
    const reply = await this.#step('gwRenew', names.map(storedKey), { sixth });
    return reply[0] === 'none' ? undefined : toClaim(reply).binding;
  }

  async release({ root, generation }: Binding, fencingToken: string): Promise<Binding | undefined> {
    const reply = await this.#step('gwRelease', [storedKey(root)], {
      sixth: String(generation),
      fencingToken,
    });
    return reply[0] === 'holds' ? toClaim(reply).binding : undefined;
  }

  async logOff(
    { root, generation }: Binding,
    { graceMs, ageMs, isAgain = false }: LogOff,
  ): Promise<Binding | undefined> {
    const reply = await this.#step('gwLogOff', [storedKey(root)], {
      times: [String(graceMs), String(quantumOf(graceMs))],
      sixth: isAgain ? `${generation}|again` : String(generation),
      text: callerText(ageMs, this.#origin),
    });
    if (reply[0] === 'none') return undefined;
    const { binding, made } = toClaim(reply);
    return made ? binding : undefined;
  }

  /** Atomic for each entry, not for all together. */
  async restore(entries: readonly KnownBinding[]): Promise<(Binding | undefined)[]> {
    const held: (Binding | undefined)[] = [];
    const atOnce = RESTORED_BY_SCRIPT * SCRIPTS_RESTORING_AT_ONCE;
    for (let start = 0; start < entries.length; start += atOnce) {
      const parts: Promise<(Binding | undefined)[]>[] = [];
      for (let i = start; i < Math.min(start + atOnce, entries.length); i += RESTORED_BY_SCRIPT) {
        parts.push(this.#restore(entries.slice(i, i + RESTORED_BY_SCRIPT)));
      }
      for (const part of await Promise.all(parts)) held.push(...part);
    }
    return held;
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const flat = (await this.#call(
      'gwCounts',
      [this.#counts, this.#fencingToken],
      [...this.#lifetime, '', '', '0', '0', '', '0', ''],
    )) as (string | number)[];
    const counts = new Map<string, number>();
    for (let i = 0; i < flat.length; i += 2) counts.set(String(flat[i]), Number(flat[i + 1]));
    return counts;
  }

  async groups(): Promise<ReadonlyMap<InstanceId, GroupsThere>> {
    const keys = [this.#counts, this.#fencingToken, ...this.#names, `${this.#keys}groups`];
    const args = [...this.#lifetime, '', '', '0', '0', '', '0', ''];
    const flat = (await this.#call('gwHeldGroups', keys, args)) as (string | number)[];
    return toGroups(flat);
  }

  async find(names: readonly Name[]): Promise<ListedBinding | undefined> {
    const reply = await this.#step('gwFind', names.map(storedKey), {}, this.#listings);
    if (reply[0] === 'none') return undefined;
    const [, now, field, packed, origin] = reply.map(String) as [string, string, string, string, string];
    const root = unpack(packed) as RootEntry;
    return listedBinding(toName(field), root, Number(now), origin, this.#idleLifetimeMs);
  }

  async peek(
    names: readonly RequestName[],
    { fencingToken, group, isMove = false, needsRoom = false }: PeekOptions = {},
  ): Promise<Holdings> {
    const fields = names.map(storedKey);
    const step: Step = {
      times: [needsRoom ? String(this.#maxBindings) : '', ''],
      sixth: group === undefined ? '' : JSON.stringify(groupText(group)),
      text: isMove ? (fields[0] as string) : '',
      ...(group === undefined ? {} : { group }),
      ...(fencingToken === undefined ? {} : { fencingToken }),
    };
    return toHoldings(names, await this.#step('gwPeek', fields, step, this.#listings));
  }

  list(query: BindingQuery): Promise<BindingPage> {
    return this.#lister.list(query);
  }

  listen(listener: AffinityListener): void {
    if (this.#listener !== undefined) this.#subscriber.forget(this.#channel, this.#listener);
    this.#listener = {
      onMessage: (message) => tell(listener, JSON.parse(message) as string[], this.#origin),
      onHeard: () => listener.onGap(),
    };
    this.#subscriber.listen(this.#channel, this.#listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#listener !== undefined) this.#subscriber.forget(this.#channel, this.#listener);
  }

  async #withToken(
    script: ScriptName,
    names: readonly string[],
    step: Step & { readonly fencingToken: string },
  ): Promise<Claim> {
    try {
      return toClaim(await this.#step(script, names, { ...step, epoch: epochOf(step.fencingToken) }));
    } catch (error) {
      throw error instanceof StoreUnavailable ? answeredByClaim(error) : error;
    }
  }

  /** Runs a script on the names, and again with the fields that it asks to be declared or has reserved. */
  async #step(
    script: ScriptName,
    names: readonly string[],
    { proposal, times, text, sixth = '0', fencingToken, epoch = 0, declared, ...step }: Step,
    redis = this.#redis,
  ): Promise<(string | number)[]> {
    // The script would skip the check for an empty token.
    if (fencingToken === '') throw new StaleView('no view is in effect');
    const { instance, incarnation } = proposal === undefined ? NO_PLACEMENT : packable(proposal);
    const [fourth, fifth] = times ?? [instance, incarnation];
    const reason = text ?? reasonText(proposal?.cause, proposal?.gateway);
    const fields = declared === undefined ? [...names] : [...names, declared];
    const places: Place[] = [];
    const group = proposal?.group ?? step.group;
    const lastKeys = group === undefined ? [] : this.#groupKeys(group);
    if (step.readsViewStore === true) lastKeys.push(this.#viewStore);
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const keys = [
        this.#counts,
        this.#fencingToken,
        ...fields.map((field) => this.#bucketKey(bucketOf(field))),
        ...this.#names,
        ...lastKeys,
      ];
      const args = [
        ...this.#lifetime,
        fourth,
        fifth,
        typeof sixth === 'string' ? sixth : sixth(places),
        String(names.length),
        fencingToken ?? '',
        String(epoch),
        reason,
        ...fields,
      ];
      const reply = (await this.#call(script, keys, args, redis)) as (string | number)[];
      if (reply[0] === 'stale') throw new StaleView('the view has changed');
      if (reply[0] === 'no-agent') throw new NamesNoAgent();
      if (reply[0] === 'full') throw new StoreFull();
      if (reply[0] === 'declare') fields.push(...(reply.slice(1) as string[]));
      else if (reply[0] === 'replace') {
        for (let i = 1; i < reply.length; i += 2) places.push([String(reply[i]), String(reply[i + 1])]);
        fields.push(...places.slice((1 - reply.length) / 2).map(([field]) => field));
      } else return reply;
    }
    throw movedTooOften();
  }

  /** Writes back the bindings in one script, and again those for which it asks roots to be declared. */
  async #restore(entries: readonly KnownBinding[]): Promise<(Binding | undefined)[]> {
    const held: (Binding | undefined)[] = [];
    const names = entries.map(({ binding, aliases }) => [binding.root, ...aliases].map(storedKey));
    let todo = entries.map((_, i) => i);
    const declared: string[] = [];
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const fields = [...todo.flatMap((i) => names[i] as string[]), ...declared];
      const known = todo.map((i) => {
        const {
          binding,
          epoch,
          placedAt,
          usedAgoMs = 0,
          gateway,
          snapshotAgoMs,
        } = entries[i] as KnownBinding;
        const { instance, incarnation } = packable(binding);
        const kind = placedAt === undefined ? 'written-back' : 'placed-alone';
        const heldForMs = placedAt === undefined ? 0 : Math.max(0, Date.now() - placedAt);
        const reason = reasonText({ kind }, gateway);
        return [
          instance,
          incarnation,
          binding.generation,
          epoch,
          names[i]?.length,
          reason,
          heldForMs,
          Math.round(usedAgoMs),
          placedAt === undefined ? 0 : 1,
          ...(snapshotAgoMs === undefined ? [] : [Math.round(snapshotAgoMs)]),
        ];
      });
      const keys = [
        this.#counts,
        this.#viewStore,
        ...fields.map((field) => this.#bucketKey(bucketOf(field))),
        ...this.#names,
      ];
      const args = [...this.#lifetime, JSON.stringify(known), '', '0', '0', '', '0', '', ...fields];
      const [undeclared, results] = (await this.#call('gwRestore', keys, args)) as RestoreReply;
      const left: number[] = [];
      for (const [j, i] of todo.entries()) {
        const result = results[j] as RestoreReply[1][number];
        if (result === '') left.push(i);
        else if (result === 0) held[i] = undefined;
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

  #list(buckets: readonly number[], { instance, prefix, aliases, filter }: ListArguments): Promise<unknown> {
    const keys = [this.#counts, this.#fencingToken, ...buckets.map((bucket) => this.#bucketKey(bucket))];
    const args = [...this.#lifetime, instance, prefix, aliases ? '1' : '0', '0', '', '0', filter];
    return this.#call('gwList', keys, args, this.#listings);
  }

  #groupKeys({ name }: GroupProposal): string[] {
    return [`${this.#keys}groups`, `${this.#keys}members:${name}`];
  }

  #bucketKey(bucket: number): string {
    return `${this.#keys}b:${bucket}`;
  }
}

const NO_PLACEMENT = { instance: '', incarnation: '' };

function movedTooOften(): StoreUnavailable {
  return new StoreUnavailable(`redis: a name moved during each of ${MAX_ROUNDS} attempts to read it`);
}

function asGiven({ binding }: KnownBinding): Binding {
  return { root: storedForm(binding.root), ...packable(binding), generation: binding.generation };
}
