import type { HealthRecord } from '../../src/core/health.ts';
import { observe, UNOBSERVED } from '../../src/core/health.ts';
import type { InstanceId } from '../../src/core/instance.ts';
import type { HealthReport, Verdict } from '../../src/core/view/health-report.ts';
import type { Gateway } from './gateway.ts';
import type { Instance } from './instances.ts';
import { relayAddress } from './peers.ts';
import { PROBE_FAST_MS, PROBE_MS, PROBE_TIMEOUT_MS, THRESHOLDS } from './times.ts';

// The time for which a gateway abstains after a pause.
const ABSTENTION_MS = 1_000;
const IDLE_MS = 1_000;

interface Probed {
  readonly id: InstanceId;
  readonly instance: Instance;
  record: HealthRecord;
  verdict: Verdict | undefined;
  startedAt: number;
  isRunning: boolean;
  /** Real traffic failed there, and no probe has passed that began after that. */
  isSuspected: boolean;
  /** The doubt arose during a probe, which therefore proves nothing. */
  isStale: boolean;
  /** The number of the planned probe; a newer plan replaces an older one. */
  plan: number;
}

/** One gateway's probes of all instances. */
export class Prober {
  readonly #gateway: Gateway;
  readonly #probed = new Map<InstanceId, Probed>();
  /** Until a verdict changes. */
  #report: HealthReport | undefined;
  #abstainsUntil = Number.NEGATIVE_INFINITY;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    for (const [id, instance] of gateway.connectors) {
      this.#probed.set(id, {
        id,
        instance,
        record: UNOBSERVED,
        verdict: undefined,
        startedAt: Number.NEGATIVE_INFINITY,
        isRunning: false,
        isSuspected: false,
        isStale: false,
        plan: 0,
      });
    }
  }

  start(): void {
    for (const probed of this.#probed.values()) this.#probe(probed);
  }

  /** Brings the instance's next probe forward. */
  hasten(id: InstanceId): void {
    const probed = this.#probed.get(id);
    if (probed === undefined) return;
    probed.isSuspected = true;
    if (probed.isRunning) {
      probed.isStale = true;
      return;
    }
    const since = this.#gateway.host.mono - probed.startedAt;
    this.#plan(probed, Math.max(0, PROBE_FAST_MS - since));
  }

  /** After a pause, its earlier probes do not count for a while. */
  abstain(): void {
    this.#abstainsUntil = this.#gateway.host.mono + ABSTENTION_MS;
    this.#gateway.host.after(ABSTENTION_MS + 1, () => this.#gateway.updateReport());
  }

  report(): HealthReport | undefined {
    const { host, lastRequestAt } = this.#gateway;
    if (host.mono < this.#abstainsUntil) return undefined;
    const idle = host.mono - lastRequestAt > IDLE_MS;
    if (this.#report?.idle === idle) return this.#report;
    const verdicts: Record<InstanceId, Verdict> = {};
    let settled = true;
    for (const [id, { verdict }] of this.#probed) {
      if (verdict === undefined) settled = false;
      else verdicts[id] = verdict;
    }
    const { number, world } = this.#gateway;
    const relays = world.setup.relays?.[number] === true;
    this.#report = { verdicts, settled, idle, ...(relays && { relayAt: relayAddress(number) }) };
    return this.#report;
  }

  #probe(probed: Probed): void {
    const { host, replica, number, world } = this.#gateway;
    probed.isRunning = true;
    probed.startedAt = host.mono;
    const { epoch } = replica.view;
    const reached = probed.instance.reachedBy(number, world.scheduler.now);
    const incarnation = world.setup.incarnations === 'shown' ? `#${probed.instance.incarnation}` : '';
    const isEmpty = probed.instance.sessions.size === 0;
    host.after(reached === 'silent' ? PROBE_TIMEOUT_MS : 2, () => {
      probed.isRunning = false;
      if (reached === 'answers')
        this.#observed(probed, { health: 'up', incarnation, emptyAt: isEmpty ? epoch : 0 });
      else this.#observed(probed, { health: 'down', incarnation: '', emptyAt: 0 });
    });
  }

  #observed(probed: Probed, seen: Verdict): void {
    if (probed.isStale) {
      probed.isStale = false;
      this.#plan(probed, 0);
      return;
    }
    const before = probed.record;
    const passed = seen.health === 'up';
    if (this.#gateway.replica.probed(probed.id, passed)) this.#gateway.sent.look();
    if (passed && probed.isSuspected) {
      probed.isSuspected = false;
      this.#gateway.wakeAll();
    }
    probed.record = observe(before, passed, THRESHOLDS);
    const { state, streak } = probed.record;
    this.#plan(probed, streak > 0 || state === 'down' ? PROBE_FAST_MS : PROBE_MS);
    if (!passed && before.streak === 0 && streak > 0) this.#gateway.suspect(probed.id);
    const verdict: Verdict = { ...seen, health: state === 'up' ? 'up' : 'down' };
    const last = probed.verdict;
    const isNews =
      last?.health !== verdict.health ||
      last.incarnation !== verdict.incarnation ||
      last.emptyAt !== verdict.emptyAt;
    if (!isNews) return;
    probed.verdict = verdict;
    this.#report = undefined;
    this.#gateway.updateReport();
  }

  #plan(probed: Probed, delay: number): void {
    probed.plan += 1;
    const { plan } = probed;
    this.#gateway.host.after(delay, () => {
      if (plan === probed.plan && !probed.isRunning) this.#probe(probed);
    });
  }
}
