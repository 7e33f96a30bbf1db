import type { AgentEvent } from '../../src/simulator/agent-stats.ts';
import type { RunningAgents } from '../../src/simulator/agents.ts';
import { startAgents } from '../../src/simulator/agents.ts';
import { agentName } from '../chaos/scenarios.ts';
import type { Mode } from '../chaos/stage.ts';
import { MODES } from '../chaos/stage.ts';
import { eventually } from '../support/eventually.ts';
import type { Account } from './account.ts';
import type { Asked } from './checker.ts';

export interface CrewOptions {
  /** Of the balancer in front of the gateways. */
  readonly url: string;
  readonly agents: number;
  readonly minutes: number;
  readonly seed: number;
  readonly account: Account;
}

/** Of the agents, so many work at the failover pool. */
const FAILOVER_SHARE = 0.1;
/** Work steps per second of all agents together; the steps of one agent are not more frequent than those of a person. */
const STEPS_PER_SECOND = 60;
const MOST_PER_AGENT = 0.2;
const WORK_PER_LOGON = 20;
const RETRY_MS = 2_000;
const MS_PER_LOGON = 40;
/** So many log on at once at most, so that a busy machine gets no more than it can take. */
const LOGONS_AT_ONCE = 40;
const LOGON_MS = 60_000;
/** A shift ends and the next one begins every minute, for some of the agents. */
const SHIFT_EVERY_MS = 60_000;
const SHIFT_SHARE = 0.05;
const LEAVE_MS = 20_000;
const JOIN_MS = 5_000;
/** The failure of a request that the client itself gave up. */
const GAVE_UP = 'TIMEOUT';
/** Most names that one run of agents may use. */
const MOST_NAMES = 5_000;

/** Agents who work, end their shift, and are followed by others. */
export class Crew {
  readonly requests = new Map<string, Asked>();
  readonly loggedOff = new Map<string, number[]>();
  readonly #running: readonly { readonly mode: Mode; readonly agents: number; readonly run: RunningAgents }[];
  readonly #minutes: number;
  readonly #account: Account;
  #shifts: NodeJS.Timeout | undefined;
  #isRecording = true;

  constructor({ url, agents, minutes, seed, account }: CrewOptions) {
    this.#minutes = minutes;
    this.#account = account;
    const failover = Math.ceil(agents * FAILOVER_SHARE);
    const counts: Readonly<Record<Mode, number>> = { failover, sticky: agents - failover };
    this.#running = MODES.map((mode) => ({
      mode,
      agents: counts[mode],
      run: startAgents({
        urls: [`${url}/${mode}`],
        agents: 1,
        forMs: 24 * 3_600_000,
        ratePerAgent: Math.min(MOST_PER_AGENT, STEPS_PER_SECOND / agents),
        workPerLogon: WORK_PER_LOGON,
        retryMs: RETRY_MS,
        userPrefix: mode,
        seed,
        onEvent: (event) => this.#take(event),
      }),
    }));
  }

  get agents(): number {
    return this.#running.reduce((sum, { agents }) => sum + agents, 0);
  }

  get loggedOn(): number {
    return this.#running.reduce((sum, { run }) => sum + run.stats().loggedOn, 0);
  }

  /** Answers which prove that a request was changed on its way, or took another agent's place. */
  get corrupted(): number {
    return this.#running.reduce((sum, { run }) => sum + run.stats().corrupted, 0);
  }

  get logons(): number {
    return this.#running.reduce((sum, { run }) => sum + run.stats().logons, 0);
  }

  /** Resolves when all have logged on, or the signal says that it is of no use any more. */
  async logOn(signal: AbortSignal): Promise<void> {
    let joined = this.#running.length;
    for (const { run, agents } of this.#running)
      for (let left = agents - 1; left > 0 && !signal.aborted; ) {
        await this.#untilLoggedOn(joined - LOGONS_AT_ONCE, signal);
        const some = Math.min(left, LOGONS_AT_ONCE);
        run.join(some, some * MS_PER_LOGON);
        left -= some;
        joined += some;
      }
    await this.#untilLoggedOn(joined, signal);
  }

  async #untilLoggedOn(count: number, signal: AbortSignal): Promise<void> {
    await eventually(
      () => {
        if (!signal.aborted && this.loggedOn < count)
          throw new Error(`${this.loggedOn} of ${count} are logged on`);
      },
      { within: LOGON_MS, every: 50 },
    );
  }

  /** From now on some agents go home and others come. */
  beginShifts(): void {
    const counts = this.#running.map(({ agents }) =>
      Math.min(Math.ceil(agents * SHIFT_SHARE), Math.floor((MOST_NAMES - agents) / this.#minutes)),
    );
    let left = 0;
    this.#shifts = setInterval(() => {
      for (const [i, { run, mode }] of this.#running.entries()) {
        const count = counts[i] ?? 0;
        // Those who came first leave first.
        const names = Array.from({ length: count }, (_, n) => agentName(mode, left * count + n));
        void run.leave(count, LEAVE_MS).then(() => {
          for (const name of names) this.#account.gone(name, performance.now());
        });
        run.join(count, JOIN_MS);
      }
      left += 1;
    }, SHIFT_EVERY_MS);
  }

  /** All log off at once, which says nothing about gateways: what ends from now on does not count. */
  async stop(): Promise<void> {
    this.#isRecording = false;
    clearInterval(this.#shifts);
    await Promise.all(this.#running.map(({ run }) => run.stop()));
  }

  #take(event: AgentEvent): void {
    if (!this.#isRecording) return;
    const now = performance.now();
    this.#account.take(event, now);
    if (event.type === 'request') {
      const { id, begunAt, by, failure } = event;
      const endedAt = failure === GAVE_UP ? Number.POSITIVE_INFINITY : event.endedAt;
      this.requests.set(id, { begunAt, endedAt, isAnswered: by !== undefined });
    } else if (event.type === 'logoff' && event.answered) {
      const times = this.loggedOff.get(event.agent) ?? [];
      times.push(now);
      this.loggedOff.set(event.agent, times);
    }
  }
}

/** The agent of a request, by the id under which instances record it. */
export function agentOf(id: string): string {
  return id.split('-')[1] ?? '';
}
