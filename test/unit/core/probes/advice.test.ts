import { describe, expect, test } from 'vitest';
import { conclude } from '../../../../src/core/probes/advice.ts';
import { ProbeEvidence } from '../../../../src/core/probes/evidence.ts';
import { A_DAY, BALANCED, CAREFUL, DAY, FAST, MIDNIGHT, PlantedInstance, PROFILES } from './planted.ts';

const HOUR = DAY / 24;

describe('over a day', () => {
  test('a pause of 2.8 s is safe under careful, and not under balanced or fast', () => {
    const a = new PlantedInstance().isWell(A_DAY).pauses(2_800);
    expect(a.losses()).toEqual({ careful: 0, balanced: 1, fast: 1 });
    const { advice, text, safeAboveMs } = a.conclusion();
    expect(advice).toBe('keep');
    expect(safeAboveMs).toBeGreaterThan(2_800);
    expect(safeAboveMs).toBeLessThan(3_000);
    expect(text).toBe(
      'over 1d a running instance could have counted as down so often: careful (present) 0, balanced 1, fast 1; safe: timeout × fall above 2.9 s; keep the present setting',
    );
  });

  test('a pause of 0.5 s is safe under fast, which finds a hung instance 3.1 s sooner', () => {
    const { advice, text, settings } = new PlantedInstance().isWell(A_DAY).pauses(500).conclusion();
    expect(advice).toBe('fast');
    expect(settings.map(({ detectionMs }) => detectionMs)).toEqual([4_000, 2_300, 850]);
    expect(text).toContain('health.profile fast is safe, and finds a hung instance 3.1 s sooner');
  });

  test('a pause of 1 s is safe under balanced only', () => {
    expect(new PlantedInstance().isWell(A_DAY).pauses(1_000).conclusion().advice).toBe('balanced');
  });

  test('a present setting that loses agents is told of the safer one', () => {
    const a = new PlantedInstance().isWell(A_DAY).pauses(1_000);
    expect(a.conclusion(FAST)).toMatchObject({ advice: 'balanced' });
    expect(a.conclusion(FAST).text).toContain(
      'health.profile balanced is safer, and finds a hung instance 1.4 s later',
    );
  });

  test('an instance that was restarted is no false alarm', () => {
    const a = new PlantedInstance().isWell(A_DAY);
    for (let i = 0; i < 20; i += 1) a.refuses();
    a.incarnation = 'i2';
    a.isWell(10_000);
    expect(a.losses()).toEqual({ careful: 0, balanced: 0, fast: 0 });
    expect(a.conclusion().advice).toBe('fast');
  });

  test('an outage of a minute says nothing about pauses', () => {
    const a = new PlantedInstance().isWell(A_DAY).pauses(60_000);
    expect(a.losses()).toEqual({ careful: 0, balanced: 0, fast: 0 });
    expect(a.conclusion().advice).toBe('fast');
  });

  test('a pause of 4 s is too long for all of them, and no other one is advised', () => {
    const a = new PlantedInstance().isWell(A_DAY).pauses(4_000);
    expect(a.losses()).toEqual({ careful: 1, balanced: 1, fast: 1 });
    expect([CAREFUL, BALANCED, FAST].map((one) => a.conclusion(one).advice)).toEqual([
      'keep',
      'keep',
      'keep',
    ]);
    expect(a.conclusion().text).toMatch(
      /safe: timeout × fall above 4\.\d s; no profile is safer, so keep the present setting$/,
    );
  });

  test('two refused probes do not turn an instance down under careful, and do so under fast', () => {
    const a = new PlantedInstance().isWell(A_DAY);
    a.refuses();
    a.pass(249).refuses();
    a.pass(249).answers();
    expect(a.losses()).toEqual({ careful: 0, balanced: 1, fast: 1 });
  });

  test('a page that always takes 400 ms would never be read under fast', () => {
    const a = new PlantedInstance();
    for (let i = 0; i < 10_000; i += 1) a.pass(9_600).answers(400);
    const { careful, balanced, fast } = a.losses();
    expect([careful, balanced]).toEqual([0, 0]);
    expect(fast).toBe(9_999);
    expect(a.conclusion().advice).toBe('balanced');
  });

  test('values that are no profile are judged beside the profiles', () => {
    const own = { profile: undefined, times: { ...CAREFUL.times, fall: 5 } };
    const a = new PlantedInstance().isWell(A_DAY).pauses(3_500);
    expect(a.losses(own)).toEqual({ own: 0, careful: 1, balanced: 1, fast: 1 });
    expect(a.conclusion(own).advice).toBe('keep');
    expect(a.conclusion(own).text).toContain('the present setting 0, careful 1');
  });
});

describe('without a day of every instance nothing is advised', () => {
  test('after three hours without any pause', () => {
    const { advice, text, since } = new PlantedInstance().isWell(3 * HOUR + 610_000).conclusion();
    expect([advice, since]).toEqual(['unsure', MIDNIGHT + 10_000]);
    expect(text).toBe('probes watched for 3h 10m only, since 2026-11-20 00:00 UTC; advice needs a day');
  });

  test('without any probe', () => {
    const { advice, text, since } = new PlantedInstance().conclusion();
    expect([advice, since]).toEqual(['unsure', undefined]);
    expect(text).toBe('probes watched for 0s only; advice needs a day');
  });

  test('if one instance was added today', () => {
    const evidence = new ProbeEvidence();
    const a = new PlantedInstance(evidence).isWell(2 * DAY);
    new PlantedInstance(evidence, 'b').pass(2 * DAY - HOUR).isWell(HOUR);
    const both = ['a', 'b'].map((id) => evidence.of(id, a.now));
    expect(conclude(both, CAREFUL, PROFILES)).toMatchObject({ advice: 'unsure', watchedMs: HOUR - 10_000 });
    expect(conclude(both.slice(0, 1), CAREFUL, PROFILES).advice).toBe('fast');
  });

  test('while an instance was away, because that time is not watched', () => {
    const a = new PlantedInstance().isWell(DAY / 2);
    a.refuses();
    a.pass(DAY);
    a.incarnation = 'i2';
    a.isWell(HOUR);
    expect(a.conclusion().advice).toBe('unsure');
  });
});

describe('evidence', () => {
  test('of a pause ends after seven days', () => {
    const a = new PlantedInstance()
      .isWell(A_DAY)
      .pauses(2_800)
      .isWell(5 * DAY);
    expect(a.conclusion().advice).toBe('keep');
    const { advice, since = 0 } = a.isWell(2 * DAY).conclusion();
    expect([advice, Math.floor((since - MIDNIGHT) / DAY)]).toEqual(['fast', 2]);
  });

  test('passes to another controller unchanged, as JSON too, and is added to what that one has seen', () => {
    const [before, after] = [new ProbeEvidence(), new ProbeEvidence()];
    const a = new PlantedInstance(before).isWell(A_DAY).pauses(2_800);
    const [now, kept] = [a.now, before.kept(a.now)];
    new PlantedInstance(after).pass(now - MIDNIGHT).isWell(20_000);
    after.inherit(JSON.parse(JSON.stringify(kept)));
    expect(conclude([after.of('a', now)], BALANCED, PROFILES)).toMatchObject({
      advice: 'careful',
      since: MIDNIGHT + 10_000,
      settings: [{ losses: 0 }, { losses: 1 }, { losses: 1 }],
    });
    expect(after.of('a', now).watchedMs).toBe(before.of('a', now).watchedMs + 10_000);
    expect(after.of('a', now).longest).toEqual({ ms: 2_800, at: now });
  });

  test('takes the same memory, however much was seen', () => {
    const evidence = new ProbeEvidence();
    const a = new PlantedInstance(evidence).isWell(3 * HOUR);
    const early = JSON.stringify(evidence.kept(a.now)).length;
    a.isWell(10 * DAY);
    const days = evidence.kept(a.now)['a'] ?? [];
    expect(days).toHaveLength(7);
    expect(JSON.stringify(days).length).toBeLessThan(8 * early);
  });
});
