import { Histogram } from '../../src/simulator/histogram.ts';
import type { Outcome } from '../support/load.ts';
import { post, users } from '../support/load.ts';

/** The results of the requests of one drill, for the clients. */
export interface LoadReport {
  readonly requests: number;
  /** Requests per second that were really sent. */
  readonly perSecond: number;
  /** Connections that were refused. */
  readonly refused: number;
  /** Other failures, except those of connections of a killed process. */
  readonly failed: number;
  /** Failed requests whose connection belonged to a killed process. */
  readonly cut: number;
  /** Agents that another instance answered than before, although theirs stayed. */
  readonly moved: number;
  /** Of the requests that were sent while something was killed or replaced, as {@link slowestMs}. */
  readonly p99Ms: number;
  /** Of those that were sent before anything was. */
  readonly calmP99Ms: number;
  readonly slowestMs: number;
  /** The agent of the request, and the time until it was connected. */
  readonly slowest: string;
  /** The first failures, in words. */
  readonly examples: readonly string[];
}

/** What happens while a request is sent. The latency of one that is sent meanwhile does not count. */
export type Phase = 'calm' | 'struck' | 'meanwhile';

export interface SteadyLoad {
  /** Of the requests that are sent from now on; at first `meanwhile`. */
  phase: Phase;
  /** The failures so far that count, including refusals. */
  readonly misses: number;
  /** Records the connections, by client port, of a process that is killed now. */
  excuse(ports: ReadonlySet<number>): void;
  /** Stops sending; resolves when the last request has ended. */
  stop(): Promise<LoadReport>;
}

export interface SteadyLoadOptions {
  readonly url: string;
  readonly perSecond: number;
  readonly agents?: number;
  /** Instances whose agents have no reason to be moved. */
  readonly staying: ReadonlySet<string>;
}

// Longer than any wait that a gateway allows.
const GIVE_UP_MS = 70_000;
const TICK_MS = 5;
// Requests that are due after a pause of this process are sent at once, but no more than those of a quarter of a second.
const CATCH_UP_MS = 250;
const MOST_EXAMPLES = 8;

/** Like SAP CRM: a new TCP connection for each request, sent when it is due, however long the earlier ones take. */
export function startSteadyLoad({ url, perSecond, agents = 100, staying }: SteadyLoadOptions): SteadyLoad {
  const names = users(agents, 'DRILL');
  const served = new Map<string, string>();
  const latencies = { calm: new Histogram(), struck: new Histogram() };
  const underWay = new Set<Promise<void>>();
  const excused = new Map<number, number>();
  const examples: string[] = [];
  const counts = { requests: 0, refused: 0, failed: 0, cut: 0, moved: 0 };
  let slowest: Outcome | undefined;

  const record = (outcome: Outcome, phase: Phase): void => {
    const { user, status, connector, error, port, startedAt, durationMs } = outcome;
    if (status === 200 && connector !== undefined) {
      if (phase === 'struck' && durationMs > (slowest?.durationMs ?? 0)) slowest = outcome;
      if (phase !== 'meanwhile') latencies[phase].record(durationMs);
      const before = served.get(user);
      if (before !== undefined && before !== connector && staying.has(before)) {
        counts.moved += 1;
        note(`${user} was moved from ${before} to ${connector}`);
      }
      served.set(user, connector);
      return;
    }
    const killedAt = port === undefined ? undefined : excused.get(port);
    if (status === 0 && killedAt !== undefined && killedAt >= startedAt) counts.cut += 1;
    else {
      counts[error === 'ECONNREFUSED' ? 'refused' : 'failed'] += 1;
      const what = status === 0 ? error : `${status} ${outcome.code ?? ''}`;
      note(`${nameOf(outcome)}: ${what} after ${Math.round(durationMs)} ms`);
    }
  };
  const note = (text: string): void => {
    if (examples.length < MOST_EXAMPLES) examples.push(text);
  };

  const startedAt = performance.now();
  const every = 1_000 / perSecond;
  let dueAt = startedAt;
  const timer = setInterval(() => {
    const now = performance.now();
    dueAt = Math.max(dueAt, now - CATCH_UP_MS);
    for (; dueAt <= now; dueAt += every) {
      const user = names[counts.requests % names.length] as string;
      counts.requests += 1;
      const { phase } = load;
      const running = post(url, user, {}, 'getAttributes', { giveUpMs: GIVE_UP_MS }).then((outcome) => {
        record(outcome, phase);
        underWay.delete(running);
      });
      underWay.add(running);
    }
  }, TICK_MS);

  const load: SteadyLoad = {
    phase: 'meanwhile',
    get misses() {
      return counts.refused + counts.failed;
    },
    excuse: (ports) => {
      const now = performance.now();
      for (const port of ports) excused.set(port, now);
    },
    stop: async () => {
      clearInterval(timer);
      const seconds = (performance.now() - startedAt) / 1_000;
      await Promise.all(underWay);
      return {
        ...counts,
        perSecond: counts.requests / seconds,
        p99Ms: latencies.struck.quantile(0.99),
        calmP99Ms: latencies.calm.quantile(0.99),
        slowestMs: latencies.struck.summary().maxMs,
        slowest: slowest === undefined ? 'none' : described(slowest),
        examples,
      };
    },
  };
  return load;
}

function nameOf({ user, startedAt, port }: Outcome): string {
  const at = new Date(performance.timeOrigin + startedAt).toISOString();
  return `${user} at ${at}, from port ${port ?? 'none'}`;
}

function described(outcome: Outcome): string {
  const { durationMs, connectedMs = 0 } = outcome;
  return `${nameOf(outcome)}: ${Math.round(durationMs)} ms, of which ${Math.round(connectedMs)} until it was connected`;
}
