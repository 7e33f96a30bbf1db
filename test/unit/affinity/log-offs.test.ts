import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BindingCache } from '../../../src/affinity/binding-cache.ts';
import { LogOffs } from '../../../src/affinity/log-offs.ts';
import { RecentInvalidations } from '../../../src/affinity/recent-invalidations.ts';
import { StoreMonitor } from '../../../src/affinity/store-monitor.ts';
import { WriteBackQueue } from '../../../src/affinity/write-back-queue.ts';
import type { Visit } from '../../../src/core/agent-bindings.ts';
import type { Binding } from '../../../src/core/binding.ts';
import type { AffinityStore } from '../../../src/core/ports.ts';

const GRACE_MS = 30_000;
const ROOT = { kind: 'user', value: 'MILLER' } as const;
const BINDING: Binding = { root: ROOT, instance: 'a', incarnation: '1', generation: 1 };
const HEARD = { generation: 2, endsInMs: GRACE_MS, ageMs: 5 };

describe('a gateway with an agent who logs off', () => {
  let logOffs: LogOffs;
  /** What the store is asked. */
  let asked: string[];
  let answer: Binding | undefined;
  /** How long the store takes for each log-off, in ms; nothing by default. */
  let delays: number[];

  beforeEach(() => {
    // On a busy machine, the store would seem slow.
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] });
    asked = [];
    delays = [];
    answer = { ...BINDING, generation: 2 };
    const cache = new BindingCache({ maxEntries: 10, idleLifetimeMs: 3_600_000 });
    cache.put([ROOT], BINDING, { askedAt: performance.now(), epoch: 1 });
    const store: Partial<AffinityStore> = {
      logOff: async ({ generation }, { isAgain }) => {
        asked.push(`log off #${generation}${isAgain ? ' again' : ''}`);
        const ms = delays.shift();
        if (ms !== undefined) await new Promise((resolve) => setTimeout(resolve, ms));
        return answer && { ...BINDING, generation: generation + 1 };
      },
    };
    logOffs = new LogOffs({
      store: store as AffinityStore,
      cache,
      queue: new WriteBackQueue(),
      monitor: new StoreMonitor({ onOperation: () => {} }),
      seesRequests: true,
      newsWithinMs: 7_000,
      invalidations: new RecentInvalidations(),
      renew: async () => void asked.push('renew'),
    });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  /** A request of the agent that the instance has answered. */
  const visit = (): Visit => {
    const begun = logOffs.begin(BINDING) as Visit;
    logOffs.end(begun);
    return begun;
  };

  test('tells the store', async () => {
    await logOffs.logOff(visit(), GRACE_MS);

    expect(asked).toEqual(['log off #1']);
  });

  test('does not take the log-off for a sign of life, when another gateway was first', async () => {
    answer = undefined;
    await logOffs.logOff(visit(), GRACE_MS);

    logOffs.heard(ROOT, HEARD);

    expect(asked).toEqual(['log off #1']);
  });

  test('keeps the binding if news of the log-off comes during a request', () => {
    logOffs.begin(BINDING);

    logOffs.heard(ROOT, HEARD);

    expect(asked).toEqual(['renew']);
  });

  test('asks the store to keep the binding if news of the log-off comes right after a request', () => {
    visit();

    logOffs.heard(ROOT, HEARD);

    expect(asked).toEqual(['renew']);
  });

  test.each([
    ['asks the store to keep the binding', 'may be that late', 6_900, ['renew']],
    ['does nothing', 'cannot be that late', 7_100, []],
  ])('%s if a request ended before the news, which %s', (_, __, ms, expected) => {
    visit();
    vi.advanceTimersByTime(ms);

    logOffs.heard(ROOT, HEARD);

    expect(asked).toEqual(expected);
    // News is rarely that late, so the agent's next request probably follows the log-off.
    expect(logOffs.begin(BINDING)?.followsLogOff).toBe(true);
  });

  test('does nothing at news of an agent without requests', () => {
    logOffs.heard(ROOT, HEARD);

    expect(asked).toEqual([]);
  });

  test('does not end the binding if a later request has begun', async () => {
    const first = visit();
    visit();

    await logOffs.logOff(first, GRACE_MS);

    expect(asked).toEqual([]);
  });

  test('does not end the binding if another request was under way, which may have overtaken the log-off', async () => {
    logOffs.begin(BINDING);

    await logOffs.logOff(visit(), GRACE_MS);

    expect(asked).toEqual([]);
  });

  test('ends the binding when all log-offs are answered that overlap, and none of them is a sign of life', async () => {
    const [first, second] = [logOffs.begin(BINDING), logOffs.begin(BINDING)] as [Visit, Visit];
    for (const one of [first, second]) logOffs.end(one);
    await logOffs.logOff(first, GRACE_MS);
    expect(asked).toEqual([]);

    await logOffs.logOff(second, GRACE_MS);
    logOffs.heard(ROOT, HEARD);

    expect(asked).toEqual(['log off #1']);
  });

  const AGAIN = ['log off #1', 'log off #2 again', 'log off #3 again', 'log off #4 again'];

  test.each([
    ['is sent again if the store took longer than it was dated back', [10], AGAIN.slice(0, 2)],
    ['is sent again when the store may be quicker', [10, 50, 310], AGAIN],
    ['is undone if the store stays slow', [10, 50, 310, 310, 310], [...AGAIN, 'log off #5 again', 'renew']],
  ])('%s', async (_, took, expected) => {
    delays = [...took];
    const ending = logOffs.logOff(visit(), GRACE_MS);
    await vi.advanceTimersByTimeAsync(4_000);
    await ending;

    expect(asked).toEqual(expected);
  });

  test('is undone, and not sent again, if a request comes while it waits until the store is quicker', async () => {
    delays = [10, 50, 310];
    const ending = logOffs.logOff(visit(), GRACE_MS);
    await vi.advanceTimersByTimeAsync(400);
    expect(asked).toEqual(AGAIN.slice(0, 3));
    visit();
    await vi.advanceTimersByTimeAsync(400);
    await ending;

    expect(asked).toEqual([...AGAIN.slice(0, 3), 'renew']);
  });

  test('is undone if the process ends while it waits', async () => {
    delays = [10, 50, 310];
    const ending = logOffs.logOff(visit(), GRACE_MS);
    await vi.advanceTimersByTimeAsync(400);

    await logOffs.close();

    expect(asked).toEqual([...AGAIN.slice(0, 3), 'renew']);
    await ending;
  });

  test('is undone before it could end a binding with a short grace', async () => {
    delays = [10, 50, 310];
    const ending = logOffs.logOff(visit(), 1_000);
    await vi.advanceTimersByTimeAsync(1_000);
    await ending;

    expect(asked).toEqual([...AGAIN.slice(0, 3), 'renew']);
  });

  test('that was answered very late keeps the binding, because nothing is known of other requests', async () => {
    const begun = logOffs.begin(BINDING) as Visit;
    vi.advanceTimersByTime(31_000);
    logOffs.end(begun);

    await logOffs.logOff(begun, GRACE_MS);

    expect(asked).toEqual([]);
  });

  test('keeps the binding if a request comes while the store is told', async () => {
    const ending = logOffs.logOff(visit(), GRACE_MS);
    visit();

    await ending;

    expect(asked).toEqual(['log off #1', 'renew']);
  });

  test('does not end the binding of an agent who was moved meanwhile', async () => {
    const elsewhere = logOffs.begin({ ...BINDING, instance: 'b' }) as Visit;
    logOffs.end(elsewhere);

    await logOffs.logOff(elsewhere, GRACE_MS);

    expect(asked).toEqual([]);
  });
});
