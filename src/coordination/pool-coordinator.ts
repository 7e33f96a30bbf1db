import type { HealthRecord, Observation } from '../core/health.ts';
import type { InstanceId } from '../core/instance.ts';
import type { ProbeControl } from '../core/ports.ts';
import { StoreUnavailable, wasLate } from '../core/ports.ts';
import type { AgreedView, PoolEvent } from '../core/view/agreed-view.ts';
import type { ConfigParts } from '../core/view/config-parts.ts';
import type { LastSync } from '../core/view/last-sync.ts';
import { storeClock } from '../core/view/last-sync.ts';
import { remaining } from '../core/view/lease.ts';
import { driftOf } from '../core/view/local-config.ts';
import { LocalHealthReport } from '../core/view/local-health-report.ts';
import type { Policy } from '../core/view/policy.ts';
import { Replica } from '../core/view/replica.ts';
import type { Moment, RoutingState } from '../core/view/routing-state.ts';
import type { RoutingStateSnapshot } from '../core/view/routing-state-copy.ts';
import { facets, snapshotOf } from '../core/view/routing-state-copy.ts';
import type { Unanswered } from '../core/view/store-outage.ts';
import type { View } from '../core/view/view.ts';
import type { LoggedEvent, SyncReply, SyncRequest } from '../core/view/view-store.ts';
import { answerWithin } from './answer-deadline.ts';
import type { PoolCoordinatorOptions } from './coordinator-options.ts';
import { DriftReporter } from './drift-reporter.ts';
import { PolicyWriter } from './policy-writer.ts';

const RETRY_MS = 100;
// For news that no request waits for, so that many replicas do not all ask at once.
const SPREAD_MS_PER_REPLICA = 2;

/**
 * Drives one pool's {@link Replica}: asks the ledger in time and on news, brings
 * it the verdicts of the probes, and tells what has changed.
 */
export class PoolCoordinator {
  readonly #options: PoolCoordinatorOptions;
  readonly #replica: Replica;
  readonly #report: LocalHealthReport;
  readonly #policyWriter: PolicyWriter;
  readonly #listeners = new Set<() => void>();
  readonly #announcedAt = new Map<InstanceId, number>();
  #probes: ProbeControl | undefined;
  #timer: NodeJS.Timeout | undefined;
  #cutOffTimer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  /** The one question to the ledger that is under way. */
  #asking: Promise<void> | undefined;
  /** Resolves when that has not been answered for so long that those who wait for it go on. */
  #doubt: Promise<void> | undefined;
  #beginDoubt = (): void => {};
  #isDue = false;
  #restoring = false;
  #isClosed = false;
  #wasAway = false;
  /** What the listeners were told of last. */
  #reportedState = '';
  #reportedView: View;
  readonly #driftReporter: DriftReporter;
  #detail = '';

  constructor(options: PoolCoordinatorOptions) {
    this.#options = options;
    this.#replica = new Replica(options.replica);
    this.#reportedView = this.#replica.view;
    this.#driftReporter = new DriftReporter(options.events);
    this.#report = new LocalHealthReport(options.thresholds, this.#replica.agreed.instances);
    this.#policyWriter = new PolicyWriter({
      known: this.#replica,
      write: (request) => this.#ask('decree', options.viewStore.commitPolicy(request)),
      renew: () => this.renew(),
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

  /** What another process needs in order to act on the standing, with the lease on this process's monotonic clock. */
  get snapshot(): RoutingStateSnapshot {
    return snapshotOf(this.#replica);
  }

  /** Every process that this coordinator agrees for has adopted the view. */
  confirm(viewId: string): void {
    this.#replica.confirm(viewId);
    // A view store that fails is told with the next attempt; the workers confirm again after its outcome.
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

  /** What the ledger has told. */
  get lastSync(): LastSync {
    return this.#replica.lastSync;
  }

  get isStoreAway(): boolean {
    return this.#replica.isAway;
  }

  /** Monotonic ms until the lease ends; 0 without one. */
  get leaseRemaining(): number {
    return remaining(this.#replica.leaseEnd, now());
  }

  /** Milliseconds since the Unix epoch, by the store's clock as far as it is known. */
  get storeNow(): number {
    return storeClock(this.#replica.lastSync, performance.now());
  }

  /** Resolves once this replica's first round of probes is over and the view may be acted on. */
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

  /** Given once, after construction: prober and coordinator know each other. */
  attach(probes: ProbeControl): void {
    this.#probes = probes;
  }

  /** Resolves once the ledger was asked for the first time, whether or not it answered. */
  async start(): Promise<void> {
    await this.renew();
  }

  /** @param leave false where another process goes on as the same replica, under the same lease */
  async close(leave = true): Promise<void> {
    // The successor needs a while to begin.
    if (!leave) await this.renew();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#cutOffTimer);
    await this.#syncing;
    if (leave) {
      await this.#options.viewStore.leave(this.#options.replica.id).catch(() => {
        // The others wait for the end of the lease then.
      });
    }
    await this.#options.viewStore.close();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks the ledger, with whatever is news here. Resolves when it has answered, or is in doubt. Never rejects. */
  async renew(): Promise<void> {
    if (this.#isClosed) return;
    this.#isDue = true;
    this.#syncing ??= this.#sync();
    await Promise.race([this.#syncing, this.#doubt]);
  }

  /**
   * A claim was not answered: is the ledger, which is kept with the bindings, silent too? The question that is
   * under way tells as much as the next one, and earlier; where the last one was not answered either, it is known.
   */
  async storeFailed(claim: Unanswered): Promise<void> {
    this.#replica.doubtStore(now(), claim);
    if (this.#replica.isAway || this.#replica.placesAlike) return this.#notifyListeners();
    if (this.#asking === undefined) void this.renew();
    await Promise.race([this.#asking, this.#doubt]);
  }

  /** Real traffic failed at the instance. */
  suspect(instance: InstanceId): void {
    this.#probes?.hasten(instance);
    const last = this.#announcedAt.get(instance) ?? Number.NEGATIVE_INFINITY;
    if (performance.now() - last < this.#options.suspectEveryMs) return;
    this.#announcedAt.set(instance, performance.now());
    this.#options.viewStore.suspect(instance);
  }

  /** Folds one observation in. `epoch`: the one in which the probe began. */
  observed(id: InstanceId, observation: Observation, epoch: number): HealthRecord {
    const { record, isFirstDoubt, isDownNow, isNews } = this.#report.observed(id, observation, epoch);
    if (isFirstDoubt || isDownNow)
      this.#options.events.onProbeFailed(id, observation.reason ?? '', isDownNow);
    // The peers should look too, before this one has made up its mind.
    if (isFirstDoubt) this.suspect(id);
    const hasTurned = this.#replica.probed(id, observation.passed);
    if (isNews) this.#vote();
    else if (hasTurned) this.#options.publisher?.publish();
    return record;
  }

  /** The first full round of probes is over, or its time is. */
  settle(): void {
    if (this.#report.isSettled) return;
    this.#report.settle();
    this.#vote();
    this.#notifyListeners();
  }

  /** Whether this process's measures of time can be trusted. */
  trustClock(isTrustworthy: boolean, reason: string): void {
    if (!isTrustworthy) this.#replica.dropLease();
    if (this.#report.abstains === !isTrustworthy) return;
    this.#report.abstain(!isTrustworthy);
    this.#options.events.onAbstention(!isTrustworthy, reason);
    this.#vote();
  }

  /**
   * Writes what an operator decided. `change` is called again if another gateway's change came first.
   *
   * @throws StoreUnavailable
   */
  commitPolicy(change: (policy: Policy) => Policy, events: readonly PoolEvent[]): Promise<Policy> {
    return this.#policyWriter.commitPolicy(change, events);
  }

  events(limit: number): Promise<readonly LoggedEvent[]> {
    return this.#options.viewStore.events(limit);
  }

  #vote(): void {
    this.#replica.vote(this.#report.report(this.#options.isIdle()));
    void this.renew();
  }

  #syncWithin(delayMs: number): void {
    if (delayMs === 0) void this.renew();
    else setTimeout(() => void this.renew(), delayMs).unref();
  }

  /** Asks until there is nothing more to tell, or no answer comes. One run at a time. */
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
      // There may be news again at once, and a store that is away refuses without a turn of the event loop. A loop that
      // asked again and again would never see that the store is back.
      if (this.#replica.isFailing) break;
    }
    // In the same step as the last look at what is due, so that no call falls between.
    this.#syncing = undefined;
    this.#schedule();
  }

  /** Asks once, and proposes what follows from the answer. Never rejects. */
  async #syncOnce(): Promise<void> {
    const sent = now();
    try {
      await this.#exchange(sent);
    } catch (error) {
      // Whatever it was, it was no answer, and the next turn may have more luck.
      this.#detail = error instanceof Error ? error.message : String(error);
      this.#replica.failed(now(), { since: sent.mono, wasLate: wasLate(error) });
    }
  }

  async #exchange(sent: Moment): Promise<void> {
    // Whether the pool is idle is the one part of the opinion that changes by itself.
    this.#replica.vote(this.#report.report(this.#options.isIdle()));
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
    this.#restoreWhatIsLost();
    const proposal = this.#replica.proposal(this.#options.boundAgents);
    if (proposal !== undefined) {
      const isTaken = await this.#ask('propose', this.#options.viewStore.propose(proposal));
      if (isTaken) this.#replica.proposed(proposal.view, now());
      this.#isDue = true;
    }
    if (this.#replica.hasNews) this.#isDue = true;
    if (this.#replica.lastSync.isOpen && this.#replica.isEffective)
      this.#policyWriter.mirror(this.#replica.agreed);
  }

  /** An answer that came too late to be acted on: the next question tells the ledger what came of it. */
  #learn(request: SyncRequest, reply: SyncReply, sent: Moment): void {
    if (this.#isClosed) return;
    this.#replica.learn(request, reply, sent, now());
    this.#restoreWhatIsLost();
    this.#notifyListeners();
    if (this.#replica.hasNews) void this.renew();
  }

  #restoreWhatIsLost(): void {
    const { storeGeneration } = this.#replica.lastSync;
    if (storeGeneration !== '' && !this.#replica.isRestored) void this.#restore(storeGeneration);
  }

  /** Never rejects. */
  async #restore(storeGeneration: string): Promise<void> {
    if (this.#restoring) return;
    this.#restoring = true;
    try {
      await this.#options.writeBack(storeGeneration);
      this.#replica.restored(storeGeneration);
    } catch (error) {
      // The next sync tries again.
      if (!(error instanceof StoreUnavailable)) this.#options.events.onNotRestored(error);
      return;
    } finally {
      this.#restoring = false;
    }
    void this.renew();
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

  /** Tells the listeners when something has changed that a waiting request may have waited for. */
  #notifyListeners(): void {
    const replica = this.#replica;
    const couldClaim = replica.claimFailure === undefined;
    if (replica.tick(now())) this.#options.events.onCutOff(replica.cutOff);
    const canClaim = replica.claimFailure === undefined;
    if (canClaim !== couldClaim) this.#options.events.onClaims?.(replica.claimFailure);
    if (replica.isAway !== this.#wasAway) {
      this.#wasAway = replica.isAway;
      this.#options.events.onStoreState(replica.isAway ? 'away' : 'available', this.#detail);
      this.#detail = '';
    }
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
