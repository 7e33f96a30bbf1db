import { describe, expect, test } from 'vitest';
import { OwnOpinion } from '../../../../src/core/view/local-health-report.ts';
import type { Observation } from '../../../../src/core/health.ts';

const PASS: Observation = { passed: true, incarnation: '1' };
const FAIL: Observation = { passed: false, incarnation: '1' };
const THRESHOLDS = { rise: 2, fall: 3 };

const anOpinion = (): OwnOpinion => new OwnOpinion(THRESHOLDS, {});
const verdictOn = (opinion: OwnOpinion) => opinion.ballot(false)?.verdicts['a'];

/** What each probe did, as `[isFirstDoubt, isNews]`. */
function observe(opinion: OwnOpinion, ...observations: Observation[]): [boolean, boolean][] {
  return observations.map((observation) => {
    const { isFirstDoubt, isNews } = opinion.observed('a', observation, 5);
    return [isFirstDoubt, isNews];
  });
}

describe('what a gateway makes of its probes', () => {
  test('is news where a verdict changes, and only there', () => {
    const opinion = anOpinion();
    expect(observe(opinion, PASS, PASS, { ...PASS, incarnation: '2' })).toEqual([
      [false, true],
      [false, false],
      [false, true],
    ]);
    expect(verdictOn(opinion)).toEqual({ health: 'up', incarnation: '2', emptyAt: 0 });
  });

  test('becomes a doubt with the first failure, and a verdict with the last that it takes', () => {
    const opinion = anOpinion();
    // A probe that fails has seen no incarnation, which is news too.
    expect(observe(opinion, PASS, FAIL, FAIL, FAIL, FAIL)).toEqual([
      [false, true],
      [true, true],
      [false, false],
      [false, true],
      [false, false],
    ]);
    expect(verdictOn(opinion)).toEqual({ health: 'down', incarnation: '', emptyAt: 0 });
  });

  test('tells in which epoch the probe began that saw the instance empty', () => {
    const opinion = anOpinion();
    observe(opinion, { ...PASS, isEmpty: true });
    expect(verdictOn(opinion)?.emptyAt).toBe(5);
    observe(opinion, { ...PASS, isEmpty: false });
    expect(verdictOn(opinion)?.emptyAt).toBe(0);
  });

  test('is an abstention for as long as it is not to be trusted, and loses nothing by it', () => {
    const opinion = anOpinion();
    opinion.settle();
    opinion.abstain(true);
    observe(opinion, PASS);
    expect(opinion.ballot(true)).toBeUndefined();
    opinion.abstain(false);
    expect(opinion.ballot(true)).toEqual({
      verdicts: { a: { health: 'up', incarnation: '1', emptyAt: 0 } },
      settled: true,
      idle: true,
    });
  });

  test('says nothing of what an earlier process saw until it has seen it too, or enough else', () => {
    const opinion = new OwnOpinion(THRESHOLDS, { a: { health: 'up' } });
    expect(observe(opinion, FAIL, FAIL)).toEqual([
      [true, false],
      [false, false],
    ]);
    expect(verdictOn(opinion)).toBeUndefined();
    expect(observe(opinion, FAIL)).toEqual([[false, true]]);
    expect(verdictOn(opinion)?.health).toBe('down');
  });
});
