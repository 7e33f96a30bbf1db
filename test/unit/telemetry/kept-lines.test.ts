import { pino } from 'pino';
import { expect, test } from 'vitest';
import { STATE_LINES } from '../../../src/core/incident/state-lines.ts';
import { KeptLines } from '../../../src/telemetry/kept-lines.ts';

function logged(): {
  readonly kept: KeptLines;
  readonly log: ReturnType<KeptLines['keeping']>;
  readonly written: string[];
} {
  const written: string[] = [];
  const kept = new KeptLines();
  const log = kept.keeping(
    pino({ base: null, level: 'info' }, { write: (line: string) => void written.push(line) }),
  );
  return { kept, log, written };
}

test('lines are logged as before, and those from level info on are kept', () => {
  const { kept, log, written } = logged();
  log.debug('unseen');
  log.info({ pool: 'ici' }, 'first');
  log.error({ err: Object.assign(new Error('no way'), { code: 'EPIPE' }) }, 'second');
  log.warn('third');
  expect(written.map((line) => JSON.parse(line).msg)).toEqual(['first', 'second', 'third']);
  expect(kept.lines).toMatchObject([
    { level: 'info', msg: 'first', fields: { pool: 'ici' } },
    { level: 'error', msg: 'second', fields: { err: 'EPIPE: no way' } },
    { level: 'warn', msg: 'third', fields: {} },
  ]);
});

test('the last 1,000 lines are kept, each with at most 2,000 letters of fields', () => {
  const kept = new KeptLines();
  for (let i = 0; i < 5_000; i += 1) kept.add('info', { i, text: 'x'.repeat(3_000) }, `line ${i}`, i);
  expect(kept.lines.length).toBe(1_000);
  expect(kept.lines.at(-1)?.msg).toBe('line 4999');
  expect(JSON.stringify(kept.lines).length).toBeLessThan(2_200_000);
});

test('a line that is repeated counts, and pushes out nothing; changes of state stay apart', () => {
  const kept = new KeptLines();
  kept.add('warn', { pool: 'ici' }, STATE_LINES.storeAway, 1);
  for (let at = 2; at < 3_000; at += 1) kept.add('warn', { pool: 'ici' }, 'again', at);
  kept.add('info', { pool: 'ici' }, STATE_LINES.storeAvailable, 3_000);
  kept.add('warn', { pool: 'ici' }, STATE_LINES.storeAway, 3_001);
  expect(kept.lines).toMatchObject([
    { msg: STATE_LINES.storeAway },
    { at: 2, msg: 'again', times: 2_998, lastAt: 2_999 },
    { msg: STATE_LINES.storeAvailable },
    { msg: STATE_LINES.storeAway },
  ]);
});
