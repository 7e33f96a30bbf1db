import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CallMessage } from '../../../../src/process/ipc/calls.ts';
import { Workers } from '../../../../src/process/ipc/workers.ts';

const LOAD = { kind: 'load', load: { inFlight: 0, pools: new Map() } } as const;

let workers: Workers;
let asked: CallMessage[];
let isOver: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  isOver = false;
  workers = new Workers({
    send: (_, body) => void asked.push(body as CallMessage),
    leaseMs: 3_000,
    watchdogMs: 10_000,
    onMetrics: () => undefined,
    onGone: () => undefined,
    onHello: () => undefined,
  });
  workers.started('worker-1');
  void workers.writeBack('ici', 'generation').then(() => {
    isOver = true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('a worker that writes back its bindings', () => {
  test('is awaited as long as it sends messages', async () => {
    for (let second = 0; second < 5; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      workers.take('worker-1', LOAD);
    }
    expect(isOver).toBe(false);
    const [call] = asked;
    workers.take('worker-1', {
      kind: 'return',
      call: call?.kind === 'call' ? call.call : 0,
      value: undefined,
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(isOver).toBe(true);
  });

  test('is awaited while it is silent, because it may know agents that no other process knows', async () => {
    await vi.advanceTimersByTimeAsync(9_900);
    workers.take('worker-1', LOAD);
    await vi.advanceTimersByTimeAsync(9_900);
    expect(isOver).toBe(false);
  });

  test('is not awaited when the watchdog has ended it', async () => {
    await vi.advanceTimersByTimeAsync(9_900);
    workers.gone('worker-1');
    await vi.advanceTimersByTimeAsync(0);
    expect(isOver).toBe(true);
  });

  test('is not awaited without limit if the watchdog should have ended it and did not', async () => {
    await vi.advanceTimersByTimeAsync(12_100);
    expect(isOver).toBe(true);
  });

  test('is still awaited if the controller itself was paused', async () => {
    const now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => now + 10_000);
    await vi.advanceTimersByTimeAsync(300);
    expect(isOver).toBe(false);
  });
});
