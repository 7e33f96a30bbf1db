import { randomBytes } from 'node:crypto';
import type { AgentEvent, AgentStats } from './agent-stats.ts';
import { AgentRecord } from './agent-stats.ts';
import type { DialectName } from './dialects.ts';
import { DIALECTS } from './dialects.ts';
import { Pauses } from './pauses.ts';
import type { Random } from './random.ts';
import { seededRandom } from './random.ts';
import type { AgentHabits } from './soap-agent.ts';
import { SoapAgent } from './soap-agent.ts';
import { SoapClient } from './soap-client.ts';
import type { AnsweredBy } from './split-detector.ts';

export interface AgentsOptions {
  /** The URLs of gateways or connectors. Every agent uses all of them in turn. */
  readonly urls: readonly string[];
  /** At most 5,000. */
  readonly agents: number;
  /** How long the agents work before they log off; at most a day, a minute by default. */
  readonly forMs?: number;
  /** Work steps per second and agent; 0.5 by default. */
  readonly ratePerAgent?: number;
  readonly withHeaders?: boolean;
  /** How bodies name the agent; `user` by default. */
  readonly dialect?: DialectName;
  /**
   * Also send requests whose bodies do not name their agent; by default only with headers, because without them a
   * gateway has to guess the instance.
   */
  readonly objectMethods?: boolean;
  readonly mixedCase?: boolean;
  readonly bodyBytes?: { readonly min: number; readonly max: number };
  readonly workPerLogon?: number;
  /** After a failed work step an agent tries again this soon; by default it goes on with its next one. */
  readonly retryMs?: number;
  /** The time over which the first logons are spread; 10 ms per agent by default. */
  readonly rampMs?: number;
  /** The time limit of one request; 65 s by default, which is longer than a gateway takes to report a timeout. */
  readonly requestTimeoutMs?: number;
  /** The same seed gives the same requests in the same order for each agent, but not the same times. */
  readonly seed?: number;
  /** Agent names are this prefix, in upper case, and a number; `AGENT` by default. */
  readonly userPrefix?: string;
  /** Allows other hosts than this machine. Off by default, so that load on another host is always deliberate. */
  readonly allowRemote?: boolean;
  readonly signal?: AbortSignal;
  /** Called on every event; must not throw. */
  readonly onEvent?: (event: AgentEvent) => void;
}

export interface RunningAgents {
  /** A snapshot; cheap enough for a live display. */
  stats(): AgentStats;
  /** The connector of each agent that is logged on. */
  places(): ReadonlyMap<string, AnsweredBy>;
  /** Adds agents, spread over `rampMs`. No effect once the run has ended. */
  join(agents: number, rampMs: number): void;
  /**
   * The end of a shift: this many agents log off, those who joined first, spread over `overMs`, and do not return.
   * Resolves when they have logged off.
   */
  leave(agents: number, overMs: number): Promise<void>;
  /**
   * Logs the agents off one after the other, and aborts requests that have not
   * ended 5 s after the last should have: at most 15 s from now.
   */
  stop(): Promise<AgentStats>;
  /** Resolves when all agents have ended, by time, signal or {@link stop}. */
  readonly done: Promise<AgentStats>;
}

/** One agent of the run. */
interface Life {
  /** Its pauses alone: those who leave do not wait for their next work. */
  readonly pauses: Pauses;
  hasLeft: boolean;
  readonly ended: Promise<void>;
}

const MAX_AGENTS = 5_000;
const MAX_FOR_MS = 24 * 3_600_000;
/** How long the agents may take to log off, from the moment when the last one begins. */
const LOG_OFF_MS = 5_000;
/** Logoffs are spread, because a real working day does not end with all of them at once. */
const LEAVING_MS_PER_AGENT = 5;
const MAX_LEAVING_MS = 10_000;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Throws an `Error` that names the option if one is out of bounds. */
export function startAgents(options: AgentsOptions): RunningAgents {
  const forMs = options.forMs ?? 60_000;
  bounded('agents', options.agents, 1, MAX_AGENTS);
  bounded('forMs', forMs, 1, MAX_FOR_MS);

  const client = new SoapClient(options.requestTimeoutMs ?? 65_000);
  const leaving = new Pauses();
  const shiftEnds = new Pauses();
  const record = new AgentRecord(options.onEvent ?? (() => undefined));
  const run = randomBytes(4).toString('hex');
  const seed = options.seed ?? 1;
  const prefix = (options.userPrefix ?? 'AGENT').toUpperCase();

  const nameOf = (index: number): string => `${prefix}${String(index + 1).padStart(4, '0')}`;
  const colleague = (random: Random): string => nameOf(Math.floor(random() * lives.length));
  const habits = { ...habitsOf(options), colleague };

  let stopping = false;
  let breakOff: NodeJS.Timeout | undefined;
  let markEnded: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    markEnded = resolve;
  });
  const end = (): void => {
    if (stopping) return;
    stopping = true;
    clearTimeout(timeUp);
    shiftEnds.end();
    for (const { pauses } of lives) pauses.end();
    breakOff = setTimeout(() => client.abort(), leavingMs() + LOG_OFF_MS);
    markEnded();
  };
  const timeUp = setTimeout(end, forMs);

  const lives: Life[] = [];
  const leavingMs = (): number => Math.min(MAX_LEAVING_MS, lives.length * LEAVING_MS_PER_AGENT);
  const live = async (index: number, afterMs: number, life: Omit<Life, 'ended'>): Promise<void> => {
    const user = nameOf(index);
    const random = seededRandom(seed * 100_003 + index);
    const { pauses } = life;
    const agent = new SoapAgent(user, run, habits, random, { client, record, pauses });
    await pauses.pause(afterMs);
    await agent.work(() => stopping || life.hasLeft);
    if (!life.hasLeft) await leaving.pause(random() * leavingMs());
    await agent.logOff();
  };
  const join = (count: number, rampMs: number): void => {
    if (stopping) return;
    bounded('agents', lives.length + count, 1, MAX_AGENTS);
    for (let joined = 0; joined < count; joined += 1) {
      const life = { pauses: new Pauses(), hasLeft: false };
      const ended = live(lives.length, (rampMs * joined) / count, life);
      lives.push(Object.assign(life, { ended }));
    }
  };
  const leave = async (count: number, overMs: number): Promise<void> => {
    const leavers = lives.filter(({ hasLeft }) => !hasLeft).slice(0, count);
    await Promise.all(
      leavers.map(async (life, turn) => {
        await shiftEnds.pause((overMs * turn) / leavers.length);
        life.hasLeft = true;
        life.pauses.end();
        await life.ended;
      }),
    );
  };
  options.signal?.addEventListener('abort', end, { once: true });
  if (options.signal?.aborted === true) end();
  join(options.agents, options.rampMs ?? options.agents * 10);
  const done = ended.then(async () => {
    await Promise.all(lives.map((life) => life.ended));
    clearTimeout(breakOff);
    options.signal?.removeEventListener('abort', end);
    return record.stats();
  });
  return {
    stats: () => record.stats(),
    places: () => record.places(),
    join,
    leave,
    stop: () => {
      end();
      return done;
    },
    done,
  };
}

function habitsOf(options: AgentsOptions): Omit<AgentHabits, 'colleague'> {
  if (options.urls.length === 0) throw new Error('urls: at least one is required');
  const urls = options.urls.map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol !== 'http:') throw new Error(`urls: ${text} is not an http URL`);
    if (options.allowRemote !== true && !LOOPBACK.test(url.hostname)) {
      throw new Error(
        `urls: ${text} is not on this machine; give --allow-remote if other hosts are to get the load`,
      );
    }
    return url;
  });
  const ratePerAgent = options.ratePerAgent ?? 0.5;
  bounded('ratePerAgent', ratePerAgent, 0.001, 1_000);
  const bodyBytes = options.bodyBytes ?? { min: 200, max: 4_000 };
  bounded('bodyBytes.max', bodyBytes.max, 0, 16 * 1024 * 1024);
  bounded('bodyBytes.min', bodyBytes.min, 0, bodyBytes.max);
  return {
    urls,
    ratePerAgent,
    withHeaders: options.withHeaders ?? true,
    dialect: DIALECTS[options.dialect ?? 'user'],
    objectMethods: options.objectMethods ?? options.withHeaders ?? true,
    mixedCase: options.mixedCase ?? false,
    bodyBytes,
    workPerLogon: options.workPerLogon ?? Number.POSITIVE_INFINITY,
    retryMs: options.retryMs ?? Number.POSITIVE_INFINITY,
  };
}

function bounded(name: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most)) throw new Error(`${name} must be from ${least} to ${most}`);
}
