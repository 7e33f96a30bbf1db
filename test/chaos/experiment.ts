import type { PoolStatus } from '../../src/control-plane/status.ts';
import type { RunningAgents } from '../../src/simulator/agents.ts';
import { startAgents } from '../../src/simulator/agents.ts';
import { eventually } from '../support/eventually.ts';
import type { EndedRequest, FaultTimes, Measures } from './measures.ts';
import { measure } from './measures.ts';
import { pause } from './pause.ts';
import type { Findings, Scenario } from './scenarios.ts';
import { isAtWork, modeOf } from './scenarios.ts';
import type { Mode, Stage } from './stage.ts';
import { statusOf } from './stage.ts';

/** What one fault came to, for one pool. */
export interface Row extends Measures {
  readonly scenario: Scenario;
  readonly mode: Mode;
  /** From the fault until the witness showed it. */
  readonly detectedMs: number | undefined;
  readonly promotedMs: number | undefined;
  readonly recoveredAfterPromotionMs: number | undefined;
  /** Agents who came while the fault lasted, and those of them who could log on before it was healed. */
  readonly newcomers: number;
  readonly newcomersPlaced: number;
  readonly splits: number;
  /** Requests that reached instances more than once. */
  readonly duplicates: number;
  /** Requests, begun or waiting when the agreed view had left the instance, that it received all the same. */
  readonly stale: number;
  /** From the end of the fault until all gateways showed the same view, in effect. */
  readonly agreedMs: number;
  /** What was in the way, where they did not come to that. */
  readonly disagreement: string | undefined;
}

const AGENTS: Readonly<Record<Mode, number>> = { sticky: 12, failover: 6 };
/** Often enough that it is not the agents who are waited for, and not so often that it is the processor. */
const WORK_PER_SECOND = 5;
const NEWCOMERS = 4;
const NEWCOMERS_OVER_MS = 2_000;
const WARM_MS = 20_000;
/** Requests per agent until every gateway knows him. */
const WARM_REQUESTS = 15;
const LOOK_EVERY_MS = 40;
/** Between a change of the view and a look that shows it, on a busy machine. */
const BACK_MARGIN_MS = 500;
const AGREE_MS = 15_000;
/** Longer than a gateway waits for an answer. */
const GIVE_UP_MS = 35_000;

interface Crowd {
  readonly mode: Mode;
  readonly agents: RunningAgents;
  readonly requests: EndedRequest[];
}

/** Lets agents work, strikes, heals, and says what became of them. */
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

    const findings: Findings = { stale: {}, kept: new Map() };
    const from = performance.now();
    const observer = new Observer(scenario, look, before);
    await scenario.strike(stage, findings);
    const times: FaultTimes = { from, done: performance.now() };
    if (scenario.newcomers === true) {
      for (const { agents } of crowds) agents.join(NEWCOMERS, NEWCOMERS_OVER_MS);
    }
    await scenario.goOn?.(stage, findings);
    await pause(durationMs - (performance.now() - from));
    await observer.end();
    const placed = new Map(crowds.map((crowd) => [crowd.mode, crowd.agents.stats().loggedOn]));

    const healing = performance.now();
    await scenario.heal(stage);
    const healedAt = performance.now();
    const { agreedMs, disagreement } = await untilAgreed(stage, scenario, modes);
    await Promise.all(crowds.map((crowd) => untilFree(crowd, healedAt)));
    const ended = await Promise.all(crowds.map(({ agents }) => agents.stop()));
    const deliveries = await deliveriesOf(stage);

    return crowds.map(({ mode, requests }, i): Row => {
      const known = requests.filter(({ agent }) => Number(agent.slice(-4)) <= AGENTS[mode]);
      const newcomers = scenario.newcomers === true ? NEWCOMERS : 0;
      const leftAt = observer.leftAt(mode) ?? Number.POSITIVE_INFINITY;
      // A sticky instance that is back may serve those again who sent nothing while it was away.
      const backAt = mode === 'sticky' ? observer.backAt(mode, healing) : Number.POSITIVE_INFINITY;
      const late = requests.filter(
        ({ id, begunAt }) => begunAt > leftAt && begunAt < backAt && deliveries.first.has(id),
      );
      return {
        ...measure(
          known,
          { ...times, left: observer.leftAt(mode) },
          scenario.bereaves === true ? 'a' : undefined,
        ),
        scenario,
        mode,
        detectedMs: observer.detectedAt(mode, from),
        promotedMs: findings.promotedAt === undefined ? undefined : findings.promotedAt - from,
        recoveredAfterPromotionMs: findings.recoveredAfterPromotionMs,
        newcomers,
        newcomersPlaced: newcomers === 0 ? 0 : Math.max(0, (placed.get(mode) ?? 0) - AGENTS[mode]),
        splits: ended[i]?.splits ?? 0,
        duplicates: deliveries.twice.filter((id) => modeOf(id) === mode).length,
        stale: Math.max(late.length, findings.stale[mode] ?? 0),
        agreedMs,
        disagreement,
      };
    });
  } finally {
    await Promise.all(crowds.map(({ agents }) => agents.stop()));
  }
}

function gather(stage: Stage, mode: Mode): Crowd {
  const requests: EndedRequest[] = [];
  const agents = startAgents({
    urls: [`${stage.balancer.url}/${mode}`],
    agents: AGENTS[mode],
    ratePerAgent: WORK_PER_SECOND,
    userPrefix: mode,
    forMs: 10 * 60_000,
    rampMs: 500,
    seed: mode === 'sticky' ? 1 : 2,
    onEvent: (event) => {
      if (event.type === 'request') requests.push(event);
    },
  });
  return { mode, agents, requests };
}

async function warm({ mode, agents, requests }: Crowd): Promise<void> {
  await eventually(
    () => {
      const { loggedOn, faults, errors } = agents.stats();
      if (loggedOn === AGENTS[mode] && requests.length >= AGENTS[mode] * WARM_REQUESTS) return;
      const met = JSON.stringify({ ...faults, ...errors });
      const done = `${requests.length} requests, ${loggedOn} of ${AGENTS[mode]} agents logged on`;
      throw new Error(`pool ${mode} does not get going: ${done}; they met ${met}`);
    },
    { within: WARM_MS, every: 50 },
  );
}

/** Watches one gateway's status for the fault to show, and for the instance to be left. */
class Observer {
  readonly #scenario: Scenario;
  readonly #before: ReadonlyMap<Mode, PoolStatus>;
  readonly #shownAt = new Map<Mode, number>();
  readonly #leftAt = new Map<Mode, number>();
  readonly #backAt = new Map<Mode, number>();
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

  /** Since when the view that was in effect did not let the first instance serve. */
  leftAt(mode: Mode): number | undefined {
    return this.#leftAt.get(mode);
  }

  /** Until when it did not, for certain: it may have been seen late that it could again. */
  backAt(mode: Mode, latest: number): number {
    return Math.min(this.#backAt.get(mode) ?? latest, latest);
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
    if (isLeft || !this.#leftAt.has(mode) || this.#backAt.has(mode)) return;
    this.#backAt.set(mode, at - BACK_MARGIN_MS);
  }
}

/** Resolves with the time it took; infinite where it took too long. */
async function untilAgreed(
  stage: Stage,
  scenario: Scenario,
  modes: readonly Mode[],
): Promise<Pick<Row, 'agreedMs' | 'disagreement'>> {
  const begunAt = performance.now();
  const alive = scenario.losesGateway === true ? stage.gateways.slice(1) : stage.gateways;
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

/** What was sent into a silence ends when the gateway gives up, or the network repeats it. */
async function untilFree({ mode, requests }: Crowd, moment: number): Promise<void> {
  await eventually(
    () => {
      const free = new Set(requests.filter(({ begunAt }) => begunAt > moment).map(({ agent }) => agent));
      if (free.size < AGENTS[mode]) throw new Error(`${free.size} of ${AGENTS[mode]} agents are at work`);
    },
    { within: GIVE_UP_MS, every: 100 },
  ).catch(() => undefined);
}

async function deliveriesOf(stage: Stage): Promise<{ first: Set<string>; twice: string[] }> {
  const counts = new Map<string, number>();
  const reports = await Promise.all(stage.instances.map((instance) => instance.deliveries()));
  for (const { ids = {} } of reports) {
    for (const [id, { started }] of Object.entries(ids)) counts.set(id, (counts.get(id) ?? 0) + started);
  }
  const twice = [...counts].filter(([, count]) => count > 1).map(([id]) => id);
  return { first: new Set(Object.keys(reports[0]?.ids ?? {})), twice };
}
