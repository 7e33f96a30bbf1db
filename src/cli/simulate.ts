import type { AgentStats } from '../simulator/agent-stats.ts';
import { startAgents } from '../simulator/agents.ts';
import { startConnector } from '../simulator/connector.ts';
import { JOURNAL_VARIABLE } from '../simulator/connector-process.ts';
import type { DialectName } from '../simulator/dialects.ts';
import { LiveScreen } from '../simulator/live-screen.ts';
import { standardOutput } from './output.ts';

export interface SimulateConnectorOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly latencyMs: number;
  readonly maxBodyBytes?: number;
}

export interface SimulateAgentsOptions {
  readonly urls: string[];
  readonly agents: number;
  readonly forMs: number;
  /** Work steps per second and agent. */
  readonly ratePerAgent: number;
  /** Send the HTTP header fields of SAP Note 1640673. */
  readonly withHeaders: boolean;
  readonly dialect: DialectName;
  /** Print only the final figures, as JSON. */
  readonly json: boolean;
  /** Allow hosts other than this one. */
  readonly allowRemote?: boolean;
}

const PLAIN_PROGRESS_MS = 5_000;
const LIVE_PROGRESS_MS = 500;

/**
 * Runs a simulated connector until a signal, or the end of the parent process, ends
 * it. Prints `listening <url>` when it is ready.
 * Resolves with the exit code.
 */
export async function runSimulateConnector(options: SimulateConnectorOptions): Promise<number> {
  const journal = process.env[JOURNAL_VARIABLE];
  const connector = await startConnector({
    ...options,
    ...(journal === undefined ? {} : { journal: journal }),
    log: (line) => standardOutput().write(`${line}\n`),
  });
  const stopped = untilStopped();
  standardOutput().write(`listening ${connector.url}\n`);
  await stopped;
  await connector.close();
  return 0;
}

/** A child ignores Ctrl-C, which its parent handles. It detects the parent's end by the IPC channel. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    const child = process.send !== undefined;
    process.on('SIGINT', () => {
      if (!child) resolve();
    });
    process.once('SIGTERM', () => resolve());
    process.once('SIGHUP', () => resolve());
    if (child) process.once('disconnect', () => resolve());
    // The parent may have ended while this process was starting.
    if (child && !process.connected) resolve();
  });
}

/**
 * Runs simulated agents against one or several gateways, and reports the results.
 * Resolves with the exit code: 1 if an agent was split, if other bytes
 * arrived than were sent, or if no request was answered.
 */
export async function runSimulateAgents(options: SimulateAgentsOptions): Promise<number> {
  const { json, ...load } = options;
  const interrupted = new AbortController();
  // Only once: a second Ctrl-C ends the process at once, as usual.
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);

  const screen = new LiveScreen(json ? { write: () => undefined } : standardOutput());
  const running = startAgents({ ...load, signal: interrupted.signal });
  const progress = setInterval(
    () => {
      const line = progressLine(running.stats());
      if (screen.live) screen.frame([line]);
      else screen.line(line);
    },
    screen.live ? LIVE_PROGRESS_MS : PLAIN_PROGRESS_MS,
  );
  const stats = await running.done;
  clearInterval(progress);
  screen.close();
  process.off('SIGINT', interrupt);
  process.off('SIGTERM', interrupt);

  standardOutput().write(json ? `${JSON.stringify(stats)}\n` : summary(stats));
  return stats.splits === 0 && stats.corrupted === 0 && stats.answers > 0 ? 0 : 1;
}

function progressLine(stats: AgentStats): string {
  const seconds = (stats.elapsedMs / 1000).toFixed(0);
  return (
    `${seconds} s: ${stats.loggedOn} agents logged on (${list(stats.agentsByConnector)}), ` +
    `${stats.requests} requests, p99 ${stats.latency.p99Ms} ms, faults ${list(stats.faults)}, ` +
    `errors ${list(stats.errors)}, splits ${stats.splits}`
  );
}

function summary(stats: AgentStats): string {
  const { latency } = stats;
  const rate = ((stats.requests * 1000) / Math.max(1, stats.elapsedMs)).toFixed(0);
  const rows: [string, string][] = [
    [
      'requests',
      `${stats.requests} in ${(stats.elapsedMs / 1000).toFixed(1)} s (${rate}/s), ${stats.answers} answered`,
    ],
    ['answered by', list(stats.answersByConnector)],
    ['faults', list(stats.faults)],
    ['errors', list(stats.errors)],
    [
      'latency',
      `p50 ${latency.p50Ms} ms, p90 ${latency.p90Ms} ms, p99 ${latency.p99Ms} ms, max ${latency.maxMs} ms`,
    ],
    ['logons', `${stats.logons}, of them again ${stats.relogons}; logoffs ${stats.logoffs}`],
    ['corrupted', String(stats.corrupted)],
    [
      'splits',
      `${stats.splits}${stats.undecidedMoves > 0 ? `; undecided moves ${stats.undecidedMoves}` : ''}`,
    ],
  ];
  const examples = stats.splitExamples.map(
    ({ agent, first, second }) =>
      `  ${agent} was answered by ${first.connector} and by ${second.connector}\n`,
  );
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}\n`).join('') + examples.join('');
}

function list(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  return entries.length === 0 ? 'none' : entries.map(([name, count]) => `${name} ${count}`).join(', ');
}
