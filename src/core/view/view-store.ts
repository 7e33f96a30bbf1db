import type { ActLogLimits } from './act-log.ts';
import { ActLog } from './act-log.ts';
import type { AgreedView, LoggedEvent, PoolEvent } from './agreed-view.ts';
import { NO_VIEW } from './agreed-view.ts';
import type { ConfigParts } from './config-parts.ts';
import type { HealthReport, ReplicaReport } from './health-report.ts';
import type { Policy } from './policy.ts';
import { NO_POLICY } from './policy.ts';
import { MOST_ACTS, MOST_EVENTS, MOST_LEASES_CLOSED, OVERDUE_SHARE } from './view-store-limits.ts';

/** What a replica sends to the view store about once a second, and whenever it has news. */
export interface SyncRequest {
  readonly replica: string;
  /**
   * Greater than in every earlier request of this replica. A request that arrives after a later one changes nothing.
   */
  readonly seq: number;
  /**
   * The view that the replica has adopted: it no longer does anything that this view forbids. This is the
   * acknowledgement.
   */
  readonly epoch: number;
  readonly viewId: string;
  /** The replica, or another process that acts for it, may hold a lease at the moment of sending. */
  readonly held: boolean;
  /** The store generation for which its bindings have been written back; `''` for none. */
  readonly restored: string;
  /** `undefined` is an abstention. */
  readonly report: HealthReport | undefined;
  /** The replica's configuration, in the parts that gateways compare. Earlier releases send none. */
  readonly config?: ConfigParts;
  /** The version of the reports that it knows. */
  readonly reportsKnown: number;
  /** The version of the policy that it knows. */
  readonly policyKnown: number;
  /** Its view and its policy, if the view store asked for them. */
  readonly view?: AgreedView;
  readonly policy?: Policy;
}

export interface SyncReply {
  /** Milliseconds since the Unix epoch, by the view store's clock. */
  readonly now: number;
  /** Changes when the store may have lost data. */
  readonly storeGeneration: string;
  /**
   * Views may change: every replica that may have held a lease in an earlier store generation has synced, or its
   * lease has ended.
   */
  readonly open: boolean;
  /** The caller has a lease, starting when it sent the request. */
  readonly granted: boolean;
  /** The caller gets no new lease but keeps the one it has. It gets a new one once it has acknowledged the view. */
  readonly keeps: boolean;
  readonly epoch: number;
  readonly viewId: string;
  /** Every replica that may hold a lease has acknowledged the view. */
  readonly effective: boolean;
  /** The fencing token for claims; `''` while none may be made. */
  readonly fencingToken: string;
  /** Set if the caller knows another view. */
  readonly view: AgreedView | undefined;
  /** The view store has lost a view or a policy, and asks for the caller's. */
  readonly wantsState: boolean;
  readonly reportsVersion: number;
  readonly reports: readonly ReplicaReport[] | undefined;
  /** Live replicas. */
  readonly replicas: number;
  readonly policy: Policy | undefined;
}

export interface ProposeRequest {
  readonly replica: string;
  /** The id of the view that the new one is based on. */
  readonly base: string;
  readonly view: AgreedView;
  readonly events: readonly PoolEvent[];
}

export interface PolicyRequest {
  /** The version that the new one is based on. */
  readonly base: number;
  readonly policy: Policy;
  /** What the operator did. */
  readonly events: readonly PoolEvent[];
  /** The id of the only view on which it may be written; any if missing. */
  readonly onView?: string | undefined;
}

export interface ViewStoreTimes {
  readonly leaseMs: number;
  /** How long a new replica waits for its first lease. */
  readonly joinMs: number;
}

/** The part of a view store's state that must survive its process. */
export interface ViewStoreState {
  readonly view: AgreedView;
  readonly policy: Policy;
  readonly events: readonly LoggedEvent[];
  /** What operators did. Missing in a state that an earlier release wrote: it is among `events` then. */
  readonly acts?: readonly LoggedEvent[];
}

interface Registration {
  readonly end: number;
  readonly seq: number;
  /** When the last lease that the replica may hold ends; 0 for none. */
  readonly leaseUntil: number;
  readonly joined: number;
  readonly acknowledged: string;
  readonly restored: string;
  readonly report: HealthReport | undefined;
  /** The report as text, to detect changes. */
  readonly reportText: string;
  readonly config: ConfigParts | undefined;
  /**
   * The configuration as text. It belongs to one registration, so a later registration under the same name starts
   * without.
   */
  readonly configText: string;
}

/** @param unique a text that no other view of this epoch has */
export function viewId(epoch: number, unique: string): string {
  return `${epoch}.${unique}`;
}

/** The epoch in a fencing token. */
export function epochOf(fencingToken: string): number {
  return Number.parseInt(fencingToken, 10);
}

/**
 * The view store of one pool: what the replicas share, and the rules for changing it. Each method is one atomic step.
 * This is the reference: the local view store uses it, the Redis scripts do the same, and contract tests compare the
 * two.
 *
 * Why no two replicas ever act on contradicting views:
 *
 * - A view takes effect when every replica that may hold a lease has acknowledged it. The view store counts a lease
 *   from the arrival of the request, the replica from sending it, so the view store's end comes later. A replica uses
 *   only the answer to its latest request. If that request says that the replica holds no lease, it holds none,
 *   whatever answers are still under way.
 * - Only a replica that has acknowledged the view is granted a lease. So a replica whose answers come late, or not at
 *   all, delays a view until the last lease that it can have used ends, and no longer.
 * - In a new store generation, registrations and views may have been lost. No view changes until every replica of the
 *   earlier generation has synced, or a lease's time has passed, and those that synced have written back what they
 *   know. Until then replicas that hold a lease keep it: nothing can change unnoticed by them.
 * - A replica that has just joined gets its first lease only after `joinMs`, which is longer than the time whose
 *   writes a store may lose on a failover. So a registration lost without a trace never had a lease.
 */
export class ViewStore {
  /** The longest lease that any of its replicas is configured with. */
  #leaseMs: number;
  readonly #joinMs: number;
  #storeGeneration = '';
  #generationSince = 0;
  /** The time of the last sync. */
  #lastSyncAt = 0;
  #isOpen = false;
  /** All replicas registered in an earlier generation survived the loss, or their leases have ended. */
  #hasSurvivors = false;
  #view: AgreedView = NO_VIEW;
  #isEffective = true;
  #policy: Policy = NO_POLICY;
  #reportsVersion = 1;
  #replicas = new Map<string, Registration>();
  #events: LoggedEvent[] = [];
  #acts = new ActLog();
  readonly #actLimits: ActLogLimits;

  constructor(
    options: ViewStoreTimes & { readonly state?: ViewStoreState; readonly actLimits?: ActLogLimits },
  ) {
    this.#leaseMs = options.leaseMs;
    this.#joinMs = options.joinMs;
    this.#actLimits = options.actLimits ?? { most: MOST_ACTS, keptMs: Number.POSITIVE_INFINITY };
    if (options.state === undefined) return;
    this.#view = options.state.view;
    this.#policy = options.state.policy;
    this.#events = [...options.state.events];
    this.#acts = new ActLog(options.state.acts);
  }

  get state(): ViewStoreState {
    return { view: this.#view, policy: this.#policy, events: this.#events, acts: this.#acts.entries };
  }

  /**
   * The token with which claims are accepted at that moment. It expires half a lease after the last sync. Otherwise
   * claims that waited in a hanging store could be carried out after gateways placed agents without it.
   */
  fencingTokenAt(now: number): string {
    const holds = this.#isOpen && this.#isEffective && this.#view.id !== '';
    return holds && !this.#isOverdue(now) ? `${this.#view.id}:${this.#storeGeneration}` : '';
  }

  /** The changes of the view, oldest first. */
  get events(): readonly LoggedEvent[] {
    return this.#events;
  }

  /** What operators did, oldest first. */
  get acts(): readonly LoggedEvent[] {
    return this.#acts.entries;
  }

  /**
   * @param storeGeneration the store's generation at this moment
   * @param times the caller's configured times, if they differ from this store's own
   */
  sync(
    request: SyncRequest,
    storeGeneration: string,
    now: number,
    { leaseMs, joinMs }: ViewStoreTimes = { leaseMs: this.#leaseMs, joinMs: this.#joinMs },
  ): SyncReply {
    // Gateways may have different leases, for example while the configuration is being changed. All wait for the
    // longest.
    this.#leaseMs = this.#replicas.size === 0 ? leaseMs : Math.max(leaseMs, this.#leaseMs);
    this.#enterGeneration(storeGeneration, now);
    this.#sweep(now);
    const before = this.#replicas.get(request.replica);
    const isOutOfOrder = before !== undefined && request.seq <= before.seq;
    const wantsState = !isOutOfOrder && this.#reconcile(request);
    const registration = isOutOfOrder
      ? before
      : this.#register(request, wantsState ? '' : request.restored, now, joinMs);
    if (!this.#isOpen) this.#tryOpen(storeGeneration, now);
    const isCurrent = request.restored === storeGeneration;
    const hasJoinedLongAgo = now - registration.joined >= joinMs;
    const mayHold = !isOutOfOrder && (this.#isOpen ? hasJoinedLongAgo && isCurrent : request.held);
    const hasAcknowledged = request.viewId === this.#view.id;
    const granted = mayHold && hasAcknowledged;
    if (granted) this.#replicas.set(request.replica, { ...registration, leaseUntil: now + this.#leaseMs });
    this.#tryEffect(now);

    const reportsDiffer = request.reportsKnown !== this.#reportsVersion;
    return {
      now,
      storeGeneration: storeGeneration,
      open: this.#isOpen,
      granted,
      keeps: mayHold && !hasAcknowledged,
      epoch: this.#view.epoch,
      viewId: this.#view.id,
      effective: this.#isEffective,
      fencingToken: this.fencingTokenAt(now),
      view: request.viewId === this.#view.id ? undefined : this.#view,
      wantsState,
      reportsVersion: this.#reportsVersion,
      reports: reportsDiffer ? this.#reports() : undefined,
      replicas: this.#replicas.size,
      // A replica that was away while the view store opened without it may know another policy with the same version.
      policy:
        request.policyKnown === this.#policy.version && (isCurrent || !this.#isOpen)
          ? undefined
          : this.#policy,
    };
  }

  /** Writes the next view if it is based on the present one, and the present one is in effect. */
  propose(request: ProposeRequest, storeGeneration: string, now: number): boolean {
    if (storeGeneration !== this.#storeGeneration || !this.#isOpen || !this.#isEffective) return false;
    if (request.base !== this.#view.id) return false;
    this.#view = request.view;
    this.#isEffective = false;
    this.#log(request.events, now);
    return true;
  }

  /** Writes the next policy if it is based on the present policy and view, and the store has not lost data. */
  commitPolicy(request: PolicyRequest, storeGeneration: string, now: number): boolean {
    const { base, onView = this.#view.id } = request;
    if (storeGeneration !== this.#storeGeneration || !this.#isOpen) return false;
    if (base !== this.#policy.version || onView !== this.#view.id) return false;
    this.#policy = request.policy;
    this.record(request.events, now);
    return true;
  }

  /** Logs what an operator did. */
  record(acts: readonly PoolEvent[], now: number): void {
    this.#acts.record(acts, now, this.#view.epoch, this.#actLimits);
  }

  /** The replica stops and no longer acts, so the others need not wait for its lease to end. */
  leave(replica: string): void {
    if (!this.#replicas.delete(replica)) return;
    this.#reportsVersion += 1;
    // Uses the time of the last sync: the next sync detects whether the clock was set meanwhile.
    this.#tryEffect(this.#lastSyncAt);
  }

  #enterGeneration(storeGeneration: string, now: number): void {
    // A clock that was set may have ended registrations before their leases. Every live replica syncs within a third
    // of a lease.
    const stepped = this.#replicas.size > 0 && (now < this.#lastSyncAt || this.#isOverdue(now));
    this.#lastSyncAt = now;
    if (storeGeneration === this.#storeGeneration && !stepped) return;
    // A closed view store without survivors knows only the replicas that came since: others may still hold a lease.
    this.#hasSurvivors = this.#replicas.size > 0 && (this.#isOpen || this.#hasSurvivors);
    this.#storeGeneration = storeGeneration;
    this.#generationSince = now;
    this.#isOpen = false;
    for (const [id, registration] of this.#replicas) {
      // The end was written by a clock that was ahead. No lease can last longer than one lease from now.
      const end = Math.min(registration.end, now + this.#leaseMs);
      // Earlier syncs do not count: after a clock step the generation is the same as before. The store may have lost
      // the last grants, or may have recorded their end by a clock that has been set since.
      const leaseUntil = now + this.#leaseMs;
      this.#replicas.set(id, { ...registration, end, leaseUntil, restored: '' });
    }
  }

  /** Live replicas sync three times per lease, so one of them would have synced by now. */
  #isOverdue(now: number): boolean {
    return now > this.#lastSyncAt + this.#leaseMs * OVERDUE_SHARE;
  }

  /**
   * In a new generation, the replicas of the earlier one are kept until the view store is open, because it waits for
   * them.
   */
  #sweep(now: number): void {
    if (!this.#isOpen && now < this.#generationSince + this.#leaseMs) return;
    for (const [id, { end }] of this.#replicas) {
      if (end > now) continue;
      this.#replicas.delete(id);
      this.#reportsVersion += 1;
    }
  }

  /** @param restored not the present generation while something is still wanted from the caller */
  #register(request: SyncRequest, restored: string, now: number, joinMs: number): Registration {
    const before = this.#replicas.get(request.replica);
    const isSameReport = before !== undefined && before.report === request.report;
    const reportText = isSameReport ? before.reportText : JSON.stringify(request.report ?? null);
    const joined = joinedAt(before, now, joinMs);
    const { config } = request;
    const isSameConfig = before?.joined === joined && before.config === config;
    const configText = isSameConfig ? before.configText : asText(joined, config);
    const registration: Registration = {
      end: now + this.#leaseMs,
      seq: request.seq,
      leaseUntil: request.held ? Math.max(before?.leaseUntil ?? now + this.#leaseMs, now) : 0,
      joined,
      acknowledged: request.viewId,
      restored,
      report: request.report,
      reportText: reportText,
      config,
      configText: configText,
    };
    this.#replicas.set(request.replica, registration);
    if (before?.reportText !== reportText) this.#reportsVersion += 1;
    if ((before?.configText ?? '') !== configText) this.#reportsVersion += 1;
    return registration;
  }

  /** Epochs never go back, whatever the store has lost. Returns true if the caller's state is wanted. */
  #reconcile({ epoch, viewId: id, policyKnown, view, policy }: SyncRequest): boolean {
    if (this.#isOpen) {
      if (epoch <= this.#view.epoch) return false;
      // The others went on without the caller. Their decision stands, under a number that the caller has not seen.
      this.#view = { ...this.#view, epoch: epoch + 1, id: viewId(epoch + 1, this.#storeGeneration) };
      this.#isEffective = false;
      return false;
    }
    if (epoch > this.#view.epoch && view?.id === id) {
      this.#view = view;
      this.#isEffective = false;
    }
    if (policyKnown > this.#policy.version && policy?.version === policyKnown) this.#policy = policy;
    return epoch > this.#view.epoch || policyKnown > this.#policy.version;
  }

  #tryOpen(storeGeneration: string, now: number): void {
    const allHeard = [...this.#replicas.values()].every(({ restored }) => restored === storeGeneration);
    const waited = now - this.#generationSince;
    if (allHeard && (this.#hasSurvivors || waited >= this.#leaseMs)) this.#isOpen = true;
    // A replica that is still writing back gets no lease until it is done.
    if (waited >= this.#leaseMs * MOST_LEASES_CLOSED) this.#isOpen = true;
  }

  #tryEffect(now: number): void {
    if (this.#isEffective || !this.#isOpen) return;
    this.#isEffective = [...this.#replicas.values()].every(
      ({ acknowledged, leaseUntil }) => acknowledged === this.#view.id || leaseUntil < now,
    );
  }

  #reports(): ReplicaReport[] {
    return [...this.#replicas].map(([replica, { report, config }]) => ({
      replica,
      report,
      ...(config === undefined ? {} : { config }),
    }));
  }

  #log(events: readonly PoolEvent[], now: number): void {
    for (const event of events) this.#events.push({ ...event, at: now, epoch: this.#view.epoch });
    this.#events = this.#events.slice(-MOST_EVENTS);
  }
}

function joinedAt(before: Registration | undefined, now: number, joinMs: number): number {
  if (before === undefined) return now;
  // A time in the future: the replica joined before the clock was set back.
  return before.joined > now ? now - joinMs : before.joined;
}

function asText(joined: number, config: ConfigParts | undefined): string {
  return config === undefined ? '' : `${joined}|${JSON.stringify(config)}`;
}
