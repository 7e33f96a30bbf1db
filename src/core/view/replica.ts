import type { InstanceId, InstanceState } from '../instance.ts';
import { partsOf } from './agreed-config.ts';
import type { AgreedView, PoolEvent } from './agreed-view.ts';
import { NO_VIEW } from './agreed-view.ts';
import { ClaimWatch } from './claim-watch.ts';
import type { ConfigParts } from './config-parts.ts';
import type { HealthReport } from './health-report.ts';
import type { LastSync } from './last-sync.ts';
import { afterSync, countedReports, NO_SYNC } from './last-sync.ts';
import { holds, leaseEndFrom, modeUnder, NO_LEASE } from './lease.ts';
import { driftOf, LocalConfig } from './local-config.ts';
import { materialize } from './materialize.ts';
import type { Circumstances } from './next-view.ts';
import { Reachability } from './reachability.ts';
import type { ReplicaOptions } from './replica-options.ts';
import type { Mode, Moment, RoutingState } from './routing-state.ts';
import type { Unanswered } from './store-outage.ts';
import { StoreOutage } from './store-outage.ts';
import type { View } from './view.ts';
import { viewAfter } from './view-after.ts';
import { ViewEffect } from './view-effect.ts';
import type { ProposeRequest, SyncReply, SyncRequest } from './view-store.ts';

// Requests are numbered by the clock, so that the next process of this replica goes on from there.
const SEQS_PER_MS = 1_000;
// The ledger is asked more often than that, and a store that is away has not answered it for longer.
const UNCLAIMED_SHARE_OF_LEASE = 0.5;

type ViewInputs = Pick<Circumstances, 'reports' | 'boundAgents' | 'config'>;

/**
 * One replica's part in the agreement about one pool: what it knows, for how
 * long it may act on it, and what it proposes. Pure: whoever drives it brings
 * the answers of the ledger, the verdicts of the probes and the time.
 */
export class Replica implements RoutingState {
  readonly #options: ReplicaOptions;
  #lastSync = NO_SYNC;
  #agreed: AgreedView = NO_VIEW;
  #view: View;
  readonly #effect = new ViewEffect();
  #fencingToken = '';
  #restored = '';
  #leaseEnd = NO_LEASE;
  /** Of the latest request; only its answer gives a lease. */
  #asked = 0;
  /** Of the latest request that was answered, in time or not. */
  #answered = 0;
  #report: HealthReport | undefined;
  readonly #outage: StoreOutage;
  /** What this replica makes of the last view by itself, while the store is away. */
  #degradedView: AgreedView | undefined;
  readonly #reachability: Reachability;
  #unconfigured: ReadonlySet<InstanceId> = new Set();
  readonly #config: LocalConfig;
  readonly #claims: ClaimWatch;
  /** The view that all who act for this replica have adopted. */
  #adopted: AgreedView = NO_VIEW;
  /** The view that the ledger knows this replica has adopted. */
  #acknowledged = '';

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#reachability = new Reachability(options.cutOffMs);
    this.#outage = new StoreOutage(options.leaseMs);
    this.#claims = new ClaimWatch(options.leaseMs * UNCLAIMED_SHARE_OF_LEASE);
    const parts = partsOf(options);
    this.#config = new LocalConfig(options.parts ?? (() => parts), options.leaseMs);
    const { knew } = options;
    if (knew !== undefined) {
      this.#agreed = knew.agreed;
      if (options.awaitsConfirmation !== true) this.#adopted = knew.agreed;
      this.#lastSync = { ...NO_SYNC, policy: knew.policy };
    }
    this.#view = this.#materialize(this.#agreed);
  }

  get view(): View {
    return this.#view;
  }

  get before(): View | undefined {
    return this.#effect.before;
  }

  get isBlocked(): boolean {
    return this.#effect.isBlocked;
  }

  get fencingToken(): string {
    return this.#fencingToken;
  }

  get unreachable(): ReadonlySet<InstanceId> {
    return this.#reachability.unreachable;
  }

  get cutOff(): ReadonlySet<InstanceId> {
    return this.#reachability.cutOff;
  }

  get failing(): ReadonlySet<InstanceId> {
    return this.#reachability.failing;
  }

  get unconfigured(): ReadonlySet<InstanceId> {
    return this.#unconfigured;
  }

  get isDrifted(): boolean {
    return !driftOf(this.#agreed, this.#config.parts).ready;
  }

  get claimFailure(): string | undefined {
    return this.#claims.failure;
  }

  /** What the configuration here says. */
  get parts(): ConfigParts {
    return this.#config.parts;
  }

  /** Monotonic ms at which {@link cutOff} changes, if nothing else does; infinite where it does not. */
  get nextCutOffAt(): number {
    return this.#reachability.nextCutOffAt;
  }

  get candidates(): readonly InstanceState[] {
    return this.#reachability.candidates;
  }

  get agreed(): AgreedView {
    return this.#agreed;
  }

  /** What the ledger has told. */
  get lastSync(): LastSync {
    return this.#lastSync;
  }

  /** The bindings known here are written back, in the store's present life. */
  get isRestored(): boolean {
    return this.#restored === this.#lastSync.storeGeneration;
  }

  /** The last attempt to hear from the store failed. */
  get isFailing(): boolean {
    return this.#outage.isFailing;
  }

  get isEffective(): boolean {
    return this.#effect.isEffective;
  }

  get placesAlone(): boolean {
    return this.#outage.isAway && this.#options.onStoreLoss === 'continue';
  }

  get hearsStore(): boolean {
    return this.#outage.isHeard && this.#lastSync.isOpen;
  }

  get placesAlike(): boolean {
    const isAgreed = this.#lastSync.isOpen && this.isEffective;
    return isAgreed && this.#outage.isDoubtful && this.#options.onStoreLoss === 'continue';
  }

  /** The store has not answered for so long that it counts as away. */
  get isAway(): boolean {
    return this.#outage.isAway;
  }

  /** True when a reply is owed at once: something was learnt that the ledger waits to hear. */
  get hasNews(): boolean {
    return this.#lastSync.wantsState || (this.#acknowledged !== this.#adopted.id && this.#adopted.id !== '');
  }

  /** Until when it may act; negative infinity without a lease. */
  get leaseEnd(): Moment {
    return this.#leaseEnd;
  }

  /** Names what is acted on: the newest view, or one of its own, which has no id among the others. */
  get actedOn(): string {
    return this.#degradedView === undefined ? this.#agreed.id : `alone.${this.#view.epoch}`;
  }

  /**
   * All who act for this replica have adopted the view of this id. Others than the newest do not count; one of its own
   * does, because the lease that ends it is given only to those that have acknowledged the newest.
   */
  confirm(id: string): void {
    if (id === this.#agreed.id || id === this.actedOn) this.#adopted = this.#agreed;
  }

  holdsLease(mono: number, wall: number): boolean {
    return holds(this.#leaseEnd, mono, wall);
  }

  modeAt(mono: number, wall: number): Mode {
    return modeUnder(this.#leaseEnd, this.placesAlone, mono, wall);
  }

  /** The bindings known here have been written back to the store, in this life of it. */
  restored(storeGeneration: string): void {
    this.#restored = storeGeneration;
  }

  /** What the probes say; `undefined` abstains. */
  vote(report: HealthReport | undefined): void {
    this.#report = report;
    this.#updateReachability();
    this.#updateDegradedView();
  }

  /** The last probe of the instance. Returns true where {@link failing} has changed. */
  probed(id: InstanceId, passed: boolean): boolean {
    return this.#reachability.probed(id, passed);
  }

  request(now: Moment): SyncRequest {
    if (this.#config.renew()) this.#reconfigure();
    const { reportsVersion, policy, wantsState } = this.#lastSync;
    const { clockOffsetMs = 0, othersHold } = this.#options;
    this.#asked = Math.max(this.#asked + 1, Math.floor((now.mono + clockOffsetMs) * SEQS_PER_MS));
    return {
      replica: this.#options.id,
      seq: this.#asked,
      epoch: this.#adopted.epoch,
      viewId: this.#adopted.id,
      held: this.holdsLease(now.mono, now.wall) || othersHold?.(now.mono) === true,
      restored: this.#restored,
      // What it probes may be other connectors than those of the same names that the others probe.
      report: this.#view.fit === 'differs' ? undefined : this.#report,
      config: this.#config.parts,
      reportsKnown: reportsVersion,
      policyKnown: policy.version,
      ...(wantsState ? { view: this.#adopted, policy } : {}),
    };
  }

  /** @param sent when `request`, to which this is the answer, was made */
  accept(request: SyncRequest, reply: SyncReply, sent: Moment): void {
    const held = this.holdsLease(sent.mono, sent.wall);
    this.learn(request, reply, sent);
    // The ledger may know of a later request already, which said that no lease is held.
    if (request.seq !== this.#asked) return;
    this.#fencingToken = reply.fencingToken;
    if (reply.viewId === this.#agreed.id) {
      if (reply.effective) this.#effect.take();
      // What was in effect while it held no lease, it cannot know.
      else if (!held) this.#effect.block();
    }
    if (!this.isEffective || reply.viewId !== this.#agreed.id) this.#fencingToken = '';

    if (reply.granted) this.#leaseEnd = leaseEndFrom(sent, this.#options.leaseMs);
    else if (!reply.keeps) this.#leaseEnd = NO_LEASE;
    if (reply.granted) {
      this.#outage.end();
      if (this.#degradedView !== undefined) {
        this.#degradedView = undefined;
        this.#applyView(this.#agreed);
      }
    }
    this.#updateReachability();
  }

  /**
   * What an answer tells, also one that has come too late to be acted on: it may have been overtaken by what others
   * have done since, so that it brings no lease and no fence. An older answer than the last one tells nothing.
   */
  learn(request: SyncRequest, reply: SyncReply, sent: Moment): void {
    // A store that answers late is no store that is away: what it was asked may still be carried out.
    this.#outage.answered();
    if (request.seq <= this.#answered) return;
    this.#answered = request.seq;
    const held = this.holdsLease(sent.mono, sent.wall);
    if (reply.storeGeneration !== this.#lastSync.storeGeneration) this.#restored = '';
    this.#lastSync = afterSync(this.#lastSync, reply, sent.mono);
    if (reply.open) this.#config.heardOpen(sent.mono);
    this.#acknowledged = request.viewId;
    if (reply.view !== undefined) this.#adopt(reply.view, held);
    this.#updateReachability();
  }

  /** The store has answered something else than a sync: until now it was there. */
  storeAnswered({ mono }: Moment): void {
    this.#outage.answered(mono);
  }

  /** A claim was not answered. That alone is no outage; if the ledger does not answer either, it is one. */
  doubtStore(now: Moment, claim: Unanswered): void {
    this.#outage.doubted(now.mono, claim);
    this.#checkOutage(now);
  }

  /** The ledger did not answer. */
  failed(now: Moment, question: Unanswered = { since: now.mono }): void {
    this.#outage.failed(now.mono, question);
    // Bindings may have been placed by others meanwhile, or the store may come back as another.
    this.#fencingToken = '';
    this.#checkOutage(now);
  }

  #checkOutage(now: Moment): void {
    const { awayMs, leaseMs, knowsAgents } = this.#options;
    const missedNothing = this.#agreed.epoch === 0 || (this.#outage.since ?? 0) < this.#leaseEnd.mono;
    // As sure as a lease is long, where a view may have been missed or it is not known yet where the agents are.
    const isSure = missedNothing && (knowsAgents?.() ?? true);
    if (!this.#outage.check(now.mono, isSure ? awayMs : leaseMs)) return;
    // What is placed from now on has to be written back before anything is claimed.
    this.#restored = '';
    if (this.holdsLease(now.mono, now.wall) || this.#degradedView !== undefined) return;
    this.#degradedView = this.#agreed;
    this.#updateDegradedView();
  }

  /** A machine that stood still does not know what it missed, nor whether the store is still away. */
  dropLease(): void {
    this.#leaseEnd = NO_LEASE;
    this.#outage.end();
  }

  /** The next view, where this replica sees a reason for one. */
  proposal(boundAgents: (instance: InstanceId) => number | undefined): ProposeRequest | undefined {
    if (!this.#lastSync.isOpen || !this.isEffective) return undefined;
    const reports = countedReports(this.#lastSync, this.#options.leaseMs);
    const config = this.#config.partAt(this.#lastSync.askedAt);
    const next = this.#next(this.#agreed, { reports, boundAgents, config });
    if (next === undefined) return undefined;
    const events = next.events.map((event): PoolEvent => ({ ...event, by: this.#options.id }));
    return { replica: this.#options.id, base: this.#agreed.id, view: next.view, events };
  }

  /** The ledger has taken the proposal: it is the view now, and waits for acknowledgements. */
  proposed(view: AgreedView, now: Moment): void {
    this.#adopt(view, this.holdsLease(now.mono, now.wall));
    this.#updateReachability();
  }

  #adopt(view: AgreedView, held: boolean): void {
    const isOlder = view.epoch < this.#agreed.epoch;
    if (isOlder || view.id === this.#agreed.id) return;
    // Only who has held a lease all along knows which view is in effect: the last one it acknowledged.
    const follows = held && !this.isBlocked && view.epoch === this.#agreed.epoch + 1;
    const before = follows ? this.#view : undefined;
    this.#effect.wait(before);
    this.#fencingToken = '';
    this.#agreed = view;
    if (this.#options.awaitsConfirmation !== true) this.#adopted = view;
    if (this.#degradedView === undefined) this.#applyView(view);
  }

  #reconfigure(): void {
    // How the configuration stands to the view before is not known any more.
    if (this.before !== undefined) this.#effect.block();
    this.#applyView(this.#degradedView ?? this.#agreed);
  }

  /** While the store is away nobody agrees, so each replica alone skips what it finds lost. */
  #updateDegradedView(): void {
    if (this.#degradedView === undefined || !this.placesAlone || this.#report === undefined) return;
    const reports = [{ replica: this.#options.id, report: this.#report }];
    const next = this.#next(this.#degradedView, { reports, boundAgents: () => undefined });
    if (next === undefined) return;
    this.#degradedView = next.view;
    this.#applyView(next.view);
  }

  #next(from: AgreedView, { reports, boundAgents, config }: ViewInputs) {
    const { policy, clock: now } = this.#lastSync;
    const { rules, newId } = this.#options;
    return viewAfter(from, { reports, boundAgents, config, policy, rules, now }, newId);
  }

  #applyView(view: AgreedView): void {
    this.#view = this.#materialize(view);
    this.#updateReachability();
  }

  #updateReachability(): void {
    const { reports, isOpen } = this.#lastSync;
    const isAgreed = isOpen && this.isEffective && this.#degradedView === undefined;
    const others = isAgreed ? reports.filter(({ replica }) => replica !== this.#options.id) : [];
    this.#reachability.compare(this.#view, this.#report, others, this.#unconfigured);
  }

  /** Lets time pass. Returns true where {@link cutOff} changed. */
  tick({ mono, wall }: Moment): boolean {
    this.#claims.tick(mono, this.#leaseEnd.mono - mono, this.#options.claimTrouble?.());
    return this.#reachability.tick(mono, this.holdsLease(mono, wall));
  }

  #materialize(view: AgreedView): View {
    const { pool, rules } = this.#options;
    const known = new Set(rules.instances.map(({ id }) => id));
    this.#unconfigured = new Set(Object.keys(view.instances).filter((id) => !known.has(id)));
    return materialize(view, { pool, rules, parts: this.#config.parts });
  }
}
