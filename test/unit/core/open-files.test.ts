import { expect, test } from 'vitest';
import { adminConnectionsWithin, connectionsWithin, filesNeeded } from '../../../src/core/open-files.ts';
import { parseFileLimit } from '../../../src/process/file-limit.ts';

const LIMITS = { connections: 10_000, inFlight: 2_000 };

test.each([
  [Number.POSITIVE_INFINITY, 0, 10_000],
  [20_000, 0, 10_000],
  [12_100, 0, 10_000],
  [12_099, 0, 9_999],
  [4_096, 0, 1_998],
  [1_024, 0, 462],
  [256, 32, 62],
  [64, 8, 1],
])('with %d files, %d of them for operators, clients have %d connections', (files, admin, expected) => {
  expect(connectionsWithin(files, LIMITS, admin)).toBe(expected);
});

test('as many connections as are allowed, and their requests, need no more files than there are', () => {
  for (let files = 300; files < 20_000; files += 77) {
    const connections = connectionsWithin(files, LIMITS, adminConnectionsWithin(files));
    const inFlight = Math.min(connections, LIMITS.inFlight);
    expect(filesNeeded({ connections, inFlight }, adminConnectionsWithin(files))).toBeLessThanOrEqual(files);
  }
});

test('the limit of a process is read from what the kernel shows', () => {
  const shown = (values: string): string =>
    `Limit   Soft Limit   Hard Limit   Units\nMax open files   ${values}   files\n`;
  expect(parseFileLimit(shown('1024    4096'))).toEqual({ soft: 1024, hard: 4096 });
  expect(parseFileLimit(shown('1024    unlimited'))).toEqual({ soft: 1024, hard: Number.POSITIVE_INFINITY });
  expect(parseFileLimit('')).toBeUndefined();
});
