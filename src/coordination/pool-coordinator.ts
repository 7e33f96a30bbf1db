import type { HealthRecord, Observation } from '../core/health.ts';
import type { InstanceId } from '../core/instance.ts';
import type { EventLog, ProbeControl } from '../core/ports.ts';
import { wasLate } from '../core/ports.ts';
import type { AgreedView, PoolEvent } from '../core/view/agreed-view.ts';
import type { ConfigParts } from '../core/view/config-parts.ts';
import type { LastSync } from '../core/view/last-sync.ts';
import { storeClock } from '../core/view/last-sync.ts';
import { remaining } from '../core/view/lease.ts';
import { driftOf } from '../core/view/local-config.ts';
import { LocalHealthReport } from '../core/view/local-health-report.ts';
import type { Policy } from '../core/view/policy.ts';
import { Replica } from '../core/view/replica.ts';
import type { Knowledge } from '../core/view/replica-options.ts';
import type { Moment, RoutingState } from '../core/view/routing-state.ts';
import type { RoutingStateSnapshot } from '../core/view/routing-state-copy.ts';
import { facets, snapshotOf } from '../core/view/routing-state-copy.ts';
import type { Unanswered } from '../core/view/store-outage.ts';
import type { View } from '../core/view/view.ts';
import type { SyncReply, SyncRequest } from '../core/view/view-store.ts';
import { answerWithin } from './answer-deadline.ts';
import type { PoolCoordinatorOptions } from './coordinator-options.ts';
import { DriftReporter } from './drift-reporter.ts';
import { PeerReporter } from './peer-reporter.ts';
import { PolicyWriter } from './policy-writer.ts';
import { PoolEventLog } from './pool-event-log.ts';
import { Restorer } from './restorer.ts';
import { Suspicions } from './suspicions.ts';

const RETRY_MS = 100;
// Spreads syncs after news that no request waits for, so that many replicas do not ask at once.
const SPREAD_MS_PER_REPLICA = 2;

/**
 * Drives one pool's {@link Replica}, which holds the rules; there are none here. Asks the view store at intervals and
 * on news, reports the results of the probes to it, and tells listeners what has changed.
 */
export class PoolCoordinator {
  readonly #options: PoolCoordinatorOptions;
  readonly #replica: Replica;
  readonly #report: LocalHealthReport;
  readonly #policyWriter: PolicyWriter;
  readonly #listeners = new Set<() => void>();
  readonly #suspicions = new Suspicions((id) => this.agreed.instances[id]?.health);
  #probes: ProbeControl | undefined;
  #timer: NodeJS.Timeout | undefined;
  #cutOffTimer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  /** The request to the view store that is under way. There is at most one. */
  #asking: Promise<void> | undefined;
  /** Resolves when that request has had no answer for `doubtMs`, so that its waiters go on. */
  #doubt: Promise<void> | undefined;
  #beginDoubt = (): void => {};
  #isDue = false;
  #isClosed = false;
  #wasAway = false;
  /** What the listeners were last told. */
  #reportedState: string | undefined;
  #reportedView: View;
  /** Has bindings written back. */
  readonly restorer: Restorer;
  readonly #driftReporter: DriftReporter;
  readonly #peerReporter: PeerReporter;
  readonly log: EventLog;
  #detail: string | undefined;

  constructor(options: PoolCoordinatorOptions) {
    this.#options = options;
    this.#replica = new Replica(options.replica);
    this.log = new PoolEventLog(options.viewStore);
    this.restorer = new Restorer(this.#replica, options, () => void this.renew());
    this.#reportedView = this.#replica.view;
    this.#driftReporter = new DriftReporter(options.events);
    this.#peerReporter = new PeerReporter(options.events, options.replica.id);
    this.#report = new LocalHealthReport(options.thresholds, this.#replica.agreed.instances, options.relay);
    this.#policyWriter = new PolicyWriter({
      known: this.#replica,
      write: (request) => this.#ask('decree', options.viewStore.commitPolicy(request)),
      renew: () => this.renew(),
      catchUp: () => this.#catchUp(),
    });
    options.viewStore.listen({
      onNews: (urgent) =>
        this.#syncWithin(urgent ? 0 : Math.random() * SPREAD_MS_PER_REPLICA * this.lastSync.replicas),
      onSuspect: (instance) => this.#probes?.hasten(instance),
    });
  }

  get routingState(): RoutingState {
    return this.#replica;
  }

  /** The routing state for another process, with the lease on this process's monotonic clock. */
  get snapshot(): RoutingStateSnapshot {
    return snapshotOf(this.#replica);
  }

  /** To be called when every process of this host has adopted the view. */
  confirm(viewId: string): void {
    this.#replica.confirm(viewId);
    // While the view store fails, the next attempt carries this; the workers confirm again after its outcome.
    if (this.#replica.hasNews && !this.#replica.isFailing) void this.renew();
  }

  get agreed(): AgreedView {
    return this.#replica.agreed;
  }

  get parts(): ConfigParts {
    return this.#replica.parts;
  }

  get isEffective(): boolean {
    return this.#replica.isEffective;
  }

  /** {@link Replica.recall} */
  recall(knowledge: Knowledge): void {
    this.#replica.recall(knowledge, now());
    this.#notifyListeners();
  }

  /** The last answer of the view store. */
  get lastSync(): LastSync {
    return this.#replica.lastSync;
  }

  get isStoreAway(): boolean {
    return this.#replica.isAway;
  }

  /** Milliseconds until the lease ends; 0 without one. */
  get leaseRemaining(): number {
    return remaining(this.#replica.leaseEnd, now());
  }

  /** Milliseconds since 1970 by the store's clock, as far as it is known. */
  get storeNow(): number {
    return storeClock(this.#replica.lastSync, performance.now());
  }

  /** Resolves when this replica's first round of probes is over and it may act on the view. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        const mode = this.#mode();
        const mayAct = mode === 'degraded' || (mode === 'leased' && this.#replica.isEffective);
        if (!this.#report.isSettled || !this.#replica.view.settled || !mayAct) return;
        stop();
        resolve();
      };
      const stop = this.onChange(look);
      look();
    });
  }

  /** To be called once after construction, because prober and coordinator need each other. */
  attach(probes: ProbeControl): void {
    this.#probes = probes;
  }

  /** Resolves after the first request to the view store, even if there was no answer. */
  async start(): Promise<void> {
    await this.renew();
  }

  /** @param leave false if another process continues as the same replica, under the same lease */
  async close(leave = true): Promise<void> {
    // The next process needs some time to start, so hand it a fresh lease.
    if (!leave) await this.renew();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#cutOffTimer);
    await this.#syncing;
    if (leave) {
      // Without an answer the other gateways wait for the end of the lease.
      await this.#options.viewStore.leave(this.#options.replica.id).catch(() => undefined);
    }
    await this.#options.viewStore.close();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Syncs with the view store. Resolves when it has answered or is in doubt. Never rejects. */
  async renew(): Promise<void> {
    if (this.#isClosed) return;
    this.#isDue = true;
    this.#syncing ??= this.#sync();
    await Promise.race([this.#syncing, this.#doubt]);
  }

  /** Like {@link renew}, but resolves only when the view store has answered, or no longer can in time. */
  async #catchUp(): Promise<void> {
    void this.renew();
    await this.#syncing;
  }

  /**
   * A claim got no answer, so find out whether the view store, which is kept with the bindings, is silent too. The
   * request under way tells that sooner than a new one would. If the last request got no answer, it is already known.
   */
  async storeFailed(claim: Unanswered): Promise<void> {
    this.#replica.doubtStore(now(), claim);
    if (this.#replica.isAway || this.#replica.placesAlike) return this.#notifyListeners();
    if (this.#asking === undefined) void this.renew();
    await Promise.race([this.#asking, this.#doubt]);
  }

  /** To be called when a request failed at the instance. */
  suspect(instance: InstanceId): void {
    this.#suspicions.seen(instance, 'down');
    this.#probes?.hasten(instance);
    this.#suspicions.tell(instance, this.#options);
  }

  /** Takes the result of one probe. `epoch`: the one in which the probe began. */
  observed(id: InstanceId, observation: Observation, epoch: number): HealthRecord {
    this.#suspicions.seen(id, observation.passed ? 'up' : 'down');
    const { record, isFirstDoubt, isDownNow, isNews } = this.#report.observed(id, observation, epoch);
    if (isFirstDoubt || isDownNow) this.#options.events.onProbeFailed(id, observation.reason, isDownNow);
    // Let the peers probe too, even before this gateway reports the instance as down.
    if (isFirstDoubt) this.suspect(id);
    const hasTurned = this.#replica.probed(id, observation.passed);
    if (isNews) this.#updateReport();
    else if (hasTurned) this.#options.publisher?.publish();
    return record;
  }

  /** To be called when the first round of probes is over, or has taken too long. */
  settle(): void {
    if (this.#report.isSettled) return;
    this.#report.settle();
    this.#updateReport();
    this.#notifyListeners();
  }

  /** To be called when it changes whether this process can trust its own time measurements. */
  trustClock(isTrustworthy: boolean, reason: string): void {
    if (!isTrustworthy) this.#replica.dropLease();
    if (this.#report.abstains === !isTrustworthy) return;
    this.#report.abstain(!isTrustworthy);
    this.#options.events.onAbstention(!isTrustworthy, reason);
    this.#updateReport();
  }

  /**
   * Writes an operator's change. `change` is called again if another gateway's change came first.
   *
   * @param onView the id of the only view on which it may be written
   * @throws StoreUnavailable
   * @throws ViewChanged
   */
  commitPolicy(
    change: (policy: Policy) => Policy,
    events: readonly PoolEvent[],
    onView?: string,
  ): Promise<Policy> {
    return this.#policyWriter.commitPolicy(change, events, onView);
  }

  #updateReport(): void {
    this.#replica.setReport(this.#report.report(this.#options.isIdle()));
    void this.renew();
  }

  #syncWithin(delayMs: number): void {
    if (delayMs === 0) void this.renew();
    else setTimeout(() => void this.renew(), delayMs).unref();
  }

  /** Syncs until there is no more news, or no answer comes. One run at a time. */
  async #sync(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#isDue && !this.#isClosed) {
      this.#isDue = false;
      this.#doubt = new Promise((resolve) => {
        this.#beginDoubt = resolve;
      });
      this.#asking = this.#syncOnce();
      await this.#asking;
      this.#asking = undefined;
      this.#notifyListeners();
      // A store that is away can refuse within the same turn of the event loop. Asking again at once would then loop
      // without ever noticing that the store is back.
      if (this.#replica.isFailing) break;
    }
    // No await since the last look at #isDue, so no call of renew() is missed.
    this.#syncing = undefined;
    this.#schedule();
  }

  /** Syncs once, and proposes the view that follows from the answer. Never rejects. */
  async #syncOnce(): Promise<void> {
    const sent = now();
    try {
      await this.#exchange(sent);
    } catch (error) {
      // Any error means that there was no answer; the next sync tries again.
      this.#detail = error instanceof Error ? error.message : String(error);
      this.#replica.failed(now(), { since: sent.mono, wasLate: wasLate(error) });
    }
  }

  async #exchange(sent: Moment): Promise<void> {
    // Whether the pool is idle is the only part of the report that changes without an event.
    this.#replica.setReport(this.#report.report(this.#options.isIdle()));
    const request = this.#replica.request(sent);
    const { viewStore, doubtMs, answerMs } = this.#options;
    const answer = answerWithin(viewStore.sync(request), {
      doubtMs,
      limitMs: answerMs,
      onDoubt: (wasLate) => {
        this.#replica.failed(now(), { since: sent.mono, wasLate });
        this.#notifyListeners();
        this.#beginDoubt();
      },
      onLate: (reply) => this.#learn(request, reply, sent),
    });
    this.#replica.accept(request, await this.#ask('sync', answer), sent, now());
    this.restorer.look();
    const proposal = this.#replica.proposal(this.#options.boundAgents, this.#suspicions.lastedMs);
    if (proposal !== undefined) {
      const isTaken = await this.#ask('propose', this.#options.viewStore.propose(proposal));
      if (isTaken) this.#replica.proposed(proposal.view, now());
      this.#isDue = true;
    }
    if (this.#replica.hasNews) this.#isDue = true;
    if (this.#replica.lastSync.isOpen && this.#replica.isEffective)
      this.#policyWriter.mirror(this.#replica.agreed);
  }

  /** Takes an answer that came too late to grant anything. The next sync tells the view store what follows from it. */
  #learn(request: SyncRequest, reply: SyncReply, sent: Moment): void {
    if (this.#isClosed) return;
    this.#replica.learn(request, reply, sent, now());
    this.restorer.look();
    this.#notifyListeners();
    if (this.#replica.hasNews) void this.renew();
  }

  async #ask<T>(operation: 'sync' | 'propose' | 'decree', answer: Promise<T>): Promise<T> {
    try {
      const result = await answer;
      if (operation !== 'sync') this.#replica.storeAnswered(now());
      this.#options.events.onOperation(operation, 'ok');
      return result;
    } catch (error) {
      this.#options.events.onOperation(operation, 'unavailable');
      throw error;
    }
  }

  #schedule(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    const delay = this.#replica.isFailing ? RETRY_MS : this.#options.renewMs;
    this.#timer = setTimeout(() => void this.renew(), delay);
  }

  #mode(): string {
    const { mono, wall } = now();
    return this.#replica.modeAt(mono, wall);
  }

  /** Notifies the listeners if something has changed that a parked request may be waiting for. */
  #notifyListeners(): void {
    const replica = this.#replica;
    const couldClaim = replica.claimFailure === undefined;
    if (replica.tick(now())) this.#options.events.onCutOff(replica.cutOff);
    const canClaim = replica.claimFailure === undefined;
    if (canClaim !== couldClaim) this.#options.events.onClaims?.(replica.claimFailure);
    if (replica.isAway !== this.#wasAway) {
      this.#wasAway = replica.isAway;
      this.#options.events.onStoreState(replica.isAway ? 'away' : 'available', this.#detail);
      this.#detail = undefined;
    }
    this.#peerReporter.report(replica.lastSync);
    this.#driftReporter.report(driftOf(replica.agreed, replica.parts));
    clearTimeout(this.#cutOffTimer);
    const cutOffInMs = replica.nextCutOffAt - performance.now();
    if (!this.#isClosed && Number.isFinite(cutOffInMs))
      this.#cutOffTimer = setTimeout(() => this.#notifyListeners(), Math.max(0, cutOffInMs) + 1).unref();
    const { view } = replica;
    const state = [this.#mode(), this.#report.isSettled, ...facets(replica, replica.fencingToken)].join();
    this.#options.publisher?.publish();
    if (view === this.#reportedView && state === this.#reportedState) return;
    const before = this.#reportedView;
    this.#reportedView = view;
    this.#reportedState = state;
    if (view !== before) this.#options.events.onView(before, view);
    for (const listener of [...this.#listeners]) listener();
  }
}

function now(): Moment {
  return { mono: performance.now(), wall: Date.now() };
}
