import { describe, expect, test } from 'vitest';
import { conditionOf, elapsed, processList, sapTime } from '../../../src/sapcontrol/process-list.ts';
import { fakeSource } from '../../support/sapcontrol.ts';

describe('the state that monitors see', () => {
  test.each([
    ['Starting', 1, 'YELLOW', 'Starting'],
    ['Starting', 0, 'YELLOW', 'Starting'],
    ['Running', 2, 'GREEN', 'Running'],
    ['Running', 0, 'RED', 'No worker'],
    ['Drifted', 2, 'YELLOW', 'Drifted'],
    ['Isolated', 2, 'YELLOW', 'Isolated'],
    ['Maintenance', 2, 'YELLOW', 'Maintenance'],
    ['Maintenance', 0, 'RED', 'No worker'],
    ['Stopping', 2, 'YELLOW', 'Stopping'],
    ['Stopping', 0, 'YELLOW', 'Stopping'],
    ['Draining', 1, 'YELLOW', 'Stopping'],
    ['Stopped', 0, 'GRAY', 'Stopped'],
  ] as const)('of %s with %d workers is %s', (state, workers, color, text) => {
    expect(conditionOf(state, workers)).toEqual({ color: `SAPControl-${color}`, text });
  });
});

describe('times', () => {
  test('are in the format of SAP', () => {
    expect(sapTime(new Date(2019, 4, 1, 22, 20, 38))).toBe('2019 05 01 22:20:38');
    expect(elapsed(432_900)).toBe('0:07:12');
    expect(elapsed(847 * 3_600_000 + 25 * 60_000 + 8_000)).toBe('847:25:08');
    expect(elapsed(-5)).toBe('0:00:00');
  });

  test('and the pid are empty for a stopped gateway, which stays in the list', () => {
    const source = fakeSource();
    const now = new Date(source.startedAt.getTime() + 61_000);
    expect(processList(source, now)).toEqual([
      {
        name: 'sapwebdisp',
        description: 'Web Dispatcher',
        dispstatus: 'SAPControl-GREEN',
        textstatus: 'Running',
        starttime: sapTime(source.startedAt),
        elapsedtime: '0:01:01',
        pid: 4711,
      },
    ]);
    source.set({ state: 'Stopped' });
    expect(processList(source, now)).toEqual([
      expect.objectContaining({
        dispstatus: 'SAPControl-GRAY',
        textstatus: 'Stopped',
        starttime: '',
        elapsedtime: '',
        pid: -1,
      }),
    ]);
  });
});
