import { describe, expect, test } from 'vitest';
import { Places } from '../../../src/proxy/upstream.ts';

describe('places', () => {
  const take = (places: Places, client: string, times: number): number =>
    Array.from({ length: times }, () => places.tryTake(client)).filter(Boolean).length;

  test('leave the last tenth to clients that hold less than a tenth', () => {
    const places = new Places(50);
    expect(take(places, 'flood', 50)).toBe(45);
    expect(take(places, 'sap', 3)).toBe(3);
    expect(take(places, 'flood', 1)).toBe(0);
    expect(take(places, 'sap', 3)).toBe(2);
    expect(take(places, 'other', 1)).toBe(0);
    expect(places.taken).toBe(50);
  });

  test('are free again for all when they were given back', () => {
    const places = new Places(10);
    take(places, 'flood', 10);
    expect(places.tryTake('sap')).toBe(true);
    places.release('flood');
    // The one of the other client counts: nine are taken.
    expect([places.taken, places.tryTake('flood')]).toEqual([9, false]);
    places.release('sap');
    expect([places.tryTake('flood'), places.tryTake('flood')]).toEqual([true, false]);
  });

  test('go to everyone down to the last if there are fewer than ten', () => {
    expect(take(new Places(9), 'sap', 10)).toBe(9);
  });
});
