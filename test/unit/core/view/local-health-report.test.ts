import { describe, expect, test } from 'vitest';
import type { Observation } from '../../../../src/core/health.ts';
import { LocalHealthReport } from '../../../../src/core/view/local-health-report.ts';

const PASS: Observation = { passed: true, incarnation: '1' };
const FAIL: Observation = { passed: false, incarnation: '1' };
const THRESHOLDS = { rise: 2, fall: 3 };

const aReport = (): LocalHealthReport => new LocalHealthReport(THRESHOLDS, {});
const verdictOn = (report: LocalHealthReport) => report.report(false)?.verdicts['a'];

/** What each probe did, as `[isFirstDoubt, isNews]`. */
function observe(report: LocalHealthReport, ...observations: Observation[]): [boolean, boolean][] {
  return observations.map((observation) => {
    const { isFirstDoubt, isNews } = report.observed('a', observation, 5);
    return [isFirstDoubt, isNews];
  });
}

describe('the report of a gateway on its probes', () => {
  test('is news only when a verdict changes', () => {
    const report = aReport();
    expect(observe(report, PASS, PASS, { ...PASS, incarnation: '2' })).toEqual([
      [false, true],
      [false, false],
      [false, true],
    ]);
    expect(verdictOn(report)).toEqual({ health: 'up', incarnation: '2', emptyAt: 0 });
  });

  test('becomes a doubt with the first failure, and a verdict with the last required one', () => {
    const report = aReport();
    // A failed probe has seen no incarnation, which is news too.
    expect(observe(report, PASS, FAIL, FAIL, FAIL, FAIL)).toEqual([
      [false, true],
      [true, true],
      [false, false],
      [false, true],
      [false, false],
    ]);
    expect(verdictOn(report)).toEqual({ health: 'down', incarnation: '', emptyAt: 0 });
  });

  test('says in which epoch the probe began that saw the instance empty', () => {
    const report = aReport();
    observe(report, { ...PASS, isEmpty: true });
    expect(verdictOn(report)?.emptyAt).toBe(5);
    observe(report, { ...PASS, isEmpty: false });
    expect(verdictOn(report)?.emptyAt).toBe(0);
  });

  test('is an abstention while the clock is not trusted, and keeps its counts', () => {
    const report = aReport();
    report.settle();
    report.abstain(true);
    observe(report, PASS);
    expect(report.report(true)).toBeUndefined();
    report.abstain(false);
    expect(report.report(true)).toEqual({
      verdicts: { a: { health: 'up', incarnation: '1', emptyAt: 0 } },
      settled: true,
      idle: true,
    });
  });

  test('says where the gateway takes requests of peers, and that it relays last unless it runs', () => {
    let isRunning = true;
    const report = new LocalHealthReport(THRESHOLDS, {}, { at: 'g1:1', isRunning: () => isRunning });
    const plain = aReport().report(true);
    expect(report.report(true)).toEqual({ ...plain, relayAt: 'g1:1' });
    isRunning = false;
    expect(report.report(true)).toEqual({ ...plain, relayAt: 'g1:1', relaysLast: true });
  });

  test('keeps the verdicts of an earlier process until it has enough probes of its own', () => {
    const report = new LocalHealthReport(THRESHOLDS, { a: { health: 'up' } });
    expect(observe(report, FAIL, FAIL)).toEqual([
      [true, false],
      [false, false],
    ]);
    expect(verdictOn(report)).toBeUndefined();
    expect(observe(report, FAIL)).toEqual([[false, true]]);
    expect(verdictOn(report)?.health).toBe('down');
  });
});
