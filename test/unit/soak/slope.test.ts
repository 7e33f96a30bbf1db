import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/simulator/random.ts';
import type { Sample } from '../../soak/slope.ts';
import { slopeOf } from '../../soak/slope.ts';

/** Normally distributed, by the central limit theorem. */
function noise(random: () => number): number {
  return Array.from({ length: 12 }, random).reduce((sum, one) => sum + one, -6);
}

function samples(count: number, yAt: (x: number) => number): Sample[] {
  return Array.from({ length: count }, (_, x) => ({ x, y: yAt(x) }));
}

describe('a slope with its 95 % interval', () => {
  test('is that of the textbook for independent samples of one series', () => {
    // Standard error 0.3464, and 3.182 of them for three degrees of freedom.
    const { slope, low, high } = slopeOf([[1, 3, 2, 5, 4].map((y, x) => ({ x, y }))]);
    expect(slope).toBeCloseTo(0.8, 10);
    expect(low).toBeCloseTo(0.8 - 3.182 * 0.3464, 1);
    expect(high).toBeCloseTo(0.8 + 3.182 * 0.3464, 1);
  });

  test('compares each process with itself alone', () => {
    const old = samples(50, (x) => 200 + 0.5 * x);
    const young = samples(50, (x) => 100 + 0.5 * x).map(({ x, y }) => ({ x: x + 50, y }));
    const { slope, low, high } = slopeOf([old, young]);
    expect(slope).toBeCloseTo(0.5, 10);
    expect(high - low).toBeLessThan(1e-9);
  });

  test('holds the true slope in about 95 of 100 cases, also where neighbouring samples are alike', () => {
    for (const alike of [0, 0.8]) {
      const random = seededRandom(11);
      let held = 0;
      for (let round = 0; round < 400; round += 1) {
        let level = 0;
        const series = samples(200, (x) => {
          level = alike * level + noise(random);
          return 3 * x + level;
        });
        const { low, high } = slopeOf([series]);
        if (low <= 3 && high >= 3) held += 1;
      }
      expect(held / 400).toBeGreaterThan(0.9);
      expect(held / 400).toBeLessThan(0.99);
    }
  });

  test('is above zero for a leak, and not for a sawtooth', () => {
    const random = seededRandom(3);
    const leak = slopeOf([samples(360, (x) => 100 + 0.02 * x + noise(random))]);
    expect(leak.low).toBeGreaterThan(0);
    const sawtooth = slopeOf([samples(360, (x) => 100 + (x % 40) + noise(random))]);
    expect(sawtooth.low).toBeLessThan(0);
  });

  test('says nothing by too few samples', () => {
    expect(slopeOf([]).low).toBe(Number.NEGATIVE_INFINITY);
    expect(slopeOf([samples(1, () => 1)]).high).toBe(Number.POSITIVE_INFINITY);
    expect(slopeOf([samples(2, (x) => x)]).low).toBe(Number.NEGATIVE_INFINITY);
    expect(slopeOf([samples(30, () => 5)])).toEqual({ slope: 0, low: 0, high: 0 });
  });
});
