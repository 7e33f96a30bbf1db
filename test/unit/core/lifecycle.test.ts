import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LifecycleEvent, LifecycleState } from '../../../src/core/lifecycle.ts';
import { INITIAL, isStopping, planStop, stateOf, transition } from '../../../src/core/lifecycle.ts';
import { Lifecycle } from '../../../src/process/lifecycle-driver.ts';

const stateAfter = (...events: LifecycleEvent[]): LifecycleState =>
  stateOf(events.reduce(transition, INITIAL));

describe('the states', () => {
  test('follow each other from the start to the end', () => {
    expect(stateAfter()).toBe('Starting');
    expect(stateAfter('settled')).toBe('Running');
    expect(stateAfter('settled', 'stop')).toBe('Stopping');
    expect(stateAfter('settled', 'stop', 'drain')).toBe('Draining');
    expect(stateAfter('settled', 'stop', 'drain', 'end')).toBe('Stopped');
    expect(stateAfter('stop', 'drain', 'end')).toBe('Stopped');
  });

  test('are not skipped', () => {
    expect(stateAfter('drain')).toBe('Starting');
    expect(stateAfter('settled', 'end')).toBe('Running');
    expect(stateAfter('settled', 'stop', 'end')).toBe('Stopping');
  });

  test('maintenance hides the progress of the start, which goes on meanwhile', () => {
    expect(stateAfter('maintain')).toBe('Maintenance');
    expect(stateAfter('maintain', 'resume')).toBe('Starting');
    expect(stateAfter('maintain', 'settled')).toBe('Maintenance');
    expect(stateAfter('maintain', 'settled', 'resume')).toBe('Running');
  });

  test('a stop is shown in maintenance too, which lasts until the end', () => {
    const stopping = ['settled', 'maintain', 'stop'] as const;
    expect(stateAfter(...stopping)).toBe('Stopping');
    expect(stopping.reduce(transition, INITIAL).inMaintenance).toBe(true);
    expect(transition(stopping.reduce(transition, INITIAL), 'resume').inMaintenance).toBe(true);
  });

  test('no event leads out of a stop, or back to an earlier phase', () => {
    const order = ['Starting', 'Running', 'Stopping', 'Draining', 'Stopped'];
    const events = fc.constantFrom<LifecycleEvent>('settled', 'maintain', 'resume', 'stop', 'drain', 'end');
    fc.assert(
      fc.property(fc.array(events, { maxLength: 30 }), (history) => {
        let life = INITIAL;
        for (const event of history) {
          const next = transition(life, event);
          expect(order.indexOf(next.phase)).toBeGreaterThanOrEqual(order.indexOf(life.phase));
          if (isStopping(life)) expect(stateOf(next)).not.toBe('Maintenance');
          expect(transition(next, event)).toBe(next);
          life = next;
        }
      }),
    );
  });
});

describe('the plan of a stop', () => {
  test('accepts for the poll interval, and never beyond the end', () => {
    expect(planStop(100, { pollInterval: 5, timeout: 30 })).toEqual({ drainAt: 105, endAt: 130 });
    expect(planStop(100, { pollInterval: 50, timeout: 30 })).toEqual({ drainAt: 130, endAt: 130 });
  });

  test('a second stop only shortens it', () => {
    const plan = planStop(100, { pollInterval: 5, timeout: 30 });
    expect(planStop(102, { pollInterval: 0, timeout: 60 }, plan)).toEqual({ drainAt: 102, endAt: 130 });
    expect(planStop(110, { pollInterval: 5, timeout: 0 }, plan)).toEqual({ drainAt: 105, endAt: 110 });
    expect(planStop(101, { pollInterval: 50, timeout: 60 }, plan)).toEqual(plan);
  });
});

describe('the life cycle in real time', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function lead(
    options: { statusPollInterval?: number; maxInitTime?: number; shutdownTimeout?: number } = {},
  ) {
    const story: string[] = [];
    const lifecycle = new Lifecycle({
      statusPollInterval: 0,
      maxInitTime: 120_000,
      shutdownTimeout: 60_000,
      ...options,
      onState: (state, why) => story.push(`${state}: ${why}`),
    });
    return { lifecycle, story };
  }

  /** A drain that lasts until the test ends it or it is aborted. */
  function drain() {
    let finish = (): void => {};
    const calls: number[] = [];
    let wasCut = false;
    const run = (graceMs: number, cut: AbortSignal): Promise<void> => {
      calls.push(graceMs);
      return new Promise((resolve) => {
        finish = resolve;
        cut.addEventListener('abort', () => {
          wasCut = true;
          resolve();
        });
      });
    };
    return { run, calls, finish: () => finish(), wasCut: () => wasCut };
  }

  test('starts when every instance was probed', async () => {
    const { lifecycle, story } = lead();
    lifecycle.settled();
    await vi.advanceTimersByTimeAsync(200_000);
    expect(story).toEqual(['Running: every instance was probed']);
  });

  test('starts when the time for the probes is over', async () => {
    const { lifecycle, story } = lead({ maxInitTime: 5_000 });
    await vi.advanceTimersByTimeAsync(4_999);
    expect(lifecycle.state).toBe('Starting');
    await vi.advanceTimersByTimeAsync(1);
    expect(lifecycle.state).toBe('Running');
    lifecycle.settled();
    expect(story).toEqual(['Running: lifecycle.maxInitTime is over']);
  });

  test('a stop leaves Running at once, accepts for the poll interval, and ends with the drain', async () => {
    const { lifecycle, story } = lead({ statusPollInterval: 3_000 });
    const draining = drain();
    lifecycle.settled();
    const stopped = lifecycle.stop('SIGTERM', {}, draining.run);
    expect(lifecycle.state).toBe('Stopping');
    await vi.advanceTimersByTimeAsync(2_999);
    expect(draining.calls).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(lifecycle.state).toBe('Draining');
    expect(draining.calls).toEqual([57_000]);
    draining.finish();
    await stopped;
    expect(draining.wasCut()).toBe(false);
    expect(story.slice(1)).toEqual(['Stopping: SIGTERM', 'Draining: SIGTERM', 'Stopped: SIGTERM']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a stop without a poll interval stops accepting in the same turn', async () => {
    const { lifecycle } = lead();
    const draining = drain();
    const stopped = lifecycle.stop('SIGTERM', { timeout: 10 }, draining.run);
    await Promise.resolve();
    expect(draining.calls).toEqual([10]);
    await vi.advanceTimersByTimeAsync(10);
    await stopped;
  });

  test('requests that still drain when the time is over are aborted', async () => {
    const { lifecycle } = lead({ shutdownTimeout: 1_000 });
    const draining = drain();
    const stopped = lifecycle.stop('SIGTERM', {}, draining.run);
    await vi.advanceTimersByTimeAsync(999);
    expect(draining.wasCut()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(draining.wasCut()).toBe(true);
    await stopped;
    expect(lifecycle.state).toBe('Stopped');
  });

  test('a second stop shortens the first, and starts no second drain', async () => {
    const { lifecycle, story } = lead({ statusPollInterval: 10_000 });
    const draining = drain();
    const second = drain();
    const stopped = lifecycle.stop('SIGTERM', {}, draining.run);
    await vi.advanceTimersByTimeAsync(100);
    expect(lifecycle.stop('SIGINT', { pollInterval: 0 }, second.run)).toBe(stopped);
    await vi.advanceTimersByTimeAsync(0);
    expect(draining.calls).toEqual([59_900]);
    void lifecycle.stop('SIGINT', { timeout: 0 }, second.run);
    await vi.advanceTimersByTimeAsync(0);
    expect(draining.wasCut()).toBe(true);
    await stopped;
    expect(second.calls).toEqual([]);
    expect(story).toHaveLength(3);
  });

  test('a second stop prolongs nothing', async () => {
    const { lifecycle } = lead({ shutdownTimeout: 1_000 });
    const draining = drain();
    const stopped = lifecycle.stop('SIGTERM', {}, draining.run);
    await vi.advanceTimersByTimeAsync(500);
    void lifecycle.stop('again', { pollInterval: 9_000, timeout: 90_000 }, draining.run);
    await vi.advanceTimersByTimeAsync(500);
    await stopped;
    expect(draining.wasCut()).toBe(true);
  });

  test('a drain that ignores the abort does not keep the gateway from ending', async () => {
    const { lifecycle } = lead({ shutdownTimeout: 1_000 });
    const stopped = lifecycle.stop('SIGTERM', {}, () => new Promise(() => {}));
    await vi.advanceTimersByTimeAsync(3_000);
    await stopped;
    expect(lifecycle.state).toBe('Stopped');
  });

  test('a failed drain is reported after the end', async () => {
    const { lifecycle } = lead();
    await expect(
      lifecycle.stop('SIGTERM', {}, () => Promise.reject(new Error('could not drain'))),
    ).rejects.toThrow('could not drain');
    expect(lifecycle.state).toBe('Stopped');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('maintenance can be switched until the gateway stops', async () => {
    const { lifecycle, story } = lead();
    lifecycle.settled();
    expect(lifecycle.maintain(true, 'new release, by OPS1')).toBe(true);
    expect([lifecycle.state, lifecycle.inMaintenance]).toEqual(['Maintenance', true]);
    expect(lifecycle.maintain(true, 'again')).toBe(true);
    expect(lifecycle.maintain(false, 'done')).toBe(true);
    expect(lifecycle.state).toBe('Running');
    await lifecycle.stop('SIGTERM', {}, async () => {});
    expect(lifecycle.maintain(true, 'too late')).toBe(false);
    expect(story.slice(1, 3)).toEqual(['Maintenance: new release, by OPS1', 'Running: done']);
  });
});
