import type { InstanceId } from '../../src/core/instance.ts';
import type { Policy } from '../../src/core/view/policy.ts';
import type { Replica } from '../../src/core/view/replica.ts';
import type { ReplicaOptions } from '../../src/core/view/replica-options.ts';
import type { Moment } from '../../src/core/view/routing-state.ts';
import type { KnownBindings } from './bindings.ts';
import type { Host } from './host.ts';
import type { Instance } from './instances.ts';
import type { Link } from './link.ts';
import { Prober } from './prober.ts';
import type { Rules } from './rules.ts';
import { Sent } from './sent.ts';
import type { Variant } from './story.ts';
import type { LeaseTimes } from './times.ts';
import { AWAY_RETRY_MS, CUT_OFF_MS, DOUBT_MS, LEASE_MS, RETRY_MS, timesOf } from './times.ts';
import type { World } from './world.ts';

export const SLOWEST_CLOCK = 0.98;

export interface GatewayOptions {
  /** The number of the replica; a successor has the same. */
  readonly number: number;
  /** The id of this process only. */
  readonly id: string;
  readonly host: Host;
  readonly link: Link;
  /** How its configuration differs from that of the story's beginning. */
  readonly variant: Variant | undefined;
  readonly onStoreLoss: 'continue' | 'refuse';
}

/**
 * One gateway process: a real {@link Replica}, driven as `coordination/pool-coordinator.ts`
 * drives it, but by simulated time and messages.
 */
export class Gateway {
  readonly id: string;
  readonly number: number;
  readonly host: Host;
  readonly link: Link;
  readonly variant: Variant | undefined;
  /** The connectors that it has under the names of instances. */
  readonly connectors: ReadonlyMap<InstanceId, Instance>;
  readonly replica: Replica;
  readonly bindings: KnownBindings;
  readonly prober: Prober;
  readonly sent: Sent;
  readonly rules: Rules;
  readonly world: World;
  readonly times: LeaseTimes;
  /** Counts the changes for which a request may wait. */
  changes = 0;
  /** Requests that wait for a change. */
  readonly parked = new Set<() => void>();
  readonly #renewals: (() => void)[] = [];
  #isSyncing = false;
  #isDue = false;
  #isRestoring = false;
  #timer = 0;
  /** It has taken the store for lost, although the store had answered a moment before and may only have paused. */
  wasAwayTooSoon = false;
  #wasAway = false;
  #told: readonly unknown[] = [];
  lastRequestAt = Number.NEGATIVE_INFINITY;

  constructor(world: World, options: GatewayOptions) {
    this.world = world;
    this.rules = world.rules;
    this.id = options.id;
    this.number = options.number;
    this.times = timesOf(world.setup.leases?.[options.number] ?? LEASE_MS);
    this.host = options.host;
    this.link = options.link;
    this.variant = options.variant;
    this.connectors = world.configurations.connectors(options.variant);
    this.replica = this.rules.createReplica(replicaOptions(world, options, this.times));
    this.bindings = this.rules.createBindings(this.replica);
    this.prober = new Prober(this);
    this.sent = new Sent(this);
  }

  start(): void {
    this.prober.start();
    this.sync();
  }

  leave(): void {
    const { link, host } = this;
    link.ask(
      host,
      { kind: 'leave', replica: this.id },
      () => {},
      () => {},
    );
  }

  /** Its release cannot forget agents. */
  get isEarlier(): boolean {
    return this.world.setup.earlier === this.number;
  }

  /** The connector that it sends to for the instance. */
  connector(id: InstanceId): Instance {
    return this.connectors.get(id) ?? this.world.instance(id);
  }

  /** Its name for the agent, by its configuration of names. */
  nameOf(agent: string): string {
    return this.variant === 'identity' ? `${agent}'` : agent;
  }

  /** Syncs with the view store now; calls `onDone` after the answer or the time limit. */
  renew(onDone: () => void): void {
    this.#renewals.push(onDone);
    this.sync();
  }

  onNews(): void {
    this.sync();
  }

  /** Real traffic failed there, or a peer says so. */
  suspect(instance: InstanceId): void {
    this.prober.hasten(instance);
    this.world.announceSuspect(this, instance);
  }

  updateReport(): void {
    this.replica.setReport(this.prober.report());
    this.tell();
    this.sync();
  }

  /** It has noticed that it was paused. */
  noticeGap(): void {
    this.replica.dropLease();
    this.prober.abstain();
    this.updateReport();
  }

  commitPolicy(
    change: (policy: Policy) => Policy,
    { tries = 5, onTaken }: { readonly tries?: number; readonly onTaken?: () => void } = {},
  ): void {
    const { policy } = this.replica.lastSync;
    const again = (): void => {
      if (tries < 2) return;
      const rest = onTaken === undefined ? { tries: tries - 1 } : { tries: tries - 1, onTaken };
      this.host.after(RETRY_MS, () => this.commitPolicy(change, rest));
    };
    const next = { ...change(policy), version: policy.version + 1 };
    const request = { base: policy.version, policy: next, events: [] };
    this.link.ask(
      this.host,
      { kind: 'commitPolicy', request },
      (taken) => {
        this.replica.storeAnswered(this.host.moment);
        this.sync();
        if (taken) onTaken?.();
        else again();
      },
      again,
    );
  }

  sync(): void {
    this.#isDue = true;
    if (!this.#isSyncing) this.#turn();
  }

  #turn(): void {
    this.#isSyncing = true;
    this.#isDue = false;
    this.#timer += 1;
    const { replica, host, link } = this;
    replica.setReport(this.prober.report());
    const sent = host.moment;
    const request = replica.request(sent);
    link.ask(
      host,
      { kind: 'sync', request, times: this.times },
      (reply) => {
        replica.accept(request, reply, sent, host.moment);
        this.#restoreWhatIsLost();
        this.#propose();
      },
      (wasLate) => this.#fail(sent, wasLate),
      {
        doubtMs: DOUBT_MS,
        limitMs: this.times.answerMs,
        onDoubt: () => {
          replica.failed(host.moment, { since: sent.mono });
          this.tell();
          this.#endRenewals();
        },
        onLate: (reply) => {
          replica.learn(request, reply, sent, host.moment);
          this.world.touch();
          this.#restoreWhatIsLost();
          this.tell();
          if (replica.hasNews) this.sync();
        },
      },
    );
  }

  #restoreWhatIsLost(): void {
    const { isRestored, lastSync } = this.replica;
    const { storeGeneration: generation } = lastSync;
    if (generation !== '' && (!isRestored || this.bindings.hasPlacedAlone)) this.#restore(generation);
  }

  #endRenewals(): void {
    for (const onDone of this.#renewals.splice(0)) onDone();
  }

  #propose(): void {
    const { replica, host, link } = this;
    const proposal = replica.proposal((instance) => this.world.boundAgents(instance));
    if (proposal === undefined) {
      this.#endTurn();
      return;
    }
    const asked = host.moment;
    link.ask(
      host,
      { kind: 'propose', request: proposal },
      (taken) => {
        if (taken) replica.proposed(proposal.view, host.moment);
        this.#isDue = true;
        this.#endTurn();
      },
      (wasLate) => this.#fail(asked, wasLate),
    );
  }

  #fail(asked: Moment, wasLate: boolean): void {
    this.replica.failed(this.host.moment, { since: asked.mono, wasLate });
    this.#endTurn();
  }

  #endTurn(): void {
    this.world.touch();
    if (this.replica.hasNews) this.#isDue = true;
    this.tell();
    if (this.#isDue && !this.replica.isFailing) {
      this.#turn();
      return;
    }
    this.#isSyncing = false;
    this.#schedule();
    this.#endRenewals();
  }

  #schedule(): void {
    const { isAway, isFailing } = this.replica;
    const timer = this.#timer;
    this.host.after(isAway ? AWAY_RETRY_MS : isFailing ? RETRY_MS : this.times.renewMs, () => {
      if (timer === this.#timer && !this.#isSyncing) this.sync();
    });
  }

  #restore(generation: string): void {
    if (this.#isRestoring) return;
    this.#isRestoring = true;
    const entries = this.bindings.remembered();
    this.link.ask(
      this.host,
      { kind: 'restore', entries },
      (held) => {
        this.#isRestoring = false;
        this.bindings.restored(entries, held);
        this.world.touch();
        // Placements made during the write-back must be written back too.
        if (this.bindings.hasPlacedAlone) this.#restore(generation);
        else {
          this.replica.restored(generation);
          this.sync();
        }
      },
      () => {
        this.#isRestoring = false;
      },
    );
  }

  /** Wakes the waiting requests after a change for which they may wait. */
  tell(): void {
    const { replica, host } = this;
    const { mono, wall } = host.moment;
    replica.tick(host.moment);
    this.sent.look();
    const { view, before, isBlocked, fencingToken, placesAlone, hearsStore, isAway, cutOff, relays } =
      replica;
    if (isAway && !this.#wasAway)
      this.wasAwayTooSoon =
        this.world.scheduler.now - this.link.repliedAt < this.times.awayMs * SLOWEST_CLOCK;
    this.#wasAway = isAway;
    const mode = replica.modeAt(mono, wall);
    // As text, because the map is made again whenever a report changes.
    const ways = relays === undefined || relays.size === 0 ? '' : [...relays].join('|');
    const told = [view, mode, isBlocked, before?.epoch, fencingToken, placesAlone, hearsStore, cutOff, ways];
    if (told.every((value, i) => value === this.#told[i])) return;
    this.#told = told;
    this.world.touch();
    this.wakeAll();
  }

  /** Lets all parked requests look again. */
  wakeAll(): void {
    this.changes += 1;
    const woken = [...this.parked];
    this.parked.clear();
    for (const wake of woken) wake();
  }
}

function replicaOptions(world: World, options: GatewayOptions, times: LeaseTimes): ReplicaOptions {
  return {
    id: options.id,
    pool: 'pool',
    ...world.configurations.optionsOf(options.variant),
    leaseMs: times.leaseMs,
    onStoreLoss: options.onStoreLoss,
    awayMs: times.awayMs,
    cutOffMs: CUT_OFF_MS,
    newId: () => world.newId(),
  };
}
