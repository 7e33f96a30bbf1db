import type { InstanceId, InstanceState } from '../instance.ts';
import { partsOf } from './agreed-config.ts';
import type { AgreedView, PoolEvent } from './agreed-view.ts';
import { NO_VIEW } from './agreed-view.ts';
import { ClaimWatch } from './claim-watch.ts';
import type { ConfigParts } from './config-parts.ts';
import type { ProposerKnowledge } from './event-basis.ts';
import { withBasis } from './event-basis.ts';
import type { HealthReport } from './health-report.ts';
import type { LastSync } from './last-sync.ts';
import { afterSync, countedReports, NO_SYNC } from './last-sync.ts';
import { holds, LeaseHolder, leaseEndFrom, NO_LEASE } from './lease.ts';
import { driftOf, LocalConfig } from './local-config.ts';
import { materialize } from './materialize.ts';
import type { Circumstances } from './next-view.ts';
import { Reachability } from './reachability.ts';
import type { Knowledge, ReplicaOptions } from './replica-options.ts';
import type { Moment, RoutingState } from './routing-state.ts';
import type { Unanswered } from './store-outage.ts';
import { StoreOutage } from './store-outage.ts';
import type { View } from './view.ts';
import { viewAfter } from './view-after.ts';
import { ViewEffect } from './view-effect.ts';
import type { ProposeRequest, SyncReply, SyncRequest } from './view-store.ts';

// Requests are numbered by the clock, so that the replica's next process continues with higher numbers.
const SEQS_PER_MS = 1_000;
// Syncs are more frequent than this share of a lease, and a store that is away has been silent for longer.
const UNCLAIMED_SHARE_OF_LEASE = 0.5;

type ViewInputs = Pick<Circumstances, 'reports' | 'boundAgents' | 'config'>;

/**
 * One replica's part in agreeing on one pool: what it knows, how long it may act on it, and what it proposes. It is
 * pure: its driver passes in the view store's answers, the verdicts of the probes and the time.
 */
export class Replica extends LeaseHolder implements RoutingState {
  readonly #options: ReplicaOptions;
  #lastSync = NO_SYNC;
  #agreed: AgreedView = NO_VIEW;
  #view: View;
  readonly #effect = new ViewEffect();
  #fencingToken = '';
  #restored = '';
  #leaseEnd = NO_LEASE;
  /** Number of the latest request; only the answer to it grants a lease. */
  #asked = 0;
  /** Number of the latest request that was answered, in time or late. */
  #answered = 0;
  #report: HealthReport | undefined;
  readonly #outage: StoreOutage;
  /** The view that this replica derives by itself while the store is away. */
  #degradedView: AgreedView | undefined;
  readonly #reachability: Reachability;
  #unconfigured: ReadonlySet<InstanceId> = new Set();
  readonly #config: LocalConfig;
  readonly #claims: ClaimWatch;
  /** The view that all processes acting for this replica have adopted. */
  #adopted: AgreedView = NO_VIEW;
  /** The view that the view store knows to be adopted by this replica. */
  #acknowledged = '';

  constructor(options: ReplicaOptions) {
    super();
    this.#options = options;
    this.#reachability = new Reachability(options.cutOffMs);
    this.#outage = new StoreOutage(options.leaseMs);
    this.#claims = new ClaimWatch(options.leaseMs * UNCLAIMED_SHARE_OF_LEASE);
    const parts = partsOf(options);
    this.#config = new LocalConfig(options.parts ?? (() => parts), options.leaseMs);
    const { agreed, policy } = options.earlierKnowledge ?? { agreed: NO_VIEW, policy: NO_SYNC.policy };
    this.#agreed = agreed;
    if (options.awaitsConfirmation !== true) this.#adopted = agreed;
    this.#lastSync = { ...NO_SYNC, policy };
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

  get relays(): RoutingState['relays'] {
    return this.placesAlone ? undefined : this.#reachability.relays;
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

  get parts(): ConfigParts {
    return this.#config.parts;
  }

  /** Monotonic ms at which {@link cutOff} changes if nothing else does; infinite if it does not. */
  get nextCutOffAt(): number {
    return this.#reachability.nextCutOffAt;
  }

  get candidates(): readonly InstanceState[] {
    return this.#reachability.candidates;
  }

  get agreed(): AgreedView {
    return this.#agreed;
  }

  get lastSync(): LastSync {
    return this.#lastSync;
  }

  /** All bindings known here have been written back in the current store generation. */
  get isRestored(): boolean {
    return this.#restored === this.#lastSync.storeGeneration;
  }

  /** The last attempt to reach the store failed. */
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
    return this.#outage.hasAnswered && this.#lastSync.isOpen;
  }

  get placesAlike(): boolean {
    const isDoubtful = this.#outage.isDoubtful && this.#options.onStoreLoss === 'continue';
    return isDoubtful && this.#lastSync.isOpen && this.isEffective;
  }

  /** The store has been silent for so long that it counts as away. */
  get isAway(): boolean {
    return this.#outage.isAway;
  }

  /** True if the view store should be asked again at once, because it waits for something learnt here. */
  get hasNews(): boolean {
    return this.#lastSync.wantsState || (this.#acknowledged !== this.#adopted.id && this.#adopted.id !== '');
  }

  /** Until when this replica may act; negative infinity without a lease. */
  get leaseEnd(): Moment {
    return this.#leaseEnd;
  }

  /** Names the view that is acted on: the newest agreed one, or a view of its own that has no shared id. */
  get actedOn(): string {
    return this.#degradedView === undefined ? this.#agreed.id : `alone.${this.#view.epoch}`;
  }

  /**
   * All processes acting for this replica have adopted the view with this id. Only the newest view counts. A view
   * made in degraded mode also counts: the lease that ends it is granted only to replicas that have acknowledged the
   * newest.
   */
  confirm(id: string): void {
    if (id === this.#agreed.id || id === this.actedOn) this.#adopted = this.#agreed;
  }

  holdsLease(mono: number, wall: number): boolean {
    return holds(this.#leaseEnd, mono, wall);
  }

  /** The bindings known here have been written back to this store generation. */
  restored(storeGeneration: string): void {
    this.#restored = storeGeneration;
  }

  /** Takes the report from the probes; `undefined` abstains. */
  setReport(report: HealthReport | undefined): void {
    this.#report = report;
    this.#updateReachability();
    this.#updateDegradedView();
  }

  /** Records the last probe of the instance. Returns true if {@link failing} has changed. */
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
      // With another configuration it may probe other connectors than its peers do under the same names.
      report: this.#view.fit === 'differs' ? undefined : this.#report,
      config: this.#config.parts,
      reportsKnown: reportsVersion,
      policyKnown: policy.version,
      ...(wantsState ? { view: this.#adopted, policy } : {}),
    };
  }

  /** `sent`: when `request` was made. `now`: when this answer came, so that the store was there until then. */
  accept(request: SyncRequest, reply: SyncReply, sent: Moment, now: Moment): void {
    const held = this.holdsLease(sent.mono, sent.wall);
    this.learn(request, reply, sent, now);
    // A later request may already have told the view store that this replica holds no lease.
    if (request.seq !== this.#asked) return;
    this.#fencingToken = reply.fencingToken;
    if (reply.viewId === this.#agreed.id) {
      if (reply.effective) this.#effect.take();
      // It cannot know which view was in effect while it held no lease.
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
   * Learns from an answer, even a late one. What others did since may have overtaken it, so it brings no lease and no
   * fencing token. An answer older than the last one is ignored.
   */
  learn(request: SyncRequest, reply: SyncReply, sent: Moment, now: Moment): void {
    // A store that answers late is not away: it may still carry out what it was asked.
    this.#outage.answered(now.mono);
    if (request.seq <= this.#answered) return;
    this.#answered = request.seq;
    if (reply.storeGeneration !== this.#lastSync.storeGeneration) this.#restored = '';
    this.#lastSync = afterSync(this.#lastSync, reply, sent.mono);
    if (reply.open) this.#config.noteOpen(sent.mono);
    this.#acknowledged = request.viewId;
    if (reply.view !== undefined) this.#adopt(reply.view, this.holdsLease(sent.mono, sent.wall));
    this.#updateReachability();
  }

  /** Takes what this gateway knew before it ended, if the store has lost it and no living gateway has told it a view. */
  recall({ agreed, policy }: Knowledge, { mono, wall }: Moment): void {
    const { storeGeneration, isOpen } = this.#lastSync;
    if (storeGeneration === '' || isOpen || this.#agreed.epoch > 0) return;
    if (policy.version > this.#lastSync.policy.version) this.#lastSync = { ...this.#lastSync, policy };
    this.#adopt(agreed, this.holdsLease(mono, wall));
  }

  /** The store answered something other than a sync, so it was there until now. */
  storeAnswered({ mono }: Moment): void {
    this.#outage.answered(mono);
  }

  /** A claim was not answered. That alone is no outage; it is one if the view store does not answer either. */
  doubtStore(now: Moment, claim: Unanswered): void {
    this.#outage.doubted(now.mono, claim);
    this.#checkOutage(now);
  }

  /** The view store did not answer. */
  failed(now: Moment, question: Unanswered = { since: now.mono }): void {
    this.#outage.failed(now.mono, question);
    // Others may have placed agents meanwhile, or the store may come back with another generation.
    this.#fencingToken = '';
    this.#checkOutage(now);
  }

  #checkOutage(now: Moment): void {
    const { awayMs, leaseMs, knowsAgents } = this.#options;
    const missedNothing = this.#agreed.epoch === 0 || (this.#outage.since ?? 0) < this.#leaseEnd.mono;
    // If this replica may have missed a view or may not know all agents, it waits a whole lease before it is sure.
    const isSure = missedNothing && (knowsAgents?.() ?? true);
    if (!this.#outage.check(now.mono, isSure ? awayMs : leaseMs)) return;
    // Bindings made from now on must be written back before anything is claimed.
    this.#restored = '';
    if (this.holdsLease(now.mono, now.wall) || this.#degradedView !== undefined) return;
    this.#degradedView = this.#agreed;
    this.#updateDegradedView();
  }

  /** A machine that stood still knows neither what it missed nor whether the store is still away. */
  dropLease(): void {
    this.#leaseEnd = NO_LEASE;
    this.#outage.end();
  }

  /** The next view, if this replica sees a reason for one. */
  proposal(
    boundAgents: ProposerKnowledge['boundAgents'],
    doubtedMs: ProposerKnowledge['doubtedMs'] = () => undefined,
  ): ProposeRequest | undefined {
    if (!this.#lastSync.isOpen || !this.isEffective) return undefined;
    const reports = countedReports(this.#lastSync, this.#options.leaseMs);
    const config = this.#config.partAt(this.#lastSync.askedAt);
    const next = this.#next(this.#agreed, { reports, boundAgents, config });
    if (next === undefined) return undefined;
    const { id } = this.#options;
    const known = { reports, boundAgents, doubtedMs };
    const events = next.events.map((event): PoolEvent => ({ ...withBasis(event, known), by: id }));
    return { replica: id, base: this.#agreed.id, view: next.view, events };
  }

  /** The view store accepted the proposal. It is the newest view now and waits for acknowledgements. */
  proposed(view: AgreedView, now: Moment): void {
    this.#adopt(view, this.holdsLease(now.mono, now.wall));
  }

  #adopt(view: AgreedView, held: boolean): void {
    const isOlder = view.epoch < this.#agreed.epoch;
    if (isOlder || view.id === this.#agreed.id) return;
    // Only a replica that held a lease throughout knows which view is in effect: the last one it acknowledged.
    const follows = held && !this.isBlocked && view.epoch === this.#agreed.epoch + 1;
    const before = follows ? this.#view : undefined;
    this.#effect.wait(before);
    this.#fencingToken = '';
    this.#agreed = view;
    if (this.#options.awaitsConfirmation !== true) this.#adopted = view;
    if (this.#degradedView === undefined) this.#applyView(view);
  }

  #reconfigure(): void {
    // It is no longer known whether the new configuration fits the view before.
    if (this.before !== undefined) this.#effect.block();
    this.#applyView(this.#degradedView ?? this.#agreed);
  }

  /** While the store is away there is no agreement, so each replica skips the instances that it finds lost itself. */
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

  /** Advances the time. Returns true if {@link cutOff} has changed. */
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
