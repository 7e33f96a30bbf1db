import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { against, besideFile, judgeTrees } from '../../bench/against.ts';
import type { Turn } from '../../bench/requests.ts';
import { takeTurns } from '../../bench/rounds.ts';

const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-against-'));
afterAll(() => rmSync(directory, { recursive: true }));

const costing = (micros: readonly number[]): Turn[] =>
  micros.map((cpuMicros) => ({ new: { cpuMicros, perSecond: 1, p50Ms: 1, p99Ms: 1, errors: 0 } }));

test('contenders take turns in both directions, and each keeps the order of its rounds', async () => {
  const order: string[] = [];
  const results = await takeTurns(['a', 'b'], { count: 2, tell: () => {} }, async (name, round) => {
    order.push(name);
    return round;
  });
  expect(order).toEqual(['a', 'b', 'b', 'a']);
  expect([...results.values()]).toEqual([
    [0, 1],
    [0, 1],
  ]);
});

test('a change that costs a tenth more in every pair fails, however different the pairs are', () => {
  const before = Array.from({ length: 15 }, (_, i) => 300 + 40 * i);
  const turns = new Map([
    ['gateway@other', costing(before)],
    ['gateway', costing(before.map((micros) => micros * 1.1))],
  ]);
  const [judged] = judgeTrees(turns, ['gateway'], ['new', 'kept']);
  expect(judged).toMatchObject({ pairs: 15, verdict: 'fail' });
  expect(judged?.median).toBeCloseTo(1.1);
});

test('what to compare with is a built tree or a file of results', () => {
  const built = join(directory, 'built');
  mkdirSync(join(built, 'dist'), { recursive: true });
  writeFileSync(join(built, 'dist/main.js'), '');
  writeFileSync(join(built, 'dist/commit'), '0123456789ab\n');
  const file = join(directory, 'run.json');
  writeFileSync(file, '{}');
  expect(against(built)).toEqual({ main: join(built, 'dist/main.js'), commit: '0123456789ab' });
  expect(against(file)).toEqual({ file });
  expect(() => against(directory)).toThrow('is not built');
  expect(() => against(join(directory, 'nothing'))).toThrow('there is no');
});

test('an earlier run is shown beside this one for what both measured, without a verdict', () => {
  const file = join(directory, 'earlier.json');
  const sections = [{ title: 'A', data: { gateway: [{ cpuMicros: 400 }, null], floor: [{ cpuMicros: 1 }] } }];
  writeFileSync(file, JSON.stringify({ date: '2026-11-30', sections }));
  const now = [{ cpuMicros: 460 }, { cpuMicros: 440 }, { cpuMicros: 420 }];
  const report = besideFile(file, [
    { title: 'A', rows: [], judged: [], data: { gateway: now } },
    { title: 'B', rows: [], judged: [], data: { gateway: [{ upMs: 1 }] } },
  ]);
  expect(report.rows.slice(1)).toEqual([['gateway, a', '400', '440', '1.10']]);
  expect(report.judged).toEqual([]);
});
