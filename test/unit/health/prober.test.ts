import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { HealthRecord, Observation } from '../../../src/core/health.ts';
import { observe, UNOBSERVED } from '../../../src/core/health.ts';
import { Prober } from '../../../src/health/prober.ts';

const OPTIONS = {
  intervalMs: 2_000,
  fastIntervalMs: 250,
  timeoutMs: 1_000,
  jitter: 0,
  settleTimeoutMs: 10_000,
};
const PASS: Observation = { passed: true };
const FAIL: Observation = { passed: false, reason: 'ECONNREFUSED' };

let answer: () => Promise<Observation>;
let startedAt: number[];
let running: number;
let mostAtOnce: number;
let record: HealthRecord;
let settledAt: number | undefined;
let passedSuspects: number;
let silence: number;
let prober: Prober;

beforeEach(() => {
  vi.useFakeTimers();
  answer = async () => PASS;
  startedAt = [];
  running = mostAtOnce = passedSuspects = silence = 0;
  record = UNOBSERVED;
  settledAt = undefined;
  prober = new Prober({
    ...OPTIONS,
    probes: new Map([
      [
        'a',
        async () => {
          startedAt.push(performance.now());
          running += 1;
          mostAtOnce = Math.max(mostAtOnce, running);
          const observation = await answer();
          running -= 1;
          return observation;
        },
      ],
    ]),
    epoch: () => 1,
    onObservation: (_id, { passed }) => {
      record = observe(record, passed, { rise: 2, fall: 3 });
      return record;
    },
    onSettled: () => {
      settledAt ??= performance.now();
    },
    onSuspectPassed: () => {
      passedSuspects += 1;
    },
    silenceOf: () => silence,
  });
});

afterEach(() => {
  prober.stop();
  vi.useRealTimers();
});

const advance = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const gaps = (): number[] => startedAt.slice(1).map((at, i) => Math.round(at - (startedAt[i] as number)));
const until = (ms: number, observation: Observation) => (): Promise<Observation> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(observation), ms);
  });

describe('probes of one instance', () => {
  test('begin at once and continue at the interval', async () => {
    prober.start();
    await advance(6_100);
    expect(gaps()).toEqual([2_000, 2_000, 2_000]);
  });

  test.each([
    [0, 1_800],
    [0.5, 2_000],
    [1, 2_200],
  ])('are jittered: at chance %d the interval of 2 s is %d ms', async (chance, expected) => {
    const times: number[] = [];
    const jittered = new Prober({
      ...OPTIONS,
      jitter: 0.1,
      random: () => chance,
      probes: new Map([
        [
          'a',
          async () => {
            times.push(performance.now());
            return PASS;
          },
        ],
      ]),
      epoch: () => 1,
      onObservation: () => UNOBSERVED,
      onSettled: () => {},
      onSuspectPassed: () => {},
      silenceOf: () => 0,
    });
    jittered.start();
    await advance(2_300);
    jittered.stop();
    expect(Math.round((times[1] as number) - (times[0] as number))).toBe(expected);
  });

  test('come at the fast interval after a first failure, until the verdict', async () => {
    prober.start();
    await advance(1_999);
    answer = async () => FAIL;
    await advance(601);
    expect(gaps()).toEqual([2_000, 250, 250]);
    expect(record.state).toBe('down');
    await advance(3_800);
    expect(gaps().slice(3)).toEqual([2_000]);
  });

  test('come at once after a failure of real traffic, which itself does not count', async () => {
    prober.start();
    await advance(700);
    answer = async () => FAIL;
    prober.hasten('a');
    await advance(501);
    expect(gaps()).toEqual([700, 250, 250]);
    expect(record.state).toBe('down');
  });

  test('are not multiplied by many failures of real traffic', async () => {
    prober.start();
    await advance(700);
    for (let i = 0; i < 500; i += 1) prober.hasten('a');
    await advance(10);
    expect(startedAt.length).toBe(2);
    for (let i = 0; i < 500; i += 1) prober.hasten('a');
    await advance(200);
    expect(startedAt.length).toBe(2);
    await advance(60);
    expect(startedAt.length).toBe(3);
  });

  test('never overlap, however slow the instance is', async () => {
    answer = until(3_000, PASS);
    prober.start();
    for (let i = 0; i < 40; i += 1) {
      prober.hasten('a');
      await advance(200);
    }
    expect(mostAtOnce).toBe(1);
  });

  test('come when real traffic waits without an answer', async () => {
    prober.start();
    await advance(300);
    silence = 260;
    await advance(260);
    expect(startedAt.length).toBe(2);
  });

  test('of a hung instance follow each other without a pause, so that three timeouts decide', async () => {
    prober.start();
    await advance(1_000);
    answer = until(1_000, FAIL);
    prober.hasten('a');
    await advance(3_010);
    expect(record.state).toBe('down');
  });

  test('wake waiting requests when a suspect instance passes', async () => {
    prober.start();
    await advance(500);
    prober.hasten('a');
    await advance(1);
    expect(passedSuspects).toBe(1);
    await advance(2_000);
    expect(passedSuspects).toBe(1);
  });
});

describe('a process that was late itself', () => {
  const TIMED_OUT: Observation = { passed: false, hasTimedOut: true };
  let lateMs: number;

  /** Simulates a busy event loop: the clock goes on, and the timers are late. */
  const standStill = (ms: number): void => {
    lateMs += ms;
  };

  beforeEach(async () => {
    lateMs = 0;
    const { now } = performance;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + lateMs);
    prober.start();
    await advance(1_999);
  });

  test('does not blame the instance for a time-out if it stood still', async () => {
    answer = until(400, TIMED_OUT);
    await advance(2);
    standStill(600);
    await advance(400);
    expect(record).toEqual({ state: 'up', streak: 0 });
    // It probes again at once.
    expect(startedAt).toHaveLength(3);
  });

  test('does not blame it after being a little late again and again', async () => {
    answer = until(700, TIMED_OUT);
    await advance(2);
    for (let i = 0; i < 6; i += 1) {
      standStill(90);
      await advance(100);
    }
    await advance(100);
    expect(record).toEqual({ state: 'up', streak: 0 });
  });

  test('blames it if the delays were a small part of the time', async () => {
    answer = until(700, TIMED_OUT);
    await advance(2);
    standStill(300);
    await advance(700);
    expect(record).toEqual({ state: 'up', streak: 1 });
  });

  test('blames it for an answer or a refused connection', async () => {
    answer = until(400, FAIL);
    await advance(2);
    standStill(600);
    await advance(400);
    expect(record).toEqual({ state: 'up', streak: 1 });
  });

  test('blames it if the delay came before the probe', async () => {
    standStill(5_000);
    await advance(1_000);
    answer = until(1_000, TIMED_OUT);
    prober.hasten('a');
    await advance(1_300);
    expect(record.streak).toBe(1);
  });
});

describe('the first round', () => {
  test('is over when every instance has answered', async () => {
    answer = until(400, PASS);
    prober.start();
    await advance(399);
    expect(settledAt).toBeUndefined();
    await advance(1);
    expect(settledAt).toBeDefined();
  });

  test('is over at its time limit when one does not', async () => {
    answer = until(60_000, PASS);
    prober.start();
    await advance(9_999);
    expect(settledAt).toBeUndefined();
    await advance(1);
    expect(settledAt).toBeDefined();
  });
});
