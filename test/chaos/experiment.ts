import type { PoolStatus } from '../../src/core/gateway-status.ts';
import type { Arrival, Whereabouts } from '../support/arrivals.ts';
import { whereaboutsIn } from '../support/arrivals.ts';
import { eventually } from '../support/eventually.ts';
import { findingsIn, readIncident } from '../support/incident.ts';
import { foretell, unforeseen } from './foresight.ts';
import type { OpenLoad } from './load.ts';
import { startOpenLoad } from './load.ts';
import type { FaultTimes, Measures } from './measures.ts';
import { measure } from './measures.ts';
import { pause } from './pause.ts';
import type { Findings, Scenario } from './scenarios.ts';
import { agentName, isAtWork } from './scenarios.ts';
import type { Mode, Stage, StagedGateway } from './stage.ts';
import { MODES, statusOf } from './stage.ts';

/** The result of one fault for one pool. */
export interface Row extends Measures {
  readonly scenario: Scenario;
  readonly mode: Mode;
  /** From the fault until the observing gateway showed it. */
  readonly detectedMs: number | undefined;
  readonly promotedMs: number | undefined;
  readonly recoveredAfterPromotionMs: number | undefined;
  /** New agents during the fault, and those of them who could log on before its end. */
  readonly newcomers: number;
  readonly newcomersPlaced: number;
  /** Moves of agents from an instance that could serve them, by the arrivals at the instances. */
  readonly splits: number;
  /** Requests that reached instances more than once. */
  readonly duplicates: number;
  /** Requests that reached an instance after their agent was moved away or their client was answered. */
  readonly late: number;
  /** Splits and late deliveries in words, the first few. */
  readonly examples: readonly string[];
  /** From the end of the fault until all gateways showed the same view, in effect. */
  readonly agreedMs: number;
  /** The reason, if they never did. */
  readonly disagreement: string | undefined;
  /** The fault in the words of an incident archive, and what its first page should say and does not. */
  readonly fault: string;
  readonly unnamed: readonly string[];
  /** In what the agents differ from what was foretold; missing if nothing was asked. */
  readonly unforeseen: readonly string[] | undefined;
}

const AGENTS: Readonly<Record<Mode, number>> = { sticky: 12, failover: 6 };
/** Requests of each agent: enough for precise figures, and few enough that the processor is not the limit. */
const PER_SECOND = 5;
const NEWCOMERS = 4;
const WARM_MS = 30_000;
/** Requests per agent until every gateway knows it. */
const WARM_REQUESTS = 15;
const LOOK_EVERY_MS = 40;
const AGREE_MS = 15_000;
const FREE_MS = 20_000;
/** The time after a cut in which the kernel may still deliver data sent during it: longer than its retransmission interval. */
const AFTER_CUT_MS = 10_000;
const EXAMPLES = 4;

interface Crowd {
  readonly mode: Mode;
  readonly load: OpenLoad;
}

/** Runs agents, causes the fault, ends it, and reports the effects on the agents. */
export async function runExperiment(
  stage: Stage,
  scenario: Scenario,
  modes: readonly Mode[],
  durationMs: number,
): Promise<Row[]> {
  const crowds = modes.map((mode) => gather(stage, mode));
  try {
    await Promise.all(crowds.map(warm));
    const witness = stage.gateways[scenario.witness === 'struck' ? 0 : 1];
    const look = async (): Promise<Map<Mode, PoolStatus>> => {
      const seen = await Promise.all(crowds.map(({ mode }) => statusOf(witness, mode)));
      return new Map(crowds.flatMap(({ mode }, i) => (seen[i] === undefined ? [] : [[mode, seen[i]]])));
    };
    const before = await look();

    const { foretold } = scenario;
    const foresights =
      foretold && (await Promise.all(crowds.map(({ mode }) => foretell(stage, witness, mode, foretold))));

    const findings: Findings = { waited: [], kept: new Map() };
    const from = performance.now();
    const observer = new Observer(scenario, look, before);
    await scenario.strike(stage, findings);
    const times: FaultTimes = { from, done: performance.now() };
    if (scenario.newcomers === true) for (const { mode, load } of crowds) load.join(newcomersOf(mode));
    await scenario.goOn?.(stage, findings);
    await pause(durationMs - (performance.now() - from));
    await observer.end();
    // Not what went wrong on a busy machine while everything started.
    const last = Math.ceil(performance.now() - from);
    const named = findingsIn(await readIncident(witness.adminUrl, `?last=${last}ms`));
    const surprises = foresights?.map((foresight, i) =>
      unforeseen(foresight, witness, (crowds[i] as Crowd).mode),
    );
    const unforeseenOf = surprises && (await Promise.all(surprises));
    const healing = performance.now();
    await scenario.heal(stage);
    const healedAt = performance.now();
    const alive = scenario.losesGateway === true ? stage.gateways.slice(1) : stage.gateways;
    const { agreedMs, disagreement } = await untilAgreed(alive, modes);
    await Promise.all(crowds.map((crowd) => untilFree(crowd, healedAt)));
    if (scenario.cuts === true) await pause(AFTER_CUT_MS - (performance.now() - healedAt));
    await Promise.all(crowds.map(({ load }) => load.stop()));
    const arrivals = await arrivalsAt(stage);

    return crowds.map(({ mode, load }, i): Row => {
      const requests = [...load.requests, ...findings.waited.filter(({ agent }) => modeOf(agent) === mode)];
      const newcomers = scenario.newcomers === true ? newcomersOf(mode) : [];
      const placed = new Set(
        requests.flatMap(({ agent, by, endedAt }) => (by !== undefined && endedAt < healing ? [agent] : [])),
      );
      const byId = new Map(requests.map((request) => [request.id, request]));
      const own = arrivals.filter(({ agent }) => modeOf(agent) === mode);
      const found = whereaboutsIn(own, {
        request: (id) => byId.get(id),
        // Only the first instance is ever lost, and only in scenarios with a fault of it.
        mayLeave: ({ instance }, at) => scenario.bereaves === true && instance === 'a' && at >= from,
      });
      return {
        ...measure(
          requests.filter(({ agent }) => !newcomers.includes(agent)),
          { ...times, left: observer.leftAt(mode) },
          scenario.bereaves === true ? 'a' : undefined,
        ),
        scenario,
        mode,
        detectedMs: observer.detectedAt(mode, from),
        promotedMs: findings.promotedAt === undefined ? undefined : findings.promotedAt - from,
        recoveredAfterPromotionMs: findings.recoveredAfterPromotionMs,
        newcomers: newcomers.length,
        newcomersPlaced: newcomers.filter((agent) => placed.has(agent)).length,
        splits: found.splits.length,
        duplicates: found.repeated.length,
        late: found.late.length,
        examples: examplesOf(found, from, (id) => byId.get(id)?.begunAt),
        agreedMs,
        disagreement,
        fault: named[0] ?? '',
        unnamed: scenario.archive
          .filter((text, n) => !(n === 0 ? named.slice(0, 1) : named).some((finding) => text.test(finding)))
          .map(String),
        unforeseen: unforeseenOf?.[i],
      };
    });
  } finally {
    await Promise.all(crowds.map(({ load }) => load.stop()));
  }
}

function newcomersOf(mode: Mode): string[] {
  return Array.from({ length: NEWCOMERS }, (_, i) => agentName(mode, AGENTS[mode] + i));
}

function modeOf(agent: string): Mode | undefined {
  return MODES.find((mode) => agent.startsWith(mode.toUpperCase()));
}

function gather(stage: Stage, mode: Mode): Crowd {
  const agents = Array.from({ length: AGENTS[mode] }, (_, i) => agentName(mode, i));
  return { mode, load: startOpenLoad(`${stage.balancer.url}/${mode}`, agents, PER_SECOND) };
}

async function warm({ mode, load: { requests } }: Crowd): Promise<void> {
  await eventually(
    () => {
      const answered = requests.filter(({ by }) => by !== undefined);
      const agents = new Set(answered.map(({ agent }) => agent)).size;
      if (agents === AGENTS[mode] && answered.length >= agents * WARM_REQUESTS) return;
      throw new Error(`pool ${mode} does not get going: ${answered.length} answers to ${agents} agents`);
    },
    { within: WARM_MS, every: 50 },
  );
}

/** Watches one gateway's status until the fault shows and the instance is left. */
class Observer {
  readonly #scenario: Scenario;
  readonly #before: ReadonlyMap<Mode, PoolStatus>;
  readonly #shownAt = new Map<Mode, number>();
  readonly #leftAt = new Map<Mode, number>();
  readonly #done: Promise<void>;
  #ended = false;

  constructor(
    scenario: Scenario,
    look: () => Promise<ReadonlyMap<Mode, PoolStatus>>,
    before: ReadonlyMap<Mode, PoolStatus>,
  ) {
    this.#scenario = scenario;
    this.#before = before;
    this.#done = this.#watch(look);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#done;
  }

  detectedAt(mode: Mode, from: number): number | undefined {
    const at = this.#shownAt.get(mode);
    return at === undefined ? undefined : at - from;
  }

  /** The time since which the view in effect has not let the first instance serve. */
  leftAt(mode: Mode): number | undefined {
    return this.#leftAt.get(mode);
  }

  async #watch(look: () => Promise<ReadonlyMap<Mode, PoolStatus>>): Promise<void> {
    while (!this.#ended) {
      for (const [mode, status] of await look()) this.#take(mode, status, performance.now());
      await pause(LOOK_EVERY_MS);
    }
  }

  #take(mode: Mode, now: PoolStatus, at: number): void {
    const before = this.#before.get(mode);
    if (before === undefined) return;
    if (!this.#shownAt.has(mode) && this.#scenario.shows?.(now, before) === true) this.#shownAt.set(mode, at);
    const isLeft =
      mode === 'failover'
        ? now.active !== null && now.active.instance !== 'a'
        : now.instances.some(({ id, health }) => id === 'a' && health === 'down');
    if (isLeft && now.view.effective && !this.#leftAt.has(mode)) this.#leftAt.set(mode, at);
  }
}

/** Resolves with the time until all gateways acted on one view; infinite if it took too long. */
export async function untilAgreed(
  alive: readonly StagedGateway[],
  modes: readonly Mode[],
): Promise<Pick<Row, 'agreedMs' | 'disagreement'>> {
  const begunAt = performance.now();
  try {
    await eventually(
      async () => {
        for (const mode of modes) {
          const views = await Promise.all(
            alive.map(async (gateway) => (await isAtWork(gateway, mode)).view.id),
          );
          if (new Set(views).size > 1) throw new Error(`pool ${mode}: ${views.join(' ')}`);
        }
      },
      { within: AGREE_MS, every: 30 },
    );
    return { agreedMs: performance.now() - begunAt, disagreement: undefined };
  } catch (error) {
    return { agreedMs: Number.POSITIVE_INFINITY, disagreement: String(error) };
  }
}

/** A request sent during a silence ends when the gateway gives up or the network retransmits it. */
async function untilFree({ mode, load: { requests } }: Crowd, moment: number): Promise<void> {
  await eventually(
    () => {
      const answered = requests.filter(({ begunAt, by }) => begunAt > moment && by !== undefined);
      const free = new Set(answered.map(({ agent }) => agent));
      if (free.size < AGENTS[mode]) throw new Error(`${free.size} of ${AGENTS[mode]} agents are at work`);
    },
    { within: FREE_MS, every: 100 },
  ).catch(() => undefined);
}

async function arrivalsAt(stage: Stage): Promise<Arrival[]> {
  const arrivals = await Promise.all(
    stage.instances.map(async ({ name, arrivals }) =>
      (await arrivals()).map(({ id, at, incarnation }) => ({
        id,
        at,
        agent: id.slice(0, id.indexOf('.')),
        instance: name,
        incarnation: `${name} ${incarnation}`,
      })),
    ),
  );
  return arrivals.flat();
}

function examplesOf(
  { splits, late }: Whereabouts,
  from: number,
  begunAt: (id: string) => number | undefined,
): string[] {
  const when = (at: number | undefined): string =>
    at === undefined ? 'unknown' : `${((at - from) / 1_000).toFixed(2)} s`;
  return [
    ...splits
      .slice(0, EXAMPLES)
      .map(
        ({ from: left, to }) =>
          `split: ${left.agent} at ${left.instance} at ${when(left.at)}, at ${to.instance} at ${when(to.at)}`,
      ),
    ...late
      .slice(0, EXAMPLES)
      .map(({ id, instance, at }) => `late: ${id} of ${when(begunAt(id))} at ${instance} at ${when(at)}`),
  ];
}
