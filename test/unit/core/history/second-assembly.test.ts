import { expect, test } from 'vitest';
import type { CountsOfSecond } from '../../../../src/core/history/pool-counts.ts';
import { SecondAssembly } from '../../../../src/core/history/second-assembly.ts';

const counts = (requests: number): CountsOfSecond =>
  new Map([
    ['ici', { answers: [requests, 0, 0, 0], errors: new Map(), latencies: new Map(), instances: new Map() }],
  ]);
const BOTH = ['worker-1', 'worker-2'];

/** The requests of each assembled second. */
function sums(assembled: ReturnType<SecondAssembly['tick']>): unknown {
  return assembled?.map(({ second, pools }) => [
    second,
    pools.get('ici')?.reduce((sum, { answers }) => sum + (answers[0] as number), 0) ?? 0,
  ]);
}

function running(): SecondAssembly {
  const assembly = new SecondAssembly();
  assembly.tick(99, BOTH);
  return assembly;
}

test('a second is there when all workers had one more second to report it', () => {
  const assembly = running();
  assembly.report('worker-1', 100, counts(3));
  expect(sums(assembly.tick(100, BOTH))).toEqual([]);
  assembly.report('worker-2', 100, counts(4));
  assembly.report('worker-1', 101, new Map());
  assembly.report('worker-2', 101, counts(1));
  expect(sums(assembly.tick(101, BOTH))).toEqual([[100, 7]]);
  expect(sums(assembly.tick(102, BOTH))).toEqual([[101, 1]]);
});

test('a second that a live worker did not report is a gap, and so is one that nothing reported', () => {
  const assembly = running();
  assembly.report('worker-1', 100, counts(3));
  assembly.report('worker-1', 102, counts(3));
  assembly.report('worker-2', 102, counts(3));
  expect([101, 102, 103].map((second) => sums(assembly.tick(second, BOTH)))).toEqual([[], [], [[102, 6]]]);
});

test('a worker that has ended is not waited for, and its last report counts', () => {
  const assembly = running();
  assembly.report('worker-1', 100, counts(3));
  assembly.report('worker-2', 100, counts(2));
  assembly.report('worker-2', 100, counts(1));
  assembly.report('worker-1', 101, counts(4));
  assembly.tick(100, BOTH);
  expect(sums(assembly.tick(101, ['worker-1']))).toEqual([[100, 6]]);
  expect(sums(assembly.tick(102, ['worker-1']))).toEqual([[101, 4]]);
});

test('a worker that starts may report its first second late, and must report the later ones', () => {
  const assembly = running();
  const three = [...BOTH, 'worker-3'];
  for (const second of [100, 101]) for (const worker of BOTH) assembly.report(worker, second, counts(1));
  expect(sums(assembly.tick(100, three))).toEqual([]);
  expect(sums(assembly.tick(101, three))).toEqual([[100, 2]]);
  expect(sums(assembly.tick(102, three))).toEqual([]);
});

test('what workers report before the first tick of a new controller is a part only', () => {
  const assembly = new SecondAssembly();
  assembly.report('worker-1', 100, counts(3));
  assembly.tick(100, BOTH);
  assembly.report('worker-2', 100, counts(3));
  expect(sums(assembly.tick(101, BOTH))).toEqual([]);
});

test('after the machine slept the seconds between are missing', () => {
  const assembly = running();
  for (const worker of BOTH) assembly.report(worker, 100, counts(1));
  expect(sums(assembly.tick(4_000, BOTH))).toEqual([[100, 2]]);
  for (const worker of BOTH) assembly.report(worker, 4_001, counts(1));
  expect(sums(assembly.tick(4_001, BOTH))).toEqual([]);
  expect(sums(assembly.tick(4_002, BOTH))).toEqual([[4_001, 2]]);
});

test('tells that the clock was set back, and goes on with the seconds that come again', () => {
  const assembly = running();
  assembly.tick(100, BOTH);
  expect(assembly.tick(40, BOTH)).toBeUndefined();
  for (const worker of BOTH) assembly.report(worker, 41, counts(2));
  expect(sums(assembly.tick(41, BOTH))).toEqual([]);
  expect(sums(assembly.tick(42, BOTH))).toEqual([[41, 4]]);
});

test('a report that comes too late changes nothing, and reports of the future do not pile up', () => {
  const assembly = running();
  assembly.tick(105, BOTH);
  for (const worker of BOTH) assembly.report(worker, 104, counts(1));
  for (let second = 1_000; second < 2_000; second += 1) assembly.report('worker-1', second, counts(1));
  expect(sums(assembly.tick(106, BOTH))).toEqual([]);
  expect(assembly.waiting).toBe(0);
});
