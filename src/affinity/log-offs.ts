import type { AgentLogOffs, CachedBinding, Visit } from '../core/agent-bindings.ts';
import type { Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { AffinityStore, HeardLogOff } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';
import { AgentActivity } from './agent-activity.ts';
import type { BindingCache } from './binding-cache.ts';
import { RecentInvalidations } from './recent-invalidations.ts';
import type { StoreMonitor } from './store-monitor.ts';
import type { WriteBackQueue } from './write-back-queue.ts';

export interface LogOffsOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  readonly queue: WriteBackQueue;
  readonly monitor: StoreMonitor;
  /** How late news of a log-off may be, before this gateway knows that it misses news. Default: 2 s. */
  readonly newsWithinMs?: number | undefined;
  /** False if {@link LogOffs.begin} is not called for every request. */
  readonly seesRequests: boolean;
  /** What answers of the store must be newer than. */
  readonly invalidations: RecentInvalidations;
  /** {@link AffinityStore.renew}, for names that are known to lead to the binding. */
  readonly renew: (names: readonly Name[], seenAgoMs: number) => Promise<unknown>;
}

// News is rarely later than this, so an earlier request came before the log-off.
const USUAL_NEWS_MS = 2_000;

// The store compares the time of a log-off with those of requests at other gateways, by its own clock, and learns of it a
// little too late. So a log-off is dated back by as long as it may take to the store. If it took longer, it is sent again
// with the next of these times, and in the end undone. Requests that end within this time before it keep the binding.
const DATED_BACK_MS = [3, 30, 300];
// Not much longer, because other gateways count on what is undone after two command time-outs (decision 0038).
const SENT_AGAIN_MS = 300;

/**
 * Ends the bindings of agents who log off, and restarts the lifetime of those who turn out to be there after all. When
 * in doubt, the agent is there: a binding that lives too long costs less than an agent without one.
 */
export class LogOffs implements AgentLogOffs {
  readonly #activity: AgentActivity;
  readonly #options: LogOffsOptions;
  readonly #recent = new RecentInvalidations();

  constructor(options: LogOffsOptions) {
    this.#options = options;
    this.#activity = new AgentActivity(options.newsWithinMs ?? USUAL_NEWS_MS);
  }

  begin({
    root,
    instance,
    incarnation,
  }: Placement & { readonly root?: Name | undefined }): Visit | undefined {
    if (root === undefined) return undefined;
    return this.#activity.begin(storedKey(root), { instance, incarnation }, performance.now());
  }

  end(visit: Visit): void {
    this.#activity.end(visit, performance.now());
  }

  /** The agent has logged off with this request, which the instance has answered. Never rejects. */
  async logOff(visit: Visit, graceMs: number): Promise<void> {
    const { store, cache, monitor } = this.#options;
    // Also if another gateway is first: CRM sends several requests when an agent logs off.
    const begunAt = this.#activity.loggedOff(visit, performance.now());
    if (begunAt === undefined) return;
    const entry = cache.peek(visit.key);
    if (entry === undefined || entry.key !== visit.key) return;
    let { binding } = entry;
    // The agent was moved meanwhile: it has not logged off there.
    if (binding.instance !== visit.instance || binding.incarnation !== visit.incarnation) return;
    const names = [...entry.names];
    const first = performance.now();
    let isNoted = false;
    try {
      for (const backMs of DATED_BACK_MS) {
        const sent = performance.now();
        if (sent - first > SENT_AGAIN_MS) break;
        this.#note(binding.root, sent);
        // Requests that come before the store has answered ask it too.
        entry.checkedAt = Number.NEGATIVE_INFINITY;
        const step = store.logOff(binding, { graceMs, ageMs: sent - begunAt + backMs });
        const left = await monitor.count('logoff', step);
        if (left === undefined) return;
        isNoted = true;
        // The store may have carried out a claim before this that was asked after it.
        this.#note(binding.root, performance.now());
        cache.endSoon(visit.key, left.generation, sent + graceMs);
        if (this.#activity.isFollowed(visit)) break;
        if (performance.now() - sent <= backMs) return;
        binding = left;
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      // The store may do it later, when the agent may be there again.
      error.timedOut?.answer.then(
        () => this.#restart(names),
        () => {},
      );
      if (isNoted) await this.#restart(names);
      return;
    }
    await this.#restart(names);
  }

  /** Another gateway tells that the agent with this root has logged off. */
  heard(root: Name, { generation, endsInMs, ageMs }: HeardLogOff): void {
    const now = performance.now();
    const key = storedKey(root);
    this.#note(root, now);
    const entry = this.#options.cache.endSoon(key, generation, now + endsInMs);
    // In doubt, the agent is there: log-offs count when all gateways know of them.
    const seenAgoMs = this.#options.seesRequests ? this.#activity.lastSeen(key, ageMs, now) : 0;
    if (seenAgoMs !== undefined) void this.#restart(entry?.names ?? [root], seenAgoMs);
    if (seenAgoMs === undefined || seenAgoMs > USUAL_NEWS_MS + ageMs)
      this.#activity.loggedOffElsewhere(key, now);
  }

  /**
   * To be called if news came while the store was asked for a request: a log-off after the store's answer ends the
   * binding of an agent who is there.
   *
   * @param names the root first
   */
  afterClaim(names: readonly Name[], askedAt: number): void {
    if (this.#recent.isOutdated(names.slice(0, 1), askedAt)) void this.#restart(names);
  }

  /** Lets the store know later that an agent is there after a log-off. */
  keep(entry: CachedBinding): void {
    entry.isEnding = false;
    this.#options.queue.write(entry.names, entry.binding, entry.epoch, Date.now());
  }

  /** @param seenAgoMs see {@link AffinityStore.renew} */
  async #restart(names: readonly Name[], seenAgoMs = 0): Promise<void> {
    try {
      await this.#options.renew(names, seenAgoMs);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      const { cache } = this.#options;
      const entry = names.map((name) => cache.peek(storedKey(name))).find((one) => one !== undefined);
      if (entry !== undefined) this.keep(entry);
    }
  }

  #note(root: Name, now: number): void {
    this.#options.invalidations.add([root], now);
    this.#recent.add([root], now);
  }
}
