import type { InstanceId } from '../instance.ts';
import { failbackIn, instancesIn, rulesBy, withoutRefused } from './agreed-config.ts';
import type { AgentMove, AgreedInstance, AgreedView, PoolEvent } from './agreed-view.ts';
import { NOWHERE } from './agreed-view.ts';
import type { ConfigParts } from './config-parts.ts';
import { isFailbackTime } from './failback-time.ts';
import type { ReplicaReport, Verdict } from './health-report.ts';
import { areVacant, reportsNeeded } from './health-report.ts';
import { newIncarnation, withIncarnation } from './incarnations.ts';
import type { LocalConfigPart } from './next-config.ts';
import { configStep } from './next-config.ts';
import type { Failback, Policy } from './policy.ts';
import { rebalancesBy } from './policy.ts';
import type { PoolRules } from './pool-rules.ts';

/** Why something changed, in the event log. */
export const REQUESTED = 'requested by an operator';
export const LOST = 'the active instance is lost';
export const RELEASED = 'released by an operator';
const FIRST = 'no instance was active before';

export interface Circumstances {
  /** One for each live replica. */
  readonly reports: readonly ReplicaReport[];
  readonly policy: Policy;
  /** The replica's own configuration. It is used for everything that is not agreed yet. */
  readonly rules: PoolRules;
  /** The replica's contribution to the agreement on the configuration; `undefined` in degraded mode. */
  readonly config?: LocalConfigPart | undefined;
  /** Milliseconds since the Unix epoch, by the store's clock. */
  readonly now: number;
  /**
   * Counts the live bindings of an instance while the present view is in effect; `undefined` if they were not
   * counted.
   */
  readonly boundAgents: (instance: InstanceId) => number | undefined;
}

export interface Decision {
  /** Complete but for the epoch and the id, which the proposer sets. */
  readonly view: AgreedView;
  /** What the view changes; the proposer's name is added when the view is written. */
  readonly events: readonly Omit<PoolEvent, 'by'>[];
}

/**
 * The view that follows from the reports of the live replicas and the requests of operators, or `undefined` if the
 * present one stands.
 *
 * Every replica computes the same result from the same inputs, so there is no leader. A change that is missed this
 * time is found the next time.
 */
export function nextView(view: AgreedView, circumstances: Circumstances): Decision | undefined {
  const computation = new NextView(view, circumstances);
  return computation.decide();
}

/** One computation of {@link nextView}: collects the new states of the instances and what has changed. */
class NextView {
  readonly #view: AgreedView;
  readonly #circumstances: Circumstances;
  /** The rules in force; the agreed ones once {@link #configure} has found them. */
  #rules: PoolRules;
  /** Reports of the replicas that may decide. */
  #reports: readonly ReplicaReport[];
  /** The number of replicas that the quorum refers to. */
  #live = 0;
  readonly #instances: Record<InstanceId, AgreedInstance> = {};
  readonly #events: Omit<PoolEvent, 'by'>[] = [];
  #changed = false;
  #config: ConfigParts | undefined;
  #carriedOut: string | undefined;

  constructor(view: AgreedView, circumstances: Circumstances) {
    this.#view = view;
    this.#circumstances = circumstances;
    this.#rules = circumstances.rules;
    this.#reports = circumstances.reports;
  }

  decide(): Decision | undefined {
    this.#configure();
    for (const id of this.#known()) this.#instances[id] = this.#instance(id);
    const settled = this.#view.settled || this.#isSettled();
    const { active, activated } = this.#rules.mode === 'failover' ? this.#elect(settled) : this.#view;
    if (active !== this.#view.active || settled !== this.#view.settled || activated !== this.#view.activated)
      this.#changed = true;
    const moving = this.#moving();
    const rebalancesUntil = rebalancesBy(this.#circumstances);
    if (rebalancesUntil !== (this.#view.rebalancesUntil ?? 0)) this.#changed = true;
    if (!this.#changed) return undefined;
    this.#noteLosses(active, moving);
    const activeSince = active === this.#view.active ? this.#view.activeSince : this.#circumstances.now;
    return {
      view: {
        ...this.#view,
        ...(rebalancesUntil === (this.#view.rebalancesUntil ?? 0) ? {} : { rebalancesUntil }),
        settled,
        instances: this.#instances,
        active,
        activeSince,
        activated,
        moving,
        ...(this.#config === undefined ? {} : { config: this.#config }),
        ...(this.#carriedOut === undefined ? {} : { configWish: this.#carriedOut }),
      },
      events: this.#events,
    };
  }

  /** The agreed configuration comes first, because all other decisions use it. */
  #configure(): void {
    const { config: part, policy, reports, rules } = this.#circumstances;
    const { config, carriedOut, events } = configStep(this.#view, part, policy, reports);
    if (config !== this.#view.config || carriedOut !== this.#view.configWish) this.#changed = true;
    this.#config = config;
    this.#carriedOut = carriedOut;
    this.#events.push(...events);
    this.#rules = rulesBy(config, rules, policy.rules);
    this.#reports = withoutRefused(reports, config);
    this.#live = this.#reports.filter(({ isAbsent }) => isAbsent !== true).length;
  }

  #moving(): readonly AgentMove[] {
    const { policy, now, config } = this.#circumstances;
    // Without the store no binding can end, so in degraded mode those agents stay where they are.
    const moving = policy.moves.filter(
      ({ to, until }) => now < until && (config !== undefined || to !== NOWHERE),
    );
    const before = this.#view.moving;
    const isSame =
      moving.length === before.length &&
      moving.every(
        ({ key, to, until }, i) =>
          key === before[i]?.key && to === before[i]?.to && until === before[i]?.until,
      );
    if (isSame) return before;
    this.#changed = true;
    return moving;
  }

  /**
   * If bindings to an instance could be moved away until now and cannot any more, everything learnt about them before
   * is outdated. Log-ons move agents away from an instance that drains.
   */
  #noteLosses(active: InstanceId | '', moving: readonly AgentMove[]): void {
    for (const [id, instance] of Object.entries(this.#instances)) {
      const before = this.#view.instances[id];
      const couldServe = before !== undefined && this.#serves(before, id, this.#view.active);
      const moveEnded = this.#view.moving.some((move) => move.from === id && !moving.includes(move));
      const hasRestarted = before !== undefined && instance.incarnation !== before.incarnation;
      const hasDrained = before?.admin === 'draining' && instance.admin !== 'draining';
      if ((this.#serves(instance, id, active) && !couldServe) || moveEnded || hasRestarted || hasDrained) {
        this.#instances[id] = { ...instance, lostAt: this.#view.epoch };
      }
    }
  }

  #serves({ health, admin }: AgreedInstance, id: InstanceId, active: InstanceId | ''): boolean {
    return health === 'up' && admin !== 'disabled' && (this.#rules.mode === 'sticky' || id === active);
  }

  /** The configured instances, and those of the present view that some replica still knows. */
  #known(): Set<InstanceId> {
    const known = new Set(this.#rules.instances.map(({ id }) => id));
    // A replica that registers its configuration has already said which instances it knows.
    const reports = this.#reports.filter(({ config }) => config === undefined);
    // An abstaining replica may be the one that still knows the instance.
    const allSpeak = reports.every(({ report }) => report?.settled === true);
    for (const id of Object.keys(this.#view.instances)) {
      const isNamed = reports.some(({ report }) => report?.verdicts[id] !== undefined);
      if (isNamed || !allSpeak) known.add(id);
      else if (!known.has(id)) this.#changed = true;
    }
    return known;
  }

  #instance(id: InstanceId): AgreedInstance {
    const before = this.#view.instances[id];
    let next = before ?? this.#firstSeen(id);
    if (before === undefined) this.#changed = true;
    next = this.#withAdmin(id, next);
    const verdicts = this.#verdictsOn(id);
    const incarnation = newIncarnation(next, verdicts, this.#live);
    if (incarnation !== undefined) next = this.#restarted(id, next, incarnation);
    next = this.#withHealth(id, next, verdicts);
    next = this.#withQuarantine(id, next, verdicts);
    if (next !== before) this.#changed = true;
    return next;
  }

  #firstSeen(id: InstanceId): AgreedInstance {
    return {
      health: 'unknown',
      admin: this.#rules.instances.find((instance) => instance.id === id)?.admin ?? 'enabled',
      act: '',
      incarnation: '',
      past: [],
      lives: 0,
      quarantinedAt: 0,
      lostAt: 0,
    };
  }

  #verdictsOn(id: InstanceId): Verdict[] {
    const verdicts: Verdict[] = [];
    for (const { report } of this.#reports) {
      const verdict = report?.verdicts[id];
      if (verdict !== undefined) verdicts.push(verdict);
    }
    return verdicts;
  }

  /** Here an operator's act on an instance takes effect. Also ends a drain that is over. */
  #withAdmin(id: InstanceId, instance: AgreedInstance): AgreedInstance {
    const act = this.#circumstances.policy.instances[id];
    let next = instance;
    if (act !== undefined && act.id !== instance.act) next = { ...next, admin: act.state, act: act.id };
    if (next.admin !== 'draining') return next;

    const deadline = act?.deadline ?? 0;
    const isLate = deadline > 0 && this.#circumstances.now >= deadline;
    // A count made before draining began is no proof: more agents may have been placed since.
    const isDraining = this.#view.instances[id]?.admin === 'draining';
    if (!isLate && !(isDraining && this.#isDrained(id))) return next;
    this.#events.push({
      kind: 'drained',
      instance: id,
      from: 'draining',
      to: 'disabled',
      why: isLate ? 'its deadline has passed' : this.#whyDrained(id),
    });
    return { ...next, admin: 'disabled' };
  }

  #isDrained(id: InstanceId): boolean {
    // Before the first round of probes is over, it is not known which agents the instance serves.
    if (!this.#view.settled) return false;
    if (this.#rules.mode === 'sticky')
      return this.#circumstances.boundAgents(id) === 0 || areVacant(this.#reports, id, this.#view.epoch);
    return this.#view.active !== id || this.#isIdle();
  }

  #whyDrained(id: InstanceId): string {
    return this.#rules.mode === 'sticky' && this.#circumstances.boundAgents(id) !== 0
      ? 'its health page shows no sessions, and it gets no requests'
      : 'no agents are bound to it any more';
  }

  #isIdle(): boolean {
    return this.#reports.length > 0 && this.#reports.every(({ report }) => report?.idle === true);
  }

  #restarted(id: InstanceId, instance: AgreedInstance, incarnation: string): AgreedInstance {
    if (instance.incarnation !== '') {
      const { incarnation: from } = instance;
      const why = 'its health page shows a new incarnation; bindings to the earlier one are void';
      this.#events.push({ kind: 'restarted', instance: id, from, to: incarnation, why });
    }
    return { ...withIncarnation(instance, incarnation), lives: instance.lives + 1, quarantinedAt: 0 };
  }

  #withHealth(id: InstanceId, instance: AgreedInstance, verdicts: readonly Verdict[]): AgreedInstance {
    const { quorum } = this.#rules;
    const live = this.#live;
    const up = verdicts.filter(({ health }) => health === 'up').length;
    const down = verdicts.length - up;
    const saysUp = up > 0 && up >= reportsNeeded(quorum, 'up', live);
    const saysDown = down > 0 && down >= reportsNeeded(quorum, 'down', live);
    const why = `${up} of ${live} gateways reach it`;

    if (instance.health === 'unknown') {
      // At the start one replica that reaches the instance is enough once all have reported: no agent would have to
      // move.
      const health = saysDown ? 'down' : saysUp || (up > 0 && verdicts.length === live) ? 'up' : 'unknown';
      if (health === 'unknown') return instance;
      this.#events.push({ kind: health, instance: id, from: 'unknown', to: health, why });
      return health === 'up' ? this.#counted({ ...instance, health }, verdicts) : { ...instance, health };
    }
    if (instance.health === 'up' && saysDown) {
      this.#events.push({ kind: 'down', instance: id, from: 'up', to: 'down', why });
      return { ...instance, health: 'down' };
    }
    if (instance.health === 'down' && saysUp && !saysDown) {
      this.#events.push({ kind: 'up', instance: id, from: 'down', to: 'up', why });
      return this.#counted({ ...instance, health: 'up' }, verdicts);
    }
    return instance;
  }

  /** Starts a counted incarnation if the health page shows none. */
  #counted(instance: AgreedInstance, verdicts: readonly Verdict[]): AgreedInstance {
    if (!this.#rules.countsLives || verdicts.some(({ incarnation }) => incarnation !== '')) return instance;
    const lives = instance.lives + 1;
    return { ...withIncarnation(instance, `+${lives}`), lives };
  }

  #withQuarantine(id: InstanceId, instance: AgreedInstance, verdicts: readonly Verdict[]): AgreedInstance {
    const { quarantines, mode } = this.#rules;
    if (!quarantines) return instance.quarantinedAt === 0 ? instance : { ...instance, quarantinedAt: 0 };

    const before = this.#view.instances[id];
    const lost = mode === 'sticky' && before?.health === 'up' && instance.health === 'down';
    if (lost) {
      const why = 'its agents are served elsewhere, and it may not know that';
      this.#events.push({ kind: 'quarantined', instance: id, from: '', to: 'quarantined', why });
      return { ...instance, quarantinedAt: this.#view.epoch + 1 };
    }
    const since = instance.quarantinedAt;
    if (since === 0) return instance;
    const isReleased = (this.#circumstances.policy.released[id] ?? 0) >= since;
    if (!isReleased && !verdicts.some(({ health, emptyAt }) => health === 'up' && emptyAt >= since)) {
      return instance;
    }
    const why = isReleased ? RELEASED : 'its health page shows no sessions';
    this.#events.push({ kind: 'cleared', instance: id, from: 'quarantined', to: '', why });
    return { ...instance, quarantinedAt: 0 };
  }

  #isSettled(): boolean {
    const instances = Object.values(this.#instances);
    if (instances.length > 0 && instances.every(({ health }) => health !== 'unknown')) return true;
    return this.#reports.length > 0 && this.#reports.every(({ report }) => report?.settled === true);
  }

  /**
   * The active instance stays active while it is usable. None becomes active before the first round of probes is
   * over.
   */
  #elect(settled: boolean): { active: InstanceId | ''; activated: string } {
    const { policy } = this.#circumstances;
    const { active, activated } = this.#view;
    if (!settled) return { active, activated };
    const incumbent = this.#instances[active];
    const first = this.#firstInLine(active);

    if (incumbent === undefined || incumbent.health !== 'up' || incumbent.admin === 'disabled') {
      if (first === undefined) return { active: incumbent === undefined ? '' : active, activated };
      return { active: this.#activate(first, active === '' ? FIRST : LOST, active), activated };
    }
    const requested = policy.activate;
    if (requested !== undefined && requested.id !== activated) {
      const requestedInstance = this.#instances[requested.instance];
      const canServe = requestedInstance?.health === 'up' && requestedInstance.admin === 'enabled';
      const next = canServe && requested.instance !== active;
      return {
        active: next ? this.#activate(requested.instance, REQUESTED, active) : active,
        activated: requested.id,
      };
    }
    if (first !== undefined && this.#mayFailBack(active, first)) {
      return { active: this.#activate(first, `failback ${this.#failback().kind}`, active), activated };
    }
    return { active, activated };
  }

  #mayFailBack(active: InstanceId, first: InstanceId): boolean {
    if (this.#instances[first]?.quarantinedAt !== 0) return false;
    // A release that acts by its own priorities would undo the failback, again and again.
    if (this.#circumstances.config !== undefined && this.#reports.some(({ config }) => config === undefined))
      return false;
    if (this.#priority(first) >= this.#priority(active)) return false;
    const { activate } = this.#circumstances.policy;
    const failback = this.#failback();
    // An operator activated this instance and has not changed that since.
    if (activate?.id === this.#view.activated && activate.instance === active) return false;
    switch (failback.kind) {
      case 'never':
        return false;
      case 'immediate':
        return true;
      case 'when-idle':
        return this.#isIdle();
      case 'at':
        return isFailbackTime(failback.time, failback.zone, this.#circumstances.now);
    }
  }

  #failback(): Failback {
    const { failback, failbackBy } = this.#circumstances.policy;
    const agreed = this.#config && failbackIn(this.#config);
    return failbackBy === 'operator' ? failback : (agreed ?? failback);
  }

  #activate(id: InstanceId, why: string, from: InstanceId | ''): InstanceId {
    this.#events.push({ kind: 'active', instance: id, from, to: id, why });
    const loser = this.#instances[from];
    if (from !== '' && loser !== undefined && this.#rules.quarantines && loser.quarantinedAt === 0) {
      this.#instances[from] = { ...loser, quarantinedAt: this.#view.epoch + 1 };
      const still = 'its agents are served elsewhere, and it may not know that';
      this.#events.push({ kind: 'quarantined', instance: from, from: '', to: 'quarantined', why: still });
    }
    return id;
  }

  /**
   * The instance with the lowest priority number among those that may take over from `active`. A quarantined one is
   * better than none, because otherwise its agents could not be served at all.
   */
  #firstInLine(active: InstanceId | ''): InstanceId | undefined {
    const able = Object.keys(this.#instances).filter((id) => {
      const instance = this.#instances[id];
      return this.#isListed(id) && id !== active && instance?.health === 'up' && instance.admin === 'enabled';
    });
    const clear = able.filter((id) => this.#instances[id]?.quarantinedAt === 0);
    const line = clear.length > 0 ? clear : able;
    return line.sort((a, b) => this.#priority(a) - this.#priority(b) || (a < b ? -1 : 1))[0];
  }

  /** An instance outside the agreed configuration is kept only because a gateway of another release knows it. */
  #isListed(id: InstanceId): boolean {
    return this.#config === undefined || instancesIn(this.#config).includes(id);
  }

  #priority(id: InstanceId): number {
    return this.#rules.instances.find((instance) => instance.id === id)?.priority ?? Number.MAX_SAFE_INTEGER;
  }
}
