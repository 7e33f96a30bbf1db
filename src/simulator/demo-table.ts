import type { AgentStats } from './agent-stats.ts';
import type { GatewayReport } from './gateway-process.ts';
import type { LiveScreen } from './live-screen.ts';

/** The data of the demo's display at one moment. */
export interface DemoMoment {
  readonly seconds: number;
  readonly connectors: readonly { readonly name: string; readonly alive: boolean }[];
  readonly stats: AgentStats;
  readonly gateway: GatewayReport;
}

/** The live table, one string per line. */
export function demoTable(moment: DemoMoment, screen: LiveScreen): string[] {
  const { stats, gateway } = moment;
  const rows = moment.connectors.map(({ name, alive }) => {
    const health = gateway.health.get(name) ?? 'unknown';
    const state = alive ? health : 'killed';
    const padded = state.padEnd(10);
    const shown = !alive || health === 'down' ? screen.paint('red', padded) : screen.paint('green', padded);
    const agents = stats.agentsByConnector[name] ?? 0;
    const answers = stats.answersByConnector[name] ?? 0;
    return `  ${name.padEnd(11)} ${shown} ${String(agents).padStart(6)} ${String(answers).padStart(9)}   ${bar(agents)}`;
  });
  const { latency } = stats;
  return [
    '',
    screen.paint('bold', '  connector   state      agents   answers'),
    ...rows,
    '',
    `  requests    ${stats.requests}, at ${perSecond(stats)}/s`,
    `  latency     p50 ${latency.p50Ms} ms, p99 ${latency.p99Ms} ms, max ${latency.maxMs} ms`,
    `  decisions   ${listed(Object.fromEntries(gateway.decisions))}`,
    `  faults      ${listed(stats.faults)}`,
    `  splits      ${stats.splits === 0 ? '0' : screen.paint('red', String(stats.splits))}`,
    screen.paint('dim', `  ${moment.seconds.toFixed(0)} s; Ctrl-C ends the demo`),
  ];
}

/** The same in one line, for output that is not a terminal. */
export function demoLine(moment: DemoMoment): string {
  const { stats, gateway } = moment;
  const agents = moment.connectors
    .map(({ name, alive }) => `${name} ${alive ? (stats.agentsByConnector[name] ?? 0) : 'killed'}`)
    .join(', ');
  return (
    `${moment.seconds.toFixed(1).padStart(5)} s  agents: ${agents}; requests ${stats.requests}, ` +
    `p99 ${stats.latency.p99Ms} ms; decisions: ${listed(Object.fromEntries(gateway.decisions))}`
  );
}

const MAX_BAR = 40;

function bar(agents: number): string {
  return '▪'.repeat(Math.min(MAX_BAR, agents));
}

function perSecond({ requests, elapsedMs }: AgentStats): string {
  return ((requests * 1000) / Math.max(1, elapsedMs)).toFixed(0);
}

function listed(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  return entries.length === 0 ? 'none' : entries.map(([name, count]) => `${name} ${count}`).join(', ');
}
