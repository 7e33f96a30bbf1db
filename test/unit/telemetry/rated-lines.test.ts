import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Logger } from '../../../src/telemetry/logger.ts';
import { loggerOptions } from '../../../src/telemetry/logger.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));

afterEach(() => void vi.useRealTimers());

interface Line {
  readonly msg: string;
  readonly level: number;
  readonly leftOut?: number;
  readonly [field: string]: unknown;
}

function openLog(): { logger: Logger; lines: Line[] } {
  const lines: Line[] = [];
  const logger = pino(loggerOptions('info'), { write: (line) => lines.push(JSON.parse(line)) });
  return { logger, lines };
}

test('a storm of conflicts writes ten lines and the number of the others', () => {
  const { logger, lines } = openLog();
  for (let i = 0; i < 6_683; i += 1) {
    logger.warn({ pool: 'ici', names: [`u${i}`] }, 'binding conflict');
    if (i % 668 === 0) vi.advanceTimersByTime(900);
  }
  vi.advanceTimersByTime(60_000);
  expect(lines.length).toBeLessThan(25);
  const written = lines.filter(({ leftOut }) => leftOut === undefined).length;
  const leftOut = lines.reduce((sum, line) => sum + (line.leftOut ?? 0), 0);
  expect(written + leftOut).toBe(6_683);
  expect(lines.at(-1)).toMatchObject({ msg: 'binding conflict', level: 40, pool: 'ici', seconds: 10 });
});

test('each message, pool and instance has a rate of its own', () => {
  const { logger, lines } = openLog();
  for (let i = 0; i < 50; i += 1) logger.warn({ pool: 'ici', instance: `i${i}` }, 'instance down');
  for (let i = 0; i < 50; i += 1) logger.error({ err: new Error('x') }, 'request failed');
  expect(lines.filter(({ msg }) => msg === 'instance down')).toHaveLength(50);
  expect(lines.filter(({ msg }) => msg === 'request failed')).toHaveLength(10);
});

test('after the window, the next line is written at once', () => {
  const { logger, lines } = openLog();
  for (let i = 0; i < 11; i += 1) logger.warn('again');
  vi.advanceTimersByTime(10_000);
  expect(lines.at(-1)).toMatchObject({ msg: 'again', leftOut: 1 });
  logger.warn({ number: 12 }, 'again');
  expect(lines.at(-1)).toMatchObject({ msg: 'again', number: 12 });
  expect(lines).toHaveLength(12);
});

test('what is no warning has no rate, and a level that is off writes nothing', () => {
  const { logger, lines } = openLog();
  for (let i = 0; i < 100; i += 1) logger.info('request');
  expect(lines).toHaveLength(100);
  logger.level = 'silent';
  for (let i = 0; i < 100; i += 1) logger.error('failed');
  vi.advanceTimersByTime(60_000);
  expect(lines).toHaveLength(100);
});
