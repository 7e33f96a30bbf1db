import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Turns } from '../../../src/sockets/turns.ts';

describe('what arrives', () => {
  function recording(most = 1_000): {
    served: string[];
    dropped: string[];
    add: (...items: string[]) => void;
  } {
    const served: string[] = [];
    const dropped: string[] = [];
    const turns = new Turns<string>({
      room: () => most,
      serve: (item) => served.push(item),
      drop: (item) => dropped.push(item),
    });
    const add = (...items: string[]): void => {
      for (const item of items) turns.add(item.charAt(0), item);
    };
    return { served, dropped, add };
  }

  test('alone is served at once', async () => {
    const { served, add } = recording();
    for (const item of ['a1', 'a2', 'a3']) {
      add(item);
      expect(served.at(-1)).toBe(item);
      await turn();
      await turn();
    }
  });

  test('in a burst is served when no more comes, a few at a time, and addresses in turns', async () => {
    const { served, add } = recording();
    add('a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'b1', 'c1');
    expect(served).toEqual(['a1']);
    await turn();
    expect(served).toEqual(['a1']);
    await turn();
    expect(served.slice(1)).toEqual(['a2', 'b1', 'c1', 'a3']);
    await turn();
    expect(served.slice(5)).toEqual(['a4', 'a5', 'a6']);
  });

  test('in every turn is served too, but later than that of other addresses', async () => {
    const { served, add } = recording();
    for (let i = 1; i <= 400; i += 1) {
      add(`a${i}`);
      if (i === 100) add('b1');
      await turn();
    }
    expect(served.length).toBeGreaterThanOrEqual(20);
    expect(served.length).toBeLessThan(30);
    expect(served.indexOf('b1')).toBeLessThan(12);
  });

  test('from one address alone is served if half as much waits as may', async () => {
    const { served, add } = recording(6);
    for (let i = 1; i <= 100; i += 1) {
      add(`a${i}`);
      await turn();
      expect(i - served.length).toBeLessThanOrEqual(3);
    }
  });

  test('from several addresses waits until as much waits as may, also while more comes', async () => {
    const { served, dropped, add } = recording(20);
    add('b1');
    const waiting: number[] = [];
    for (let i = 1; i <= 60; i += 1) {
      add(`a${i}`);
      await turn();
      waiting.push(i + 1 - served.length - dropped.length);
    }
    expect(Math.max(...waiting)).toBe(20);
  });

  test('from several addresses gives way if there is no more room: the first of the largest share', async () => {
    const { served, dropped, add } = recording(5);
    add('b1', 'b2', 'a1', 'a2', 'a3', 'a4', 'a5', 'c1');
    expect(dropped).toEqual(['a1', 'a2']);
    for (let i = 0; i < 3; i += 1) await turn();
    expect(served).toEqual(['b1', 'b2', 'a3', 'c1', 'a4', 'a5']);
  });

  test('from one address alone does not give way', async () => {
    const { served, dropped, add } = recording(2);
    add('a1', 'a2', 'a3', 'a4', 'a5');
    for (let i = 0; i < 3; i += 1) await turn();
    expect([served, dropped]).toEqual([['a1', 'a2', 'a3', 'a4', 'a5'], []]);
  });
});
