import type { AgreedView, PoolEvent } from './agreed-view.ts';
import { NO_VIEW } from './agreed-view.ts';
import type { ConfigParts } from './config-parts.ts';
import type { HealthReport, ReplicaReport } from './health-report.ts';
import type { Policy } from './policy.ts';
import { NO_POLICY } from './policy.ts';

/** What a replica tells the ledger, about once a second and whenever it has news. */
export interface SyncRequest {
  readonly replica: string;
  /** Greater than in every earlier request of this replica. A request that arrives after a later one changes nothing. */
  readonly seq: number;
  /** The view that it has adopted: it does nothing any more that this view forbids. An acknowledgement. */
  readonly epoch: number;
  readonly viewId: string;
  /** It may hold a lease at the moment of sending, or another process that acts for it may. */
  readonly held: boolean;
  /** The life of the store for which its bindings are written back; `''` for none. */
  readonly restored: string;
  /** `undefined` is an abstention. */
  readonly report: HealthReport | undefined;
  /** What its configuration says of the parts that gateways have in common. Releases before it say nothing. */
  readonly config?: ConfigParts;
  /** The state of the ballots that it knows. */
  readonly reportsKnown: number;
  /** The version of the policy that it knows. */
  readonly policyKnown: number;
  /** Its view and its policy, where the ledger asked for them. */
  readonly view?: AgreedView;
  readonly policy?: Policy;
}

export interface SyncReply {
  /** Milliseconds since the Unix epoch, by the ledger's clock. */
  readonly now: number;
  /** The store's life: changes when it may have lost something. */
  readonly storeGeneration: string;
  /** Who may have held a lease in an earlier life has been heard of, or has lost it: views may change again. */
  readonly open: boolean;
  /** The caller has a lease, from the moment at which it sent the request. */
  readonly granted: boolean;
  /** Without a new lease the caller keeps the one that it has: it gets another once it has acknowledged the view. */
  readonly keeps: boolean;
  readonly epoch: number;
  readonly viewId: string;
  /** Every replica that may hold a lease has acknowledged the view. */
  readonly effective: boolean;
  /** What claims must bear; `''` while none may be made. */
  readonly fencingToken: string;
  /** Where it is not the one that the caller knows. */
  readonly view: AgreedView | undefined;
  /** The ledger has lost a view or a policy: it asks for the caller's. */
  readonly wantsState: boolean;
  readonly reportsVersion: number;
  readonly reports: readonly ReplicaReport[] | undefined;
  /** Live replicas. */
  readonly replicas: number;
  readonly policy: Policy | undefined;
}

export interface ProposeRequest {
  readonly replica: string;
  /** The id of the view that the new one was made from. */
  readonly base: string;
  readonly view: AgreedView;
  readonly events: readonly PoolEvent[];
}

export interface PolicyRequest {
  /** The version that the new one was made from. */
  readonly base: number;
  readonly policy: Policy;
  readonly events: readonly PoolEvent[];
}

/** An event as the log keeps it. */
export interface LoggedEvent extends PoolEvent {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly epoch: number;
}

/** What of a ledger has to survive the process that holds it. */
export interface ViewStoreState {
  readonly view: AgreedView;
  readonly policy: Policy;
  readonly events: readonly LoggedEvent[];
}

interface Registration {
  readonly end: number;
  readonly seq: number;
  /** When the last lease ends that it may hold; 0 for none. */
  readonly leaseUntil: number;
  readonly joined: number;
  readonly acknowledged: string;
  readonly restored: string;
  readonly report: HealthReport | undefined;
  /** The opinion as text, to tell whether it has changed. */
  readonly reportText: string;
  readonly config: ConfigParts | undefined;
  /** The same of the configuration. It belongs to one registration, so a later one under the same name has none. */
  readonly configText: string;
}

/** @param unique what no other view of the epoch can have */
export function viewId(epoch: number, unique: string): string {
  return `${epoch}.${unique}`;
}

/** The epoch that a fence stands for. */
export function epochOf(fencingToken: string): number {
  return Number.parseInt(fencingToken, 10);
}

/** For how many leases a replica that has much to write back may hold up the others. */
export const MOST_LEASES_CLOSED = 10;
export const MOST_EVENTS = 1_000;
/**
 * A share of a lease. Live replicas ask three times per lease, so when none has asked for so long, the fencing token
 * expires; and a sync that comes after so long finds that the clock was set.
 */
export const OVERDUE_SHARE = 0.5;

/**
 * The ledger of one pool: what the replicas have in common, and the rules by
 * which it changes. Each method is one atomic step. This is the reference: the
 * local ledger is made of it, the scripts of the Redis ledger do the same, and a
 * contract holds them to it.
 *
 * Why no two replicas ever act on contradicting views:
 *
 * - A view takes effect when every replica that may hold a lease has
 *   acknowledged it. The ledger counts a lease from when the request arrived,
 *   its replica from when it was sent, so the ledger's end comes later. A replica
 *   uses only the answer to its latest request: one that says it holds no lease
 *   holds none, whatever answers are still on their way to it.
 * - A lease is granted only to a replica that has acknowledged the view. So a
 *   replica whose answers come too late, or not at all, holds up a view for as
 *   long as the last lease that it can have used, and no longer.
 * - In a new life of the store, which may have lost registrations and views, no
 *   view changes until every replica of the earlier life was heard of, or a
 *   lease's time has passed, and those that were heard have written back what
 *   they know. Until then those that hold a lease keep it: nothing can change
 *   behind their backs.
 * - A replica that has just joined waits for its first lease for longer than a
 *   store may lose on a failover (`joinMs`), so the one registration that could
 *   be lost without a trace never had a lease.
 */
export class ViewStore {
  /** The longest of the leases with which its replicas are configured. */
  #leaseMs: number;
  readonly #joinMs: number;
  #storeGeneration = '';
  #generationSince = 0;
  /** When it was asked last. */
  #lastSyncAt = 0;
  #isOpen = false;
  /** All who were registered in an earlier life have survived the loss, or their leases ended. */
  #hasSurvivors = false;
  #view: AgreedView = NO_VIEW;
  #isEffective = true;
  #policy: Policy = NO_POLICY;
  #reportsVersion = 1;
  #replicas = new Map<string, Registration>();
  #events: LoggedEvent[] = [];

  constructor(options: {
    readonly leaseMs: number;
    readonly joinMs: number;
    readonly state?: ViewStoreState;
  }) {
    this.#leaseMs = options.leaseMs;
    this.#joinMs = options.joinMs;
    if (options.state === undefined) return;
    this.#view = options.state.view;
    this.#policy = options.state.policy;
    this.#events = [...options.state.events];
  }

  get state(): ViewStoreState {
    return { view: this.#view, policy: this.#policy, events: this.#events };
  }

  /**
   * What claims must bear to be carried out at that moment. It ends half a lease after the last sync: claims that
   * waited in a store that stood still come after agents were placed without it.
   */
  fencingTokenAt(now: number): string {
    const holds = this.#isOpen && this.#isEffective && this.#view.id !== '';
    return holds && !this.#isOverdue(now) ? `${this.#view.id}:${this.#storeGeneration}` : '';
  }

  get events(): readonly LoggedEvent[] {
    return this.#events;
  }

  /**
   * @param storeGeneration what stands for the store's life at this moment
   * @param leaseMs of the caller
   */
  sync(request: SyncRequest, storeGeneration: string, now: number, leaseMs = this.#leaseMs): SyncReply {
    // Gateways may be configured with different leases, as while that is being changed: all wait for the longest.
    this.#leaseMs = this.#replicas.size === 0 ? leaseMs : Math.max(leaseMs, this.#leaseMs);
    this.#enterGeneration(storeGeneration, now);
    this.#sweep(now);
    const before = this.#replicas.get(request.replica);
    const isOutOfOrder = before !== undefined && request.seq <= before.seq;
    const wantsState = !isOutOfOrder && this.#reconcile(request);
    const registration = isOutOfOrder
      ? before
      : this.#register(request, wantsState ? '' : request.restored, now);
    if (!this.#isOpen) this.#tryOpen(storeGeneration, now);
    const isCurrent = request.restored === storeGeneration;
    const hasJoinedLongAgo = now - registration.joined >= this.#joinMs;
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
      // One who was away while the ledger opened without it may know another policy of the same version.
      policy:
        request.policyKnown === this.#policy.version && (isCurrent || !this.#isOpen)
          ? undefined
          : this.#policy,
    };
  }

  /** Writes the next view if the present one is still what it was made from, and in effect. */
  propose(request: ProposeRequest, storeGeneration: string, now: number): boolean {
    if (storeGeneration !== this.#storeGeneration || !this.#isOpen || !this.#isEffective) return false;
    if (request.base !== this.#view.id) return false;
    this.#view = request.view;
    this.#isEffective = false;
    this.#log(request.events, now);
    return true;
  }

  /** Writes the next policy if the present one is still what it was made from, and not what a store forgot. */
  commitPolicy(request: PolicyRequest, storeGeneration: string, now: number): boolean {
    if (storeGeneration !== this.#storeGeneration || !this.#isOpen || request.base !== this.#policy.version)
      return false;
    this.#policy = request.policy;
    this.#log(request.events, now);
    return true;
  }

  /** A replica stops, and acts on nothing any more: the others need not wait for its lease to end. */
  leave(replica: string): void {
    if (!this.#replicas.delete(replica)) return;
    this.#reportsVersion += 1;
    // By the clock of the last sync: the next one sees whether the clock was set meanwhile.
    this.#tryEffect(this.#lastSyncAt);
  }

  #enterGeneration(storeGeneration: string, now: number): void {
    // A clock that was set may have ended registrations before their leases. Whoever is there is heard within a third.
    const stepped = this.#replicas.size > 0 && (now < this.#lastSyncAt || this.#isOverdue(now));
    this.#lastSyncAt = now;
    if (storeGeneration === this.#storeGeneration && !stepped) return;
    // Closed and without survivors, it knows only those that have come since: others may hold a lease still.
    this.#hasSurvivors = this.#replicas.size > 0 && (this.#isOpen || this.#hasSurvivors);
    this.#storeGeneration = storeGeneration;
    this.#generationSince = now;
    this.#isOpen = false;
    for (const [id, registration] of this.#replicas) {
      // Written by a clock that was ahead: no lease can be longer than one from now.
      const end = Math.min(registration.end, now + this.#leaseMs);
      // What they said before does not count as being heard: after a step of the clock the life is still the same.
      // The store may have lost what was granted last, or have noted its end by a clock that has been set since.
      const leaseUntil = now + this.#leaseMs;
      this.#replicas.set(id, { ...registration, end, leaseUntil, restored: '' });
    }
  }

  /** Live replicas ask three times per lease, so one of them would have been heard. */
  #isOverdue(now: number): boolean {
    return now > this.#lastSyncAt + this.#leaseMs * OVERDUE_SHARE;
  }

  /** In a new life those of the earlier one are kept until it is open: it is for them that it waits. */
  #sweep(now: number): void {
    if (!this.#isOpen && now < this.#generationSince + this.#leaseMs) return;
    for (const [id, { end }] of this.#replicas) {
      if (end > now) continue;
      this.#replicas.delete(id);
      this.#reportsVersion += 1;
    }
  }

  /** @param restored not yet the present life, as long as something is wanted of the caller */
  #register(request: SyncRequest, restored: string, now: number): Registration {
    const before = this.#replicas.get(request.replica);
    const isSameReport = before !== undefined && before.report === request.report;
    const reportText = isSameReport ? before.reportText : JSON.stringify(request.report ?? null);
    const joined = this.#joined(before, now);
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

  #joined(before: Registration | undefined, now: number): number {
    if (before === undefined) return now;
    // In the future: it was there before the clock was set back.
    return before.joined > now ? now - this.#joinMs : before.joined;
  }

  /** Epochs never go back, whatever a store has lost. Returns true where the caller's state is wanted. */
  #reconcile({ epoch, viewId: id, policyKnown, view, policy }: SyncRequest): boolean {
    if (this.#isOpen) {
      if (epoch <= this.#view.epoch) return false;
      // Others have gone on without it: what they decided holds, under a number that the caller has not seen.
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
    // Whoever is still writing back then has to do without a lease until it is done.
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

function asText(joined: number, config: ConfigParts | undefined): string {
  return config === undefined ? '' : `${joined}|${JSON.stringify(config)}`;
}
