import { beforeEach, describe, expect, test } from 'vitest';
import { PlantedInstance } from './planted.ts';

let a: PlantedInstance;

beforeEach(() => {
  a = new PlantedInstance();
  a.answers();
  a.pass(2_000);
});

describe('the silence of an instance', () => {
  test('is the time to its answer', () => {
    expect(a.answers(40)).toEqual({
      watchedMs: 2_040,
      silence: { ms: 40, kind: 'unanswered' },
      slowMs: 5,
    });
  });

  test('lasts from the first probe without an answer until the same incarnation answers', () => {
    a.timesOut();
    a.timesOut();
    expect(a.answers(800).silence).toEqual({ ms: 2_800, kind: 'unanswered' });
  });

  test('is none if another incarnation answers', () => {
    a.timesOut();
    a.refuses();
    a.incarnation = 'i2';
    expect(a.answers()).toEqual({ watchedMs: 0, silence: undefined, slowMs: 0 });
    a.pass(2_000);
    expect(a.answers().silence?.ms).toBe(5);
  });

  test('is none after a failure if the page shows no incarnation, because it may be a restart', () => {
    a.incarnation = undefined;
    a.answers();
    a.refuses();
    a.pass(250);
    expect(a.answers().silence).toBeUndefined();
    a.timesOut();
    expect(a.answers(100).silence?.ms).toBe(1_100);
  });

  test('with refused probes ends before the probe that passes', () => {
    a.refuses();
    a.pass(249).refuses();
    a.pass(249);
    expect(a.answers(90).silence).toEqual({ ms: 500, kind: 'failed' });
  });

  test('begins with the oldest request that waits', () => {
    a.timesOut(1_000, 350);
    expect(a.answers(500).silence?.ms).toBe(1_850);
    a.pass(1_000);
    expect(a.answers(200, 400).silence?.ms).toBe(600);
  });

  test('does not begin before the probe that passed last, however long a request waits', () => {
    a.pass(-1_900);
    expect(a.answers(200, 30_000).silence?.ms).toBe(300);
  });

  test('is only the time to the answer where that comes at once, although a slow request waits', () => {
    expect(a.answers(20, 30_000).silence?.ms).toBe(20);
  });

  test('leaves out the time in which this process was late', () => {
    expect(a.answersWhileLate(700, 650).silence?.ms).toBe(50);
  });

  test('is not known if this process could not probe', () => {
    a.timesOut();
    a.cannotBeAsked();
    expect(a.answers(300)).toMatchObject({ watchedMs: 0, silence: { ms: 300 } });
  });

  test('is none before the first answer', () => {
    const b = new PlantedInstance();
    b.timesOut();
    expect(b.answers(7)).toEqual({ watchedMs: 0, silence: { ms: 7, kind: 'unanswered' }, slowMs: 0 });
  });
});

test('a slow page is told from a pause: two probes in a row take long', () => {
  expect(a.answers(400).slowMs).toBe(5);
  expect(a.answers(450).slowMs).toBe(400);
  expect(a.answers(5).slowMs).toBe(5);
});
