import { describe, expect, test } from 'vitest';
import { KINDS } from '../../soak/faults.ts';
import type { PlanOptions } from '../../soak/plan.ts';
import { CALM, clashOf, planOf, titleOf } from '../../soak/plan.ts';

const HOUR: PlanOptions = { seed: 7, minutes: 60, kinds: KINDS, gateways: 3, instances: 5 };
const endOf = ({ atMs, forMs }: { atMs: number; forMs: number }): number => atMs + forMs;

describe('the faults of a soak', () => {
  test('are the same for the same seed and minutes, and others for another seed', () => {
    const told = (options: PlanOptions): string =>
      planOf(options)
        .flat()
        .map((one) => `${one.atMs} ${one.forMs} ${titleOf(one)}`)
        .join('\n');
    expect(told(HOUR)).toBe(told(HOUR));
    expect(told({ ...HOUR, seed: 8 })).not.toBe(told(HOUR));
  });

  test('come one or two at a time, with a calm before, between and at the end', () => {
    const plan = planOf(HOUR);
    let over = CALM.first - CALM.least;
    for (const episode of plan) {
      expect([1, 2]).toContain(episode.length);
      expect(Math.min(...episode.map(({ atMs }) => atMs)) - over).toBeGreaterThanOrEqual(CALM.least - 1);
      over = Math.max(...episode.map(endOf));
    }
    expect(over).toBeLessThanOrEqual(60 * 60_000 - CALM.last + 1);
    expect(plan.some(({ length }) => length === 2)).toBe(true);
  });

  test('are of every kind, in a quarter of an hour', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const kinds = new Set(
        planOf({ ...HOUR, minutes: 15, seed })
          .flat()
          .map(({ kind }) => kind.name),
      );
      expect([...kinds].toSorted()).toEqual(KINDS.map(({ name }) => name).toSorted());
    }
  });

  test('never include two at once that no gateway promises to survive', () => {
    for (let seed = 1; seed <= 20; seed += 1)
      for (const [one, other] of planOf({ ...HOUR, seed })) {
        if (one === undefined || other === undefined) continue;
        expect(clashOf(one.kind, other.kind)).toBeUndefined();
        expect(one.gateway).not.toBe(other.gateway);
        expect(one.instance).not.toBe(other.instance);
      }
    const kind = (name: string) => KINDS.find((one) => one.name === name) as (typeof KINDS)[number];
    expect(clashOf(kind('gateway-cut-from-redis'), kind('instance-killed'))).toMatch(/alone loses Redis/);
    expect(clashOf(kind('gateway-killed'), kind('master-killed'))).toMatch(/starts while Redis is away/);
    expect(clashOf(kind('master-stopped'), kind('gateway-reloaded'))).toMatch(/starts while Redis is away/);
    expect(clashOf(kind('master-killed'), kind('redis-emptied'))).toMatch(/last copy/);
  });

  test('end no process of the last gateway, and strike it otherwise', () => {
    const all = Array.from({ length: 20 }, (_, seed) => planOf({ ...HOUR, seed })).flat(2);
    const ending = all.filter(({ kind }) => kind.ends === true);
    expect(new Set(ending.map(({ gateway }) => gateway))).toEqual(new Set([0, 1]));
    expect(all.some(({ kind, gateway }) => kind.victim === 'gateway' && gateway === 2)).toBe(true);
    expect(new Set(all.map(({ instance }) => instance)).size).toBe(5);
  });
});
