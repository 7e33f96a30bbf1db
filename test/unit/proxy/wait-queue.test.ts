import { describe, expect, test } from 'vitest';
import { WaitQueue } from '../../../src/proxy/wait-queue.ts';

describe('a wait queue', () => {
  test('wakes one at a time, the longest waiting first, and reports when none waits', async () => {
    const room = new WaitQueue(3);
    const woken: number[] = [];
    const waits = [1, 2, 3].map((i) => room.enter(10_000)?.promise.then(() => woken.push(i)));
    expect([room.wakeOne(), room.wakeOne(), room.wakeOne(), room.wakeOne()]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    await Promise.all(waits);
    expect(woken).toEqual([1, 2, 3]);
  });

  test('never wakes a cancelled one, so no wake-up is lost', async () => {
    const room = new WaitQueue(3);
    const first = room.enter(10_000);
    const second = room.enter(10_000);
    first?.cancel();
    expect(room.wakeOne()).toBe(true);
    expect([await first?.promise, await second?.promise]).toEqual(['cancelled', 'changed']);
    expect(room.wakeOne()).toBe(false);
  });

  test('takes none beyond its limit, and takes one again when another has gone', async () => {
    const room = new WaitQueue(1);
    const first = room.enter(10_000);
    expect(room.enter(10_000)).toBeUndefined();
    first?.cancel();
    expect(await first?.promise).toBe('cancelled');
    const last = room.enter(0);
    expect(await last?.promise).toBe('timeout');
    expect(room.size).toBe(0);
  });
});
