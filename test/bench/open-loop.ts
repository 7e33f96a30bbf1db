import { Histogram } from '../../src/simulator/histogram.ts';
import type { ContenderName } from './contenders.ts';
import { contenderOf } from './contenders.ts';
import type { SectionReport } from './report.ts';
import { spread } from './report.ts';
import { AGENTS } from './requests.ts';
import type { Rounds } from './rounds.ts';
import { takeTurns } from './rounds.ts';
import type { Stage } from './started.ts';
import { judged } from './targets.ts';
import { ask, requestBytes } from './wire-client.ts';

/**
 * Latency in an open loop: requests come at a rate, whether or not earlier ones are answered, each on a new connection,
 * and a request that is sent late counts from when it should have been sent.
 */

interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

interface Case {
  readonly title: string;
  readonly perSecond: number;
  /** Another process keeps the contender's core busy. */
  readonly busy: boolean;
}

const CASES: readonly Case[] = [
  { title: '500/s', perSecond: 500, busy: false },
  { title: '1,000/s', perSecond: 1_000, busy: false },
  { title: '1,000/s, its core full', perSecond: 1_000, busy: true },
];
const CONTENDERS: readonly ContenderName[] = ['haproxy', 'floor', 'gateway'];
const SECONDS = 3;
const LEAD_IN_SECONDS = 4;
const MOST = 2;
export const OPEN_TURN_SECONDS = 2 + LEAD_IN_SECONDS + CASES.length * SECONDS;

export function openContenders(): ContenderName[] {
  return CONTENDERS.filter((name) => contenderOf(name).missing?.() === undefined);
}

export async function measureOpenLoop(stage: Omit<Stage, 'turn'>, rounds: Rounds): Promise<SectionReport> {
  let turn = 0;
  const turns = await takeTurns(openContenders(), rounds, (name) => {
    turn += 1;
    return latencies(name, { ...stage, turn: 20_000 + turn });
  });
  const rows = [...turns].flatMap(([name, all]) =>
    CASES.map(({ title }, i) => {
      const of = (pick: (latency: Latency) => number): number[] => all.map((one) => pick(one[i] as Latency));
      const failed = of((one) => one.failed).reduce((sum, one) => sum + one, 0);
      return [
        `${name}, ${title}`,
        ...spread(
          of(({ p50Ms }) => p50Ms),
          1,
        ),
        ...spread(
          of(({ p99Ms }) => p99Ms),
          1,
        ),
        String(failed),
      ];
    }),
  );
  const p99s = (name: ContenderName, i: number): number[] =>
    (turns.get(name) ?? []).map((one) => one[i]?.p99Ms as number);
  return {
    title: 'Latency in an open loop, a new TCP connection per request',
    rows: [['', 'p50 ms: min', 'median', 'max', 'p99 ms: min', 'median', 'max', 'failed'], ...rows],
    judged: CASES.flatMap(({ title, busy }, i) =>
      busy && turns.has('haproxy')
        ? [judged(`p99 at ${title}, gateway / haproxy`, p99s('gateway', i), p99s('haproxy', i), MOST)]
        : [],
    ),
    data: Object.fromEntries(turns),
  };
}

async function latencies(name: ContenderName, stage: Stage): Promise<Latency[]> {
  const { url, program } = await contenderOf(name).start(stage);
  try {
    const requests = Array.from({ length: AGENTS }, (_, agent) => requestBytes(url, agent));
    await openLoop(url, requests, CASES.at(-1)?.perSecond as number, LEAD_IN_SECONDS);
    const measured: Latency[] = [];
    for (const { perSecond, busy } of CASES) {
      const burner = busy ? stage.bench.startPinned([process.execPath, '-e', 'for (;;);']) : undefined;
      measured.push(await openLoop(url, requests, perSecond, SECONDS));
      await burner?.kill();
    }
    return measured;
  } finally {
    await program.kill();
  }
}

async function openLoop(
  url: string,
  requests: readonly Buffer[],
  perSecond: number,
  seconds: number,
): Promise<Latency> {
  const durations = new Histogram();
  const total = perSecond * seconds;
  const begunAt = performance.now();
  const underWay: Promise<void>[] = [];
  let failed = 0;
  const send = (number: number): void => {
    const dueAt = begunAt + (number * 1_000) / perSecond;
    const one = ask(url, requests[number % requests.length] as Buffer).then(
      () => durations.record(performance.now() - dueAt),
      () => {
        failed += 1;
      },
    );
    underWay.push(one);
  };
  await new Promise<void>((resolve) => {
    let sent = 0;
    const timer = setInterval(() => {
      const due = Math.min(total, ((performance.now() - begunAt) * perSecond) / 1_000);
      while (sent < due) {
        send(sent);
        sent += 1;
      }
      if (sent < total) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(underWay);
  return { p50Ms: durations.quantile(0.5), p99Ms: durations.quantile(0.99), failed };
}
