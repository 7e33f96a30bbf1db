import { describe, expect, test } from 'vitest';
import { Account } from '../../soak/account.ts';
import type { Run } from '../../soak/page.ts';
import { pageOf, promisesOf } from '../../soak/page.ts';
import type { Trend } from '../../soak/sampler.ts';
import { trendsOf } from '../../soak/sampler.ts';
import { happened } from './happened.ts';

const MINUTE = 60_000;
const ARRIVAL = { at: 1_000, id: 'x-ANN-1', agent: 'ANN', instance: 'a', incarnation: 'a1' };

function runWith(changes: Partial<Run> = {}): Run {
  return {
    ...{ seed: 1, setUp: 'here', agents: 100, logons: 120, from: 0, to: 60 * MINUTE, isWhole: true },
    account: new Account([]),
    checked: {
      ...{ deliveries: 9, splits: [], moved: 0, repeated: [], lateAsDocumented: 0, late: [], unrecorded: [] },
    },
    conducted: { agreedMs: [50], problems: [], left: 0 },
    happened: [happened('instance-killed', 1_000, 2_000)],
    ...{ stranded: [], corrupted: 0, stalledMs: 5, resets: [], readings: [], trends: [], spared: 'g3' },
    ...changes,
  };
}

/** What is broken, by the begin of its text. */
function broken(changes: Partial<Run>): string[] {
  return promisesOf(runWith(changes)).flatMap(({ text, isKept }) =>
    isKept ? [] : [text.split(':')[0] ?? ''],
  );
}

/** An hour of one worker whose memory grows by so much a minute. */
function trendsWith(gateway: string, mbPerMinute: number): Trend[] {
  const readings = Array.from({ length: 360 }, (_, i) => {
    const at = (i * MINUTE) / 6;
    const residentBytes = (100 + mbPerMinute * (at / MINUTE) + (i % 7)) * 1e6;
    return { at, gateway, role: 'worker', pid: 7, residentBytes, descriptors: 40 + (i % 3) };
  });
  return trendsOf(readings, 0, 60 * MINUTE);
}

describe('the page of a soak', () => {
  test('says that everything was kept', () => {
    expect(broken({ trends: trendsWith('g3', 0) })).toEqual([]);
    const page = pageOf(runWith({ trends: trendsWith('g3', 0) }));
    expect(page).toContain('# Soak of 60:00, seed 1');
    expect(page).toContain('| instance-killed | 1 | 0.00 |');
    expect(page).not.toContain('BROKEN');
  });

  test('names each promise that was broken', () => {
    const { checked } = runWith();
    const to = { ...ARRIVAL, instance: 'b' };
    expect(broken({ checked: { ...checked, splits: [{ from: ARRIVAL, to }] } })).toEqual(['splits']);
    expect(broken({ checked: { ...checked, repeated: ['x'] } })).toEqual(['requests delivered twice']);
    expect(broken({ checked: { ...checked, late: [ARRIVAL] } })).toHaveLength(1);
    expect(broken({ checked: { ...checked, lateAsDocumented: 3 } })).toEqual([]);
    expect(broken({ checked: { ...checked, unrecorded: ['x'] } })).toHaveLength(1);
    expect(broken({ corrupted: 1 })).toHaveLength(1);
    expect(broken({ stranded: ['ANN'] })).toEqual(['agents not served again']);
    expect(broken({ conducted: { agreedMs: [], problems: ['no view'], left: 0 } })).toHaveLength(1);
  });

  test('names a leak of the gateway that keeps its processes, in a run that is long enough', () => {
    expect(broken({ trends: trendsWith('g3', 0.5) })).toEqual([
      'slope of the memory of g3, worker, in MB a minute',
    ]);
    expect(broken({ trends: trendsWith('g1', 0.5) })).toEqual([]);
    expect(broken({ trends: trendsWith('g3', 0.5), to: 20 * MINUTE })).toEqual([]);
  });
});
