import type { Binding, Placement } from '../../src/core/binding.ts';
import type { Target } from '../../src/core/target.ts';
import { checkTarget } from '../../src/core/target.ts';
import type { AgreedView } from '../../src/core/view/agreed-view.ts';
import type { Sending } from './attempts.ts';
import { isSamePlace, keyOf } from './bindings.ts';
import type { Gateway } from './gateway.ts';
import { SLOWEST_CLOCK } from './gateway.ts';
import type { Request } from './requests.ts';
import {
  allKnowTheSame,
  connectorOf,
  isSamePlacement,
  isServedBy,
  mayAct,
  place,
  servedWhileActing,
} from './served.ts';
import {
  CONNECT_TIMEOUT_MS,
  CONVERGENCE_MS,
  DETECTION_MS,
  LEASE_MS,
  PARK_MS,
  RENEW_MS,
  SLOW_MS,
  STORE_TIMEOUT_MS,
} from './times.ts';
import type { World } from './world.ts';

export type Invariant =
  | 'one instance at a time'
  | 'epochs do not overlap'
  | 'moves for a reason'
  | 'no gateway serves a released binding'
  | 'nothing is forgotten'
  | 'never sent twice'
  | 'one hop only'
  | 'nothing arrives late'
  | 'every request is answered'
  | 'all come to agree'
  | 'no view waits for longer than a lease'
  | 'views do not follow each other without end';

export interface Violation {
  readonly invariant: Invariant;
  /** True time in ms. */
  readonly at: number;
  readonly what: string;
}

/** The last placement of a subject's requests, and the greatest epoch in which one was sent there. */
interface History {
  readonly placement: Placement;
  epoch: number;
}

// A request that is slow, is not accepted, and then waits in vain; a claim may be pending at either end.
const LONGEST_MS = SLOW_MS + CONNECT_TIMEOUT_MS + PARK_MS + 2 * STORE_TIMEOUT_MS;
// From a view's proposal until all know that it is in effect, including a lost race.
const TRANSITION_MS = 1_000;
// Each fault causes a few views at most; gateways that revert each other's views make one with every sync.
const STORM_VIEWS = 20;
const STORM_MS = 1_000;
// The subject of the history of a failover pool: all agents together.
const ALL_AGENTS = 'all agents';

/**
 * Observes the whole world, and reports a broken promise. Whatever a
 * gateway does alone, because the store is away and it is configured to go on
 * (`storeless`, or placed alone), is not covered by a promise.
 */
export class Checker {
  violation: Violation | undefined;
  readonly #world: World;
  readonly #histories = new Map<string, History>();
  /** The placements of the subjects when they lost their instance. */
  readonly #losses = new Map<string, { readonly from: Placement; readonly at: number }[]>();
  readonly #sent = new Set<number>();
  readonly #delivered = new Set<number>();
  /** The gateways that have handed requests to peers. */
  readonly #handedBy = new Map<number, Gateway>();
  /** The times at which requests covered by a promise were sent. */
  readonly #promised = new Map<number, number>();
  /** Agents that a gateway has placed alone, although the store had answered it a moment before. */
  readonly #tooSoon = new Set<string>();
  /** When the last views were made. */
  readonly #made: number[] = [];
  #agreedAt = Number.NEGATIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
  }

  /** 1, by epochs: an agent moves in a later epoch than any in which it was at the earlier place. */
  onSend(gateway: Gateway, { id: request, agent, target, alone, isRelayed }: Sending): void {
    const routed = connectorOf(gateway, target);
    // 3, at the source: a sent request is never sent again.
    if (this.#sent.has(request)) this.#violated('never sent twice', `request ${request} is sent again`);
    this.#sent.add(request);
    const { replica, host } = gateway;
    // By the mode of the replica itself, so that a gateway that forgot to check its lease is not excused.
    const isExcused = !isRelayed && !this.#tooSoon.has(`${gateway.id} ${agent}`);
    if (isExcused && (alone || replica.modeAt(host.mono, host.wall) === 'degraded')) return;
    this.#promised.set(request, this.#world.scheduler.now);
    this.#checkOthers(gateway, agent, routed);
    const subject = this.#subject(agent);
    const { epoch } = replica.view;
    const history = this.#histories.get(subject);
    if (history !== undefined && isSamePlacement(history.placement, routed)) {
      history.epoch = Math.max(history.epoch, epoch);
      return;
    }
    if (history !== undefined && epoch <= history.epoch) {
      const was = `${place(history.placement)} until epoch ${history.epoch}`;
      const now = `${gateway.id} sends to ${place(routed)} in epoch ${epoch}`;
      this.#violated('epochs do not overlap', `${subject}: was at ${was}; ${now}`);
    }
    if (history !== undefined) this.#noteLoss(gateway, subject, history.placement);
    this.#histories.set(subject, { placement: routed, epoch });
  }

  /** A request that the network has held arrives. A paused process could not prevent that. */
  onLate(gateway: Gateway, agent: string, request: number, by: Target): void {
    const sentAt = this.#promised.get(request);
    const { host } = gateway;
    if (sentAt === undefined || !host.isAlive || host.hasStoodStillSince(sentAt)) return;
    const subject = this.#subject(agent);
    const routed = connectorOf(gateway, by);
    const history = this.#histories.get(subject);
    if (history === undefined || isSamePlacement(history.placement, routed)) return;
    const losses = this.#losses.get(subject) ?? [];
    if (!losses.some(({ from, at }) => at > sentAt && isSamePlacement(from, routed))) return;
    const what = `request ${request} of ${agent} arrives at ${place(routed)}, and its agent is at ${place(history.placement)}`;
    this.#violated('nothing arrives late', what);
  }

  /** Whether the subject left the placement because the instance was lost. After an operator's act requests may finish. */
  #noteLoss({ replica }: Gateway, subject: string, from: Placement): void {
    // Until a view is in effect, the view before has to allow it too.
    const { instances } = replica.before ?? replica.view;
    if (instances.get(from.instance)?.health !== 'down') return;
    const losses = this.#losses.get(subject) ?? [];
    losses.push({ from, at: this.#world.scheduler.now });
    this.#losses.set(subject, losses);
  }

  /** Called before the placement. It is not excused if the store may only have paused. */
  onPlacedAlone(gateway: Gateway, agent: string): void {
    const { id, wasAwayTooSoon, link, replica, bindings, times } = gateway;
    // Other gateways may claim at an open store that has answered.
    const hasJustAnswered =
      replica.lastSync.isOpen && this.#world.scheduler.now - link.repliedAt < times.awayMs * SLOWEST_CLOCK;
    const isKnown = bindings.get(gateway.nameOf(agent))?.alone === true;
    if ((wasAwayTooSoon || hasJustAnswered) && !isKnown) this.#tooSoon.add(`${id} ${agent}`);
  }

  /** Only the gateway that got a request from its client hands it to a peer. */
  onHanded(gateway: Gateway, request: number): void {
    const first = this.#handedBy.get(request) ?? gateway;
    this.#handedBy.set(request, first);
    if (first !== gateway)
      this.#violated(
        'one hop only',
        `request ${request}, which ${first.id} has handed on, is handed on by ${gateway.id}`,
      );
  }

  /** 3 */
  onDelivered(request: number): void {
    if (this.#delivered.has(request))
      this.#violated('never sent twice', `request ${request} is delivered again`);
    this.#delivered.add(request);
  }

  /** 2 */
  onMoved(from: Binding, to: Binding, view: AgreedView): void {
    const agent = from.root.value;
    if (isSamePlace(from, to) || !isServedBy(view, from, agent)) return;
    const what = `${agent} is moved from ${place(from)} to ${place(to)}, but view ${view.id} has the agent served there`;
    this.#violated('moves for a reason', what);
  }

  /** 2: when an operator's act ends a binding, no gateway may act on it any more. */
  onReleased(binding: Binding): void {
    for (const gateway of this.#world.gateways.filter(mayAct)) {
      const entry = gateway.bindings.get(binding.root.value);
      if (entry === undefined || entry.alone) continue;
      const { replica, host } = gateway;
      if (checkTarget(replica, entry.routed, host.mono, host.wall) !== 'forward') continue;
      const what = `${gateway.id} would send ${binding.root.value} to ${place(entry.routed)} when its binding at ${place(binding)} ends`;
      this.#violated('no gateway serves a released binding', what);
    }
  }

  /**
   * The store may have lost bindings. What a replica that never lost its lease has acted on must be there again before
   * any claim; a binding that no replica knows any more is new.
   */
  onOpen(): void {
    const world = this.#world;
    const { epoch = 0 } = this.#histories.get(ALL_AGENTS) ?? {};
    const isKnown = [world.store.view, ...world.gateways.map(({ replica }) => replica.agreed)].some(
      (view) => view.epoch >= epoch,
    );
    // All gateways were stopped, and the store has lost everything: epochs begin again.
    if (!isKnown) this.#histories.delete(ALL_AGENTS);
    for (const agent of world.agents) {
      let isHeld = true;
      for (const gateway of world.gateways) {
        const held = world.store.bindings.get(gateway.nameOf(agent));
        const history = this.#histories.get(agent);
        if (
          history !== undefined &&
          !(held && isSamePlacement(connectorOf(gateway, held), history.placement))
        )
          isHeld = false;
        const where = this.#servedBy(gateway, agent);
        if (where === undefined || world.setup.mode === 'failover') continue;
        if (held !== undefined && isSamePlacement(held, where)) continue;
        const what = `${gateway.id} serves ${agent} at ${place(where)}, and the store opens with ${held && place(held)}`;
        this.#violated('nothing is forgotten', what);
      }
      if (!isHeld || world.gateways.length === 0) this.#histories.delete(agent);
    }
  }

  /** 1, by time: no two gateways would forward one agent to different places now. */
  check(): void {
    const { agents, gateways, setup } = this.#world;
    const subjects = setup.mode === 'failover' ? 1 : agents.length;
    const acting = gateways.filter(mayAct);
    for (let i = 0; i < subjects; i += 1) {
      const agent = agents[i] as string;
      if (allKnowTheSame(acting, agent)) continue;
      let first: Target | undefined;
      let who = '';
      for (const gateway of acting) {
        const by = servedWhileActing(gateway, agent);
        if (by === undefined) continue;
        const where = connectorOf(gateway, by);
        if (first === undefined) {
          first = where;
          who = gateway.id;
        } else if (!isSamePlacement(first, where)) {
          const what = `${agent}: ${who} would send to ${place(first)}, ${gateway.id} to ${place(where)}`;
          this.#violated('one instance at a time', what);
        }
      }
    }
    for (const { gateway, order } of this.#world.peers.aboutToBeSent())
      this.#checkOthers(gateway, order.agent, connectorOf(gateway, order.target));
  }

  /** 1, by time: no gateway would forward the agent elsewhere when this one sends it there. */
  #checkOthers(gateway: Gateway, agent: string, where: Placement): void {
    for (const other of this.#world.gateways) {
      const by = this.#servedBy(other, agent);
      if (by === undefined || isSamePlacement(connectorOf(other, by), where)) continue;
      const what = `${agent}: ${gateway.id} sends to ${place(where)}, ${other.id} would send to ${place(by)}`;
      this.#violated('one instance at a time', what);
    }
  }

  /** 4 */
  onEnd(request: Request): void {
    const { healed, store } = this.#world;
    if (request.outcome === 'answered' || request.begunAt < healed + DETECTION_MS + LEASE_MS) return;
    if (!this.#canBeServed(store.view, request.gateway.nameOf(request.agent))) return;
    const waited = Math.round(request.endedAt - request.begunAt);
    const what = `request ${request.id} of ${request.agent} at ${request.gateway.id} is ${request.outcome} after ${waited} ms`;
    this.#violated('every request is answered', what);
  }

  /** 5, checked from time to time once all faults have ended. */
  sample(): void {
    const { now } = this.#world.scheduler;
    const gap = this.#disagreement();
    if (gap === '') this.#agreedAt = now;
    if (now < this.#world.healed + CONVERGENCE_MS) return;
    // A view may be pending: requests alone can end a drain.
    if (now - this.#agreedAt > TRANSITION_MS) this.#violated('all come to agree', gap);
  }

  /** 6: a gateway that does not acknowledge has no lease after the end of its last one. */
  onPending(view: AgreedView, ms: number): void {
    if (ms <= LEASE_MS + RENEW_MS) return;
    const what = `view ${view.id} is not in effect after ${Math.round(ms)} ms`;
    this.#violated('no view waits for longer than a lease', what);
  }

  onView(view: AgreedView): void {
    const { now } = this.#world.scheduler;
    this.#made.push(now);
    if (this.#made.length <= STORM_VIEWS) return;
    const since = this.#made.shift() as number;
    if (now - since > STORM_MS) return;
    const what = `${STORM_VIEWS} views in ${Math.round(now - since)} ms, the last one ${view.id}`;
    this.#violated('views do not follow each other without end', what);
  }

  /** The checks at the end. */
  finish(open: Iterable<Request>): void {
    for (const { id, begunAt } of open) {
      if (this.#world.scheduler.now - begunAt <= LONGEST_MS) continue;
      this.#violated('every request is answered', `request ${id} has no end`);
    }
  }

  /** The only placement that would get the agent's request from this gateway now, if there is one. */
  #servedBy(gateway: Gateway, agent: string): Target | undefined {
    return mayAct(gateway) ? servedWhileActing(gateway, agent) : undefined;
  }

  /** How the gateways differ; `''` if they agree. */
  #disagreement(): string {
    const { gateways, store, agents, setup } = this.#world;
    if (!store.isOpen) return 'the view store is not open';
    for (const gateway of gateways) {
      const { id, replica, host, bindings } = gateway;
      if (!replica.holdsLease(host.mono, host.wall)) return `${id} has no lease`;
      if (replica.view.epoch !== replica.agreed.epoch) return `${id} acts alone`;
      if (replica.agreed.id !== store.view.id)
        return `${id} has view ${replica.agreed.id}, not ${store.view.id}`;
      if (!replica.isEffective || !replica.isRestored)
        return `${id}: view ${replica.agreed.id} is not in effect`;
      if (setup.mode === 'failover') continue;
      for (const agent of agents) {
        const name = gateway.nameOf(agent);
        const entry = bindings.get(name);
        if (entry === undefined) continue;
        if (entry.alone) return `${id} has not written back ${agent}`;
        const held = store.bindings.get(name);
        const where = this.#servedBy(gateway, agent);
        if (where !== undefined && !(held && isSamePlace(held, where)))
          return `${id} has another binding of ${agent}`;
      }
    }
    return '';
  }

  #canBeServed(view: AgreedView, agent: string): boolean {
    const isUp = (id: string): boolean =>
      view.instances[id]?.health === 'up' && view.instances[id].admin !== 'disabled';
    if (this.#world.setup.mode === 'failover') return isUp(view.active);
    const held = this.#world.store.bindings.get(agent);
    const to = view.moving.find(({ key }) => key === keyOf(agent))?.to;
    if (to !== undefined) return isUp(to) && view.instances[to]?.admin === 'enabled';
    if (held !== undefined && isServedBy(view, held, agent)) return true;
    return Object.values(view.instances).some(({ health, admin }) => health === 'up' && admin === 'enabled');
  }

  /** The subject to whose history a request belongs. */
  #subject(agent: string): string {
    return this.#world.setup.mode === 'failover' ? ALL_AGENTS : agent;
  }

  #violated(invariant: Invariant, what: string): void {
    this.violation ??= { invariant, at: this.#world.scheduler.now, what };
  }
}
