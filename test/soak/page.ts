import type { Account, Loss } from './account.ts';
import { clock, SLOW_MS } from './account.ts';
import type { Checked } from './checker.ts';
import type { Conducted } from './conduct.ts';
import { minutes } from './conduct.ts';
import type { Reading, Trend } from './sampler.ts';
import { groupedBy, levelOf } from './sampler.ts';
import type { Slope } from './slope.ts';
import type { Happened } from './windows.ts';
import { AFTER_MS, causeOf, NO_FAULT } from './windows.ts';

/** All that one run has shown. */
export interface Run {
  readonly seed: number;
  /** What it ran on. */
  readonly setUp: string;
  readonly agents: number;
  readonly logons: number;
  /** When all agents were logged on, and when the end began. */
  readonly from: number;
  readonly to: number;
  readonly isWhole: boolean;
  readonly account: Account;
  readonly checked: Checked;
  readonly conducted: Conducted;
  readonly happened: readonly Happened[];
  /** Agents who were not served again. */
  readonly stranded: readonly string[];
  readonly corrupted: number;
  /** The longest time for which the program of the agents and the balancer itself stood still. */
  readonly stalledMs: number;
  /** Why the balancer reset connections although there was no fault. */
  readonly resets: readonly string[];
  readonly readings: readonly Reading[];
  readonly trends: readonly Trend[];
  /** The gateway of which no process is ended. */
  readonly spared: string;
}

export interface Promised {
  readonly text: string;
  readonly isKept: boolean;
}

/** In a shorter second half a slope says nothing: processes still grow after their start. */
const LEAST_TREND_MS = 15 * 60_000;
const ROWS_OVER_TIME = 10;
const MOST_EXAMPLES = 5;
const CHILDREN = ['supervisor', 'controller', 'worker'];

export function promisesOf(run: Run): Promised[] {
  const { checked, account, conducted, stranded } = run;
  return [
    none(
      'splits',
      checked.splits.length,
      checked.splits.map(({ from, to }) => splitOf(from, to)),
    ),
    none('requests delivered twice', checked.repeated.length, checked.repeated),
    none(
      'requests delivered late, but for those of stopped and killed processes',
      checked.late.length,
      checked.late.map(({ id, instance, at }) => `${id} at ${instance} at ${clock(at)}`),
    ),
    none('requests changed on their way', run.corrupted, []),
    none('failures without a fault', account.unexplained.length, [...account.unexplained, ...run.resets]),
    none('agents not served again', stranded.length, stranded),
    none('faults or views that went wrong', conducted.problems.length, conducted.problems),
    none('answers that no instance has a record of', checked.unrecorded.length, checked.unrecorded),
    ...memoryPromises(run),
  ];
}

function memoryPromises({ trends, spared, from, to }: Run): Promised[] {
  const own = trends.filter(({ gateway, role }) => gateway === spared && CHILDREN.includes(role));
  if ((to - from) / 2 < LEAST_TREND_MS) return [];
  return own.flatMap(({ gateway, role, residentSlope, descriptorSlope }) => [
    notAbove(`memory of ${gateway}, ${role}, in MB a minute`, residentSlope),
    notAbove(`descriptors of ${gateway}, ${role}, by the minute`, descriptorSlope),
  ]);
}

function none(what: string, count: number, examples: readonly string[]): Promised {
  const some = examples.slice(0, MOST_EXAMPLES).map((one) => `\n  - ${one}`);
  return { text: `${what}: ${count}${some.join('')}`, isKept: count === 0 };
}

function notAbove(what: string, slope: Slope): Promised {
  return { text: `slope of the ${what}: ${intervalOf(slope)}`, isKept: slope.low <= 0 };
}

export function pageOf(run: Run): string {
  const { account, checked, conducted, happened, from, to } = run;
  const promises = promisesOf(run);
  const total = (run.agents * (to - from)) / 60_000;
  const lost = account.lostMs / 60_000;
  const agreed = conducted.agreedMs.filter(Number.isFinite);
  const { p50Ms, p99Ms, maxMs } = account.latency.summary();
  const calm = account.calmLatency.summary();
  return [
    `# Soak of ${minutes(to - from)}, seed ${run.seed}${run.isWhole ? '' : ' (ended early)'}`,
    '',
    `${run.setUp}.`,
    `${run.agents} agents, ${run.logons} log-ons, ${account.requests} requests, ${happened.length} faults${
      conducted.left === 0 ? '' : ` (time did not suffice for ${conducted.left} more)`
    }.`,
    '',
    '## Promises',
    '',
    ...promises.map(({ text, isKept }) => `- ${isKept ? 'kept' : 'BROKEN'}: ${text}`),
    '',
    '## Availability',
    '',
    ...table(
      ['', 'all', 'not answered', 'available'],
      [
        row('requests', account.requests, account.requests - account.answered),
        ['agent-minutes', total.toFixed(0), lost.toFixed(2), share(lost, total)],
      ],
    ),
    '',
    `An agent is without service from the begin of a request that fails until the next answer, from the request that shows a lost session until the agent is logged on again, and during an answer that takes more than ${SLOW_MS / 1_000} s.`,
    '',
    '## Lost by cause',
    '',
    `What a fault is blamed for began before it ended or up to ${AFTER_MS / 1_000} s later. Two names: both lasted then.`,
    '',
    ...lossTable(run),
    '',
    '## Deliveries',
    '',
    ...table(
      [
        'deliveries',
        'splits',
        'duplicates',
        'late',
        'late at or through stopped and killed processes',
        'agents moved',
      ],
      [
        [
          checked.deliveries,
          checked.splits.length,
          checked.repeated.length,
          checked.late.length,
          checked.lateAsDocumented,
          checked.moved,
        ].map(String),
      ],
    ),
    '',
    `One view at all gateways after each fault: at most ${ms(Math.max(0, ...agreed))} after its end.`,
    '',
    '## Answers',
    '',
    `All: p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, slowest ${ms(maxMs)}. Without a fault near: p50 ${ms(calm.p50Ms)}, p99 ${ms(calm.p99Ms)}, slowest ${ms(calm.maxMs)}. The program that sends the requests and balances the connections stood still for at most ${ms(run.stalledMs)}.`,
    '',
    ...table(
      ['slowest', 'agent', 'method', 'begun at', 'fault'],
      account.slowest.map(({ tookMs, agent, method, begunAt, cause }) => [
        ms(tookMs),
        agent,
        method,
        clock(begunAt),
        cause,
      ]),
    ),
    '',
    '## Memory and descriptors',
    '',
    ...overTime(run),
    '',
    `Over the second half, by process; the slope with its 95 % interval. Faults end processes of the other gateways: ${run.spared} is judged.`,
    '',
    ...trendTable(run.trends),
    '',
  ].join('\n');
}

function lossTable({ account, happened }: Run): string[] {
  const times = new Map<string, number>();
  for (const { kind } of happened) times.set(kind.name, (times.get(kind.name) ?? 0) + 1);
  const causes = new Set([...times.keys(), ...account.losses.keys()]);
  const rows = [...causes].map((cause) => ({ cause, loss: account.losses.get(cause) }));
  return table(
    [
      'fault',
      'times',
      'agent-minutes',
      'refused',
      'broken',
      'slow',
      'logged on again',
      'slowest',
      'failures',
    ],
    rows
      // Of pairs, only those that cost something.
      .filter(({ cause, loss }) => times.has(cause) || hasCost(loss))
      .toSorted((a, b) => (b.loss?.lostMs ?? 0) - (a.loss?.lostMs ?? 0))
      .map(({ cause, loss }) => [
        cause,
        cause === NO_FAULT || cause.includes('+') ? '' : String(times.get(cause) ?? 0),
        ((loss?.lostMs ?? 0) / 60_000).toFixed(2),
        ...[loss?.refused, loss?.broken, loss?.slow, loss?.relogons].map((count) => String(count ?? 0)),
        ms(loss?.slowestMs ?? 0),
        [...(loss?.failures ?? [])].map(([code, count]) => `${count} ${code}`).join(', '),
      ]),
  );
}

function hasCost(loss: Loss | undefined): boolean {
  return loss !== undefined && loss.refused + loss.broken + loss.slow + loss.relogons + loss.lostMs > 0;
}

function overTime({ readings, from, to }: Run): string[] {
  const gateways = [...new Set(readings.map(({ gateway }) => gateway))];
  const step = (to - from) / ROWS_OVER_TIME;
  const rows = Array.from({ length: ROWS_OVER_TIME }, (_, i) => {
    const [start, end] = [from + i * step, from + (i + 1) * step];
    const cells = gateways.map((name) => {
      const own = readings.filter(({ at, gateway }) => gateway === name && at >= start && at < end);
      const resident = levelOf(own, ({ residentBytes }) => residentBytes / 1e6);
      const descriptors = levelOf(own, (reading) => reading.descriptors);
      return own.length === 0 ? '–' : `${resident.toFixed(1)} MB, ${descriptors.toFixed(1)}`;
    });
    return [`${minutes(start - from)} to ${minutes(end - from)}`, ...cells];
  });
  return table(['all processes: memory, descriptors', ...gateways], rows);
}

function trendTable(trends: readonly Trend[]): string[] {
  const groups = groupedBy(trends, ({ role }) => role);
  const ordered = CHILDREN.flatMap((role) => groups.get(role) ?? []);
  return table(
    ['gateway', 'processes', 'MB, begin → end', 'MB a minute', 'descriptors, begin → end', 'by the minute'],
    ordered.map(({ gateway, role, processes, residentMb, descriptors, residentSlope, descriptorSlope }) => [
      `${gateway} ${role}`,
      String(processes),
      residentMb.map((value) => value.toFixed(1)).join(' → '),
      intervalOf(residentSlope),
      descriptors.map((value) => value.toFixed(1)).join(' → '),
      intervalOf(descriptorSlope),
    ]),
  );
}

/** The faults as they came, for a reader who looks for one. */
export function storyOf({ happened, from }: Pick<Run, 'happened' | 'from'>): string[] {
  return happened.map(
    (fault) =>
      `${minutes(fault.from - from)} (${clock(fault.from)}) ${fault.title}, over after ${ms((fault.to ?? fault.from) - fault.from)}; ${causeOf([fault])}`,
  );
}

/** All splits and late deliveries, of which the page has the first few. */
export function findingsOf({ checked }: Pick<Run, 'checked'>): string[] {
  return [
    ...checked.splits.map(({ from, to }) => `split: ${splitOf(from, to)}`),
    ...checked.late.map(({ id, instance, at }) => `late: ${id} at ${instance} at ${clock(at)}`),
  ];
}

function row(what: string, all: number, lost: number): string[] {
  return [what, String(all), String(lost), share(lost, all)];
}

function share(lost: number, all: number): string {
  return all === 0 ? '–' : `${(100 * (1 - lost / all)).toFixed(3)} %`;
}

function intervalOf({ slope, low, high }: Slope): string {
  if (!Number.isFinite(low)) return 'too few samples';
  return `${slope.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
}

function ms(value: number): string {
  return value < 1_000 ? `${Math.round(value)} ms` : `${(value / 1_000).toFixed(1)} s`;
}

function splitOf(
  from: { readonly agent: string; readonly instance: string; readonly at: number },
  to: { readonly instance: string; readonly at: number },
): string {
  return `${from.agent} at ${from.instance} at ${clock(from.at)}, at ${to.instance} at ${clock(to.at)}`;
}

/** Markdown. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}
