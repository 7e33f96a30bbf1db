import type { AgentEvent } from '../simulator/agent-stats.ts';
import type { RunningAgents } from '../simulator/agents.ts';
import { startAgents } from '../simulator/agents.ts';
import type { DemoStage } from '../simulator/demo-stage.ts';
import { setStage } from '../simulator/demo-stage.ts';
import { demoLine, demoTable } from '../simulator/demo-table.ts';
import { BACK_WITHIN_MS, judge } from '../simulator/demo-verdict.ts';
import type { Outage } from '../simulator/demo-watch.ts';
import { OutageWatch } from '../simulator/demo-watch.ts';
import type { GatewayReport } from '../simulator/gateway-process.ts';
import { observeGateway } from '../simulator/gateway-process.ts';
import { LiveScreen } from '../simulator/live-screen.ts';
import { Pauses } from '../simulator/pauses.ts';
import { standardOutput } from './output.ts';

export interface DemoOptions {
  /** Runs one short round; the exit code says whether every promise was kept. */
  readonly once: boolean;
  readonly agents: number;
  /** A minute by default; at most an hour. */
  readonly forMs?: number;
  /** Replaces `node dist/main.js`. */
  readonly program?: readonly string[];
}

/** How long each act lasts: long enough to watch, or as short as the verdict allows. */
interface Tempo {
  readonly steadyMs: number;
  readonly deadMs: number;
  readonly newcomersMs: number;
}

const WATCHED: Tempo = { steadyMs: 6_000, deadMs: 5_000, newcomersMs: 4_000 };
const BRISK: Tempo = { steadyMs: 2_000, deadMs: 1_000, newcomersMs: 1_500 };

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** The exit code by shell convention: 128 plus the number of SIGINT. */
const EXIT_INTERRUPTED = 130;

const DEFAULT_FOR_MS = 60_000;
const MAX_FOR_MS = 3_600_000;
const RATE_PER_AGENT = 2;
const LOGGED_ON_WITHIN_MS = 10_000;
const UP_WITHIN_MS = 10_000;
const NEWCOMERS_SHARE = 0.2;
const MOST_AGENTS = 2_000;
const LIVE_EVERY_MS = 250;
const PLAIN_EVERY_MS = 2_000;

/**
 * Shows a gateway, three connectors and their agents while connectors crash and
 * restart, and reports the measured results at the end.
 *
 * Resolves with the exit code: 0 if every promise was kept. If the user interrupts a
 * demo in the terminal, the results so far decide. An interrupted `--once` run gives
 * no verdict and counts as failed.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const screen = new LiveScreen(standardOutput());
  const pauses = new Pauses();
  let stage: DemoStage | undefined;
  const interruption = new AbortController();
  const { signal: interrupted } = interruption;
  const interrupt = (): void => {
    if (interrupted.aborted) {
      // A second request ends the demo at once.
      stage?.abandon();
      process.exit(EXIT_INTERRUPTED);
    }
    interruption.abort();
    pauses.end();
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  const abandon = (): void => stage?.abandon();
  process.once('exit', abandon);
  try {
    screen.line('starting three connectors and a gateway …');
    stage = await setStage(options.program, interrupted);
    const kept = await new Demo(options, stage, screen, pauses, interrupted).run();
    return kept && !(options.once && interrupted.aborted) ? 0 : 1;
  } catch (error) {
    if (interrupted.aborted) return EXIT_INTERRUPTED;
    throw error;
  } finally {
    screen.close();
    await stage?.close();
    process.off('exit', abandon);
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #stage: DemoStage;
  readonly #screen: LiveScreen;
  readonly #pauses: Pauses;
  readonly #interrupted: AbortSignal;
  readonly #tempo: Tempo;
  readonly #startedAt = performance.now();
  readonly #endsAt: number;
  readonly #outages: Outage[] = [];
  readonly #dead = new Set<string>();
  #agentCount: number;
  #watch: OutageWatch | undefined;
  #report: GatewayReport = { health: new Map(), decisions: new Map() };
  #gatewayDied: string | undefined;
  #broken = false;

  constructor(
    options: DemoOptions,
    stage: DemoStage,
    screen: LiveScreen,
    pauses: Pauses,
    interrupted: AbortSignal,
  ) {
    this.#options = options;
    this.#stage = stage;
    this.#screen = screen;
    this.#pauses = pauses;
    this.#interrupted = interrupted;
    this.#tempo = options.once ? BRISK : WATCHED;
    this.#agentCount = options.agents;
    const forMs = Math.min(options.forMs ?? DEFAULT_FOR_MS, MAX_FOR_MS);
    this.#endsAt = this.#startedAt + forMs;
    void stage.gateway.died.then((why) => {
      this.#gatewayDied = why;
      pauses.end();
    });
  }

  async run(): Promise<boolean> {
    const { gateway } = this.#stage;
    this.#screen.line(`gateway at ${gateway.url}; its console for your browser: ${gateway.adminUrl}/`);
    const agents = startAgents({
      urls: [`${gateway.url}/ici`],
      agents: this.#options.agents,
      ratePerAgent: RATE_PER_AGENT,
      mixedCase: true,
      // Longer than any act that is still running when the time is up.
      forMs: this.#endsAt - performance.now() + 60_000,
      onEvent: (event) => this.#onEvent(event),
    });
    const display = this.#display(agents);
    try {
      await this.#play(agents);
    } finally {
      await agents.stop();
      clearInterval(display);
    }
    return this.#conclude(agents);
  }

  async #play(agents: RunningAgents): Promise<void> {
    const { once } = this.#options;
    this.#say(`${this.#options.agents} agents log on`);
    await this.#until(() => agents.stats().loggedOn === this.#options.agents, LOGGED_ON_WITHIN_MS);
    await this.#pause(this.#tempo.steadyMs);
    for (let round = 1; !this.#over; round += 1) {
      await this.#outage(agents, round);
      if (once) return;
      await this.#pause(this.#tempo.steadyMs);
    }
  }

  /** Kills a connector, waits until its agents are logged on again, restarts it, and adds new agents. */
  async #outage(agents: RunningAgents, round: number): Promise<void> {
    const { connectors } = this.#stage;
    const inTurn = connectors.map((_, index) => connectors[(round + index) % connectors.length]);
    const places = new Map(agents.places());
    const victim = inTurn.find((one) =>
      [...places.values()].some(({ connector }) => connector === one?.name),
    );
    const place = [...places.values()].find(({ connector }) => connector === victim?.name);
    if (victim === undefined || place === undefined) {
      this.#broken = true;
      this.#say('no agent is logged on at any connector');
      return;
    }
    const watch = new OutageWatch(place, places, performance.now());
    this.#watch = watch;
    this.#dead.add(victim.name);
    this.#say(`connector ${victim.name} is killed (SIGKILL)`);
    await victim.kill();
    const killedAt = performance.now();
    if (await this.#until(() => watch.allBack, BACK_WITHIN_MS)) this.#say('its agents are logged on again');
    await this.#pause(this.#tempo.deadMs - (performance.now() - killedAt));
    if (this.#cut) return;

    this.#say(`connector ${victim.name} is started again and knows no agents`);
    await victim.restart();
    this.#dead.delete(victim.name);
    const restartedAt = performance.now();
    const isUp = async (): Promise<boolean> => {
      this.#report = await observeGateway(this.#stage.gateway.adminUrl);
      return this.#report.health.get(victim.name) === 'up';
    };
    if (await this.#until(isUp, UP_WITHIN_MS)) {
      watch.upAgain(performance.now() - restartedAt);
      await this.#newcomers(agents);
    }
    // An interrupted act must not be judged by results that it could not produce.
    if (!this.#cut) this.#outages.push(watch.outage());
    this.#watch = undefined;
  }

  async #newcomers(agents: RunningAgents): Promise<void> {
    const count = Math.max(3, Math.round(this.#options.agents * NEWCOMERS_SHARE));
    if (this.#agentCount + count > MOST_AGENTS) return;
    this.#say(`the gateway reports it up; ${count} new agents log on`);
    this.#agentCount += count;
    agents.join(count, count * 20);
    await this.#until(() => agents.stats().loggedOn === this.#agentCount, this.#tempo.newcomersMs * 2);
    await this.#pause(this.#tempo.newcomersMs);
  }

  async #conclude(agents: RunningAgents): Promise<boolean> {
    const verdict = judge({
      agents: agents.stats(),
      outages: this.#outages,
      ...(await this.#stage.deliveries()),
      gatewayDied: this.#gatewayDied,
    });
    this.#screen.close();
    this.#screen.line('');
    for (const { good, text } of verdict.lines) {
      this.#screen.line(
        `${good ? this.#screen.paint('green', 'ok  ') : this.#screen.paint('red', 'FAIL')}  ${text}`,
      );
    }
    const { p50Ms, p99Ms, maxMs } = agents.stats().latency;
    this.#screen.line(`      latency p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms, failover included`);
    return verdict.kept && !this.#broken;
  }

  #onEvent(event: AgentEvent): void {
    this.#watch?.take(event, performance.now());
    if (event.type !== 'split' || this.#broken) return;
    this.#broken = true;
    const { agent, first, second } = event.split;
    this.#say(`agent ${agent} was answered by ${first.connector} and by ${second.connector}`);
    // The verdict is certain; stop here.
    if (this.#options.once) this.#pauses.end();
  }

  #display(agents: RunningAgents): NodeJS.Timeout {
    let asking = false;
    return setInterval(
      () => {
        if (asking) return;
        asking = true;
        void observeGateway(this.#stage.gateway.adminUrl).then((report) => {
          asking = false;
          this.#report = report;
          const moment = {
            seconds: this.#seconds,
            connectors: this.#stage.connectors.map(({ name }) => ({ name, alive: !this.#dead.has(name) })),
            stats: agents.stats(),
            gateway: report,
          };
          if (this.#screen.live) this.#screen.frame(demoTable(moment, this.#screen));
          else this.#screen.line(demoLine(moment));
        });
      },
      this.#screen.live ? LIVE_EVERY_MS : PLAIN_EVERY_MS,
    );
  }

  get #seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** Ends the running act at once. */
  get #cut(): boolean {
    return (
      this.#interrupted.aborted || this.#gatewayDied !== undefined || (this.#options.once && this.#broken)
    );
  }

  /** Lets no further act begin. */
  get #over(): boolean {
    return this.#cut || (!this.#options.once && performance.now() >= this.#endsAt);
  }

  #say(text: string): void {
    this.#screen.line(`${this.#seconds.toFixed(1).padStart(5)} s  ${this.#screen.paint('bold', text)}`);
  }

  #pause(ms: number): Promise<void> {
    return this.#pauses.pause(Math.max(0, ms));
  }

  /** Resolves to whether the condition came true in time; stops waiting when the demo is over. */
  async #until(condition: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      if (await condition()) return true;
      if (performance.now() >= deadline || this.#cut) return false;
      await this.#pauses.pause(25);
    }
  }
}
