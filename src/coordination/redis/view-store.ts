import { randomUUID } from 'node:crypto';
import type { InstanceId } from '../../core/instance.ts';
import type { ViewStoreClient, ViewStoreListener } from '../../core/ports.ts';
import { StoreUnavailable } from '../../core/ports.ts';
import type { AgreedView, LoggedEvent, PoolEvent } from '../../core/view/agreed-view.ts';
import { NO_VIEW } from '../../core/view/agreed-view.ts';
import type { ConfigParts } from '../../core/view/config-parts.ts';
import type { HealthReport, ReplicaReport } from '../../core/view/health-report.ts';
import type { Policy } from '../../core/view/policy.ts';
import { NO_POLICY } from '../../core/view/policy.ts';
import type { PolicyRequest, ProposeRequest, SyncReply, SyncRequest } from '../../core/view/view-store.ts';
import type { RedisCommands, RedisConnection } from '../../redis/connection.ts';
import { bindingsChannel, fencingTokenKey, poolKey } from '../../redis/keys.ts';
import type { ChannelListener, RedisSubscriber } from '../../redis/subscriber.ts';
import { RedisReplicas } from './replicas.ts';
import type { ViewStoreScript } from './scripts.ts';
import { VIEW_STORE_SCRIPTS } from './scripts.ts';

export interface RedisViewStoreOptions {
  /** The prefix of all keys and channels. */
  readonly keyPrefix: string;
  readonly leaseMs: number;
  readonly joinMs: number;
  /** The number of Redis replicas that must confirm a write before it counts. */
  readonly confirmedBy: number;
  /** How long operators' acts are kept, in milliseconds. Default: without end. */
  readonly keepActsMs?: number;
}

/** The view store of one pool in Redis. The scripts in coordination/redis/*.lua hold its rules. */
export class RedisViewStore implements ViewStoreClient {
  readonly #redis: RedisCommands;
  readonly #subscriber: RedisSubscriber;
  readonly #keys: readonly string[];
  readonly #channel: string;
  readonly #bindingsChannel: string;
  readonly #options: RedisViewStoreOptions;
  /** Marks this gateway's own news, which its subscription receives too. */
  readonly #origin = randomUUID();
  /** As of the last reply. */
  #storeGeneration = '';
  #listener: ChannelListener | undefined;
  #closed = false;
  /** When the latest registration ends, in monotonic ms. */
  #registeredUntil = Number.NEGATIVE_INFINITY;
  readonly #replicas = new RedisReplicas();

  constructor(redis: RedisConnection, pool: string, options: RedisViewStoreOptions) {
    this.#redis = redis.viewStore;
    this.#redis.define(VIEW_STORE_SCRIPTS);
    this.#subscriber = redis.subscriber;
    this.#options = options;
    const key = (name: string): string => poolKey(options.keyPrefix, pool, name);
    this.#keys = [
      key('ledger'),
      key('replicas'),
      // The stored name of the health reports.
      key('opinions'),
      fencingTokenKey(options.keyPrefix, pool),
      key('events'),
      key('leases'),
      key('configs'),
      key('acts'),
    ];
    this.#channel = key('news');
    this.#bindingsChannel = bindingsChannel(options.keyPrefix, pool);
  }

  async sync(request: SyncRequest): Promise<SyncReply> {
    const { view, policy, config } = request;
    const sentAt = performance.now();
    const reply = await this.#write('gwSync', [
      String(this.#options.joinMs),
      request.replica,
      String(request.epoch),
      request.viewId,
      flag(request.held),
      request.restored,
      JSON.stringify(request.report ?? null),
      String(request.reportsKnown),
      String(request.policyKnown),
      this.#storeGeneration,
      String(view?.epoch ?? 0),
      view?.id ?? '',
      view === undefined ? '' : JSON.stringify(view),
      String(policy?.version ?? 0),
      policy === undefined ? '' : JSON.stringify(policy),
      this.#bindingsChannel,
      String(request.seq),
      config === undefined ? '' : JSON.stringify(config),
    ]);
    const answer = toReply(reply as readonly ReplyPart[]);
    const hasJoined = sentAt >= this.#registeredUntil;
    this.#storeGeneration = answer.storeGeneration;
    this.#registeredUntil = sentAt + this.#options.leaseMs;
    if (!(await this.#isRegistrationSafe(hasJoined))) return { ...answer, granted: false };
    return answer;
  }

  /**
   * Would the registration survive a failover of Redis? If a promoted replica never received it, the other gateways
   * would not wait for this one.
   */
  async #isRegistrationSafe(hasJoined: boolean): Promise<boolean> {
    // Then replicas confirm every sync.
    if (this.#options.confirmedBy > 0) return true;
    if (!hasJoined && this.#replicas.knowAll) return true;
    const info = String(await this.#run('gwReplicas', []));
    if (hasJoined) this.#replicas.mustKnow(info);
    this.#replicas.update(info);
    return this.#replicas.knowAll;
  }

  async propose({ base, view, events }: ProposeRequest): Promise<boolean> {
    const args = [base, String(view.epoch), view.id, JSON.stringify(view), ...events.map(toJson)];
    return (await this.#write('gwPropose', args)) === 1;
  }

  async commitPolicy({ base, policy, events, onView = '' }: PolicyRequest): Promise<boolean> {
    const args = [String(base), String(policy.version), JSON.stringify(policy), onView];
    return (await this.#write('gwCommitPolicy', [...args, ...this.#acts(events)])) === 1;
  }

  async record(acts: readonly PoolEvent[]): Promise<void> {
    await this.#write('gwRecord', this.#acts(acts));
  }

  async leave(replica: string): Promise<void> {
    await this.#run('gwLeave', [replica]);
  }

  async events(limit: number): Promise<readonly LoggedEvent[]> {
    if (limit < 1) return [];
    const lines = (await this.#run('gwEvents', [String(limit)])) as readonly string[];
    return lines.map(toEvent).reverse();
  }

  async acts(limit: number, skipped = 0): Promise<readonly LoggedEvent[]> {
    if (limit < 1) return [];
    const lines = (await this.#run('gwActs', [String(limit), String(skipped)])) as readonly string[];
    return lines.map(toAct).reverse();
  }

  suspect(instance: InstanceId): void {
    this.#run('gwTell', [`suspect ${instance}`]).catch(() => {
      // The other gateways find out by their own probes, only later.
    });
  }

  listen(listener: ViewStoreListener): void {
    this.#listener = {
      onMessage: (message) => {
        const [origin, kind, ...rest] = message.split(' ');
        if (origin === this.#origin || kind === 'probe') return;
        if (kind === 'suspect') listener.onSuspect(rest.join(' '));
        else listener.onNews(kind === 'urgent');
      },
      // News may have been missed before the subscription.
      onHeard: () => listener.onNews(true),
    };
    this.#subscriber.listen(this.#channel, this.#listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#listener !== undefined) this.#subscriber.forget(this.#channel, this.#listener);
  }

  #run(script: ViewStoreScript, args: readonly string[]): Promise<unknown> {
    if (this.#closed) return Promise.reject(new StoreUnavailable('the view store is closed'));
    return this.#redis.run(script, this.#keys, this.#arguments(args));
  }

  /** Runs a script whose writes must survive a failover, and waits for `confirmedBy` Redis replicas. */
  async #write(script: ViewStoreScript, args: readonly string[]): Promise<unknown> {
    const { confirmedBy } = this.#options;
    if (confirmedBy === 0 || this.#closed) return this.#run(script, args);
    const { reply, confirmations } = await this.#redis.runConfirmed(
      script,
      this.#keys,
      this.#arguments(args),
      confirmedBy,
    );
    if (confirmations >= confirmedBy) return reply;
    throw new StoreUnavailable(
      `redis: ${confirmations} of ${confirmedBy} replicas confirmed in time (affinity.redis.confirmedBy); ` +
        'check for a replica that is away or lags',
    );
  }

  #acts(acts: readonly PoolEvent[]): string[] {
    return [String(this.#options.keepActsMs ?? Number.MAX_SAFE_INTEGER), ...acts.map(toJson)];
  }

  #arguments(args: readonly string[]): string[] {
    return [randomUUID(), String(this.#options.leaseMs), this.#channel, this.#origin, ...args];
  }
}

type ReplyPart = string | readonly string[];

function toReply(parts: readonly ReplyPart[]): SyncReply {
  const [
    now,
    storeGeneration,
    open,
    granted,
    epoch,
    id,
    effective,
    fencingToken,
    wantsState,
    state,
    replicas,
    keeps,
  ] = parts as readonly string[];
  const more = new Map<string, ReplyPart>();
  for (let i = 12; i < parts.length; i += 2) more.set(parts[i] as string, parts[i + 1] as ReplyPart);
  const place = { epoch: Number(epoch), id: id ?? '' };
  return {
    now: Number(now),
    storeGeneration: storeGeneration ?? '',
    open: open === '1',
    granted: granted === '1',
    keeps: keeps === '1',
    epoch: place.epoch,
    viewId: place.id,
    effective: effective === '1',
    fencingToken: fencingToken ?? '',
    // The view store may have given the view another number.
    view: more.has('view') ? { ...parse<AgreedView>(more.get('view'), NO_VIEW), ...place } : undefined,
    wantsState: wantsState === '1',
    reportsVersion: Number(state),
    reports: more.has('ballots')
      ? toReports(more.get('ballots') as readonly string[], more.get('configs') as readonly string[])
      : undefined,
    replicas: Number(replicas),
    policy: more.has('policy') ? parse<Policy>(more.get('policy'), NO_POLICY) : undefined,
  };
}

function parse<T>(json: ReplyPart | undefined, missing: T): T {
  return typeof json !== 'string' || json === '' ? missing : (JSON.parse(json) as T);
}

function toReports(flat: readonly string[], flatConfigs: readonly string[]): ReplicaReport[] {
  const configs = new Map<string, ConfigParts>();
  for (let i = 0; i < flatConfigs.length; i += 2)
    configs.set(flatConfigs[i] as string, JSON.parse(flatConfigs[i + 1] as string) as ConfigParts);
  const reports: ReplicaReport[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const replica = flat[i] as string;
    const report = (JSON.parse(flat[i + 1] as string) as HealthReport | null) ?? undefined;
    const config = configs.get(replica);
    reports.push({ replica, report, ...(config === undefined ? {} : { config }) });
  }
  // Redis returns them in random order, and every gateway must decide alike.
  return reports.sort((a, b) => (a.replica < b.replica ? -1 : 1));
}

/** `<at>|<epoch>|<JSON>` */
function toEvent(line: string): LoggedEvent {
  const [at = '', epoch = ''] = line.split('|', 2);
  const event = JSON.parse(line.slice(at.length + epoch.length + 2)) as PoolEvent;
  return { ...event, at: Number(at), epoch: Number(epoch) };
}

/** `<at>|<epoch>|<times>|<firstAt>|<JSON>` */
function toAct(line: string): LoggedEvent {
  const [at = '', epoch = '', times = '', firstAt = ''] = line.split('|', 4);
  const act = JSON.parse(line.slice([at, epoch, times, firstAt].join('|').length + 1)) as PoolEvent;
  const repeats = times === '1' ? {} : { times: Number(times), firstAt: Number(firstAt) };
  return { ...act, at: Number(at), epoch: Number(epoch), ...repeats };
}

function toJson(event: PoolEvent): string {
  return JSON.stringify(event);
}

function flag(value: boolean): string {
  return value ? '1' : '';
}
