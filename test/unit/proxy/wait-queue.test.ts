import { describe, expect, test } from 'vitest';
import { WaitQueue } from '../../../src/proxy/wait-queue.ts';

const any = (): boolean => true;

describe('a wait queue', () => {
  test('wakes one at a time, the longest waiting first, and reports when none waits', async () => {
    const room = new WaitQueue(3);
    const woken: number[] = [];
    const waits = [1, 2, 3].map((i) => room.enter(10_000, 'sap')?.promise.then(() => woken.push(i)));
    expect([room.wakeOne(any), room.wakeOne(any), room.wakeOne(any), room.wakeOne(any)]).toEqual([
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
    const first = room.enter(10_000, 'sap');
    const second = room.enter(10_000, 'sap');
    first?.cancel();
    expect(room.wakeOne(any)).toBe(true);
    expect([await first?.promise, await second?.promise]).toEqual(['cancelled', 'changed']);
    expect(room.wakeOne(any)).toBe(false);
  });

  test('takes none beyond its limit, and takes one again when another has gone', async () => {
    const room = new WaitQueue(1);
    const first = room.enter(10_000, 'sap');
    expect(room.enter(10_000, 'sap')).toBeUndefined();
    first?.cancel();
    expect(await first?.promise).toBe('cancelled');
    const last = room.enter(0, 'sap');
    expect(await last?.promise).toBe('timeout');
    expect(room.size).toBe(0);
  });

  test('wakes clients in turns, so that one with many requests keeps no other one waiting', async () => {
    const room = new WaitQueue(10);
    const woken: string[] = [];
    const waits = ['flood', 'flood', 'flood', 'flood', 'sap', 'sap', 'other'].map((client) =>
      room.enter(10_000, client)?.promise.then(() => woken.push(client)),
    );
    while (room.wakeOne(any));
    await Promise.all(waits);
    expect(woken).toEqual(['flood', 'sap', 'other', 'flood', 'sap', 'flood', 'flood']);
    expect(room.size).toBe(0);
  });

  test('passes over clients that may not be woken, without a change of their turns', async () => {
    const room = new WaitQueue(10);
    const woken: string[] = [];
    const waits = ['flood', 'sap', 'other', 'flood'].map((client) =>
      room.enter(10_000, client)?.promise.then(() => woken.push(client)),
    );
    expect(room.wakeOne((client) => client === 'other')).toBe(true);
    expect(room.wakeOne(() => false)).toBe(false);
    while (room.wakeOne(any));
    await Promise.all(waits);
    expect(woken).toEqual(['other', 'flood', 'sap', 'flood']);
  });

  test('is full for the client that fills it, and takes others in its place, down to equal shares', async () => {
    const room = new WaitQueue(4);
    const flood = [1, 2, 3, 4].map(() => room.enter(10_000, 'flood'));
    expect(room.enter(10_000, 'flood')).toBeUndefined();
    const sap = [1, 2].map(() => room.enter(10_000, 'sap'));
    expect([await flood[3]?.promise, await flood[2]?.promise]).toEqual(['full', 'full']);
    expect(room.enter(10_000, 'sap')).toBeUndefined();
    expect(room.size).toBe(4);
    room.dismissAll();
    expect(await Promise.all([flood[0], flood[1], ...sap].map((one) => one?.promise))).toEqual(
      Array(4).fill('dismissed'),
    );
  });
});
