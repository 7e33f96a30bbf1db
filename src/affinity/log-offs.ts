import type { AgentLogOffs, CachedBinding, Visit } from '../core/agent-bindings.ts';
import type { Name } from '../core/identity.ts';
import type { AffinityStore, HeardLogOff } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';
import { AgentActivity } from './agent-activity.ts';
import type { BindingCache } from './binding-cache.ts';
import { pause } from './pauses.ts';
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
// with the next of these times. Requests that end within this time before it keep the binding. A store that stays slow is
// told once more after each pause, and in the end the log-off is undone.
const TRIES = [
  { backMs: 3, pauseMs: 0 },
  { backMs: 30, pauseMs: 0 },
  { backMs: 300, pauseMs: 0 },
  { backMs: 300, pauseMs: 250 },
  { backMs: 300, pauseMs: 500 },
];
// Meanwhile a request that came after the log-off may not count, and no log-on may be moved for that (decision 0038).
const TRIED_MS = 1_500;
// Nor may the binding end.
const TRIED_FOR_GRACE = 1 / 4;
// A log-off that the instance or the store took longer to answer is in doubt: elsewhere, requests are remembered for that
// long.
const LONGEST_AGE_MS = 30_000;

/**
 * Ends the bindings of agents who log off, and restarts the lifetime of those who turn out to be there after all. When
 * in doubt, the agent is there: a binding that lives too long costs less than an agent without one.
 */
export class LogOffs implements AgentLogOffs {
  readonly #activity: AgentActivity;
  readonly #options: LogOffsOptions;
  readonly #recent = new RecentInvalidations();
  readonly #closing = new AbortController();
  /** Log-offs of which the store is being told. */
  readonly #untold = new Set<Promise<void>>();

  constructor(options: LogOffsOptions) {
    this.#options = options;
    this.#activity = new AgentActivity(options.newsWithinMs ?? USUAL_NEWS_MS, LONGEST_AGE_MS);
  }

  /** Undoes log-offs that wait until the store is quicker. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#untold);
  }

  begin(target: Parameters<AgentLogOffs['begin']>[0]): Visit | undefined {
    const { root, entry } = target;
    if (root === undefined) return undefined;
    return this.#activity.begin(entry?.key ?? storedKey(root), target, performance.now());
  }

  end(visit: Visit): void {
    this.#activity.end(visit, performance.now());
  }

  /** The agent has logged off with this request, which the instance has answered. Never rejects. */
  async logOff(visit: Visit, graceMs: number): Promise<void> {
    const { cache } = this.#options;
    // Also if another gateway is first: CRM sends several requests when an agent logs off.
    const begunAt = this.#activity.loggedOff(visit, performance.now());
    if (begunAt === undefined) return;
    const entry = cache.peek(visit.key);
    if (entry === undefined || entry.key !== visit.key) return;
    const { instance, incarnation } = entry.binding;
    // The agent was moved meanwhile: it has not logged off there.
    if (instance !== visit.instance || incarnation !== visit.incarnation) return;
    const told = this.#tell(visit, entry, begunAt, graceMs);
    this.#untold.add(told);
    try {
      await told;
    } finally {
      this.#untold.delete(told);
    }
  }

  /** Tells the store until it is certain that it takes no later request for an earlier one, or undoes it. */
  async #tell(visit: Visit, entry: CachedBinding, begunAt: number, graceMs: number): Promise<void> {
    const { store, cache, monitor } = this.#options;
    let { binding } = entry;
    const names = [...entry.names];
    const first = performance.now();
    let isNoted = false;
    try {
      for (const { backMs, pauseMs } of TRIES) {
        if (pauseMs > 0) await pause(pauseMs, this.#closing.signal);
        const sent = performance.now();
        const ageMs = sent - begunAt + backMs;
        const isTooLate =
          ageMs > LONGEST_AGE_MS || sent - first > Math.min(TRIED_MS, TRIED_FOR_GRACE * graceMs);
        if (isTooLate || this.#closing.signal.aborted || this.#activity.isFollowed(visit)) break;
        this.#note(binding.root, sent);
        // Requests that come before the store has answered ask it too.
        entry.checkedAt = Number.NEGATIVE_INFINITY;
        const step = store.logOff(binding, { graceMs, ageMs, isAgain: isNoted });
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
    }
    if (isNoted) await this.#restart(names);
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
