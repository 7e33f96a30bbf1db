import { expect, test } from 'vitest';
import type { RecordedRequest, WorkerRequests } from '../../../src/core/recent-requests.ts';
import { parsePositions, requestsStatus } from '../../../src/core/recent-requests.ts';

const requestAt = (at: number) => ({ at, requestId: `r-${at}` }) as RecordedRequest;

const told = (ring: string, times: readonly number[], more: Partial<WorkerRequests> = {}) => ({
  worker: `worker-${ring}`,
  told: {
    ring: ring.repeat(8),
    recorded: times.length,
    since: 1_000,
    overwritten: 0,
    leftOut: 0,
    requests: times.map(requestAt),
    ...more,
  },
});
const silent = { worker: 'worker-7', told: undefined };

test('the requests of all workers stand in one list, the newest first', () => {
  const { requests, last, since, missed } = requestsStatus(
    [told('a', [9_000, 3_000]), told('b', [8_000, 4_000], { since: 2_000 })],
    { limit: 3 },
  );
  expect(requests.map(({ requestId }) => requestId)).toEqual(['r-9000', 'r-8000', 'r-4000']);
  expect(requests[0]?.at).toBe('1970-01-01T00:00:09.000Z');
  expect(parsePositions(last)).toEqual({ aaaaaaaa: 2, bbbbbbbb: 2 });
  // Before that the list lacks those of the younger worker.
  expect(since).toBe('1970-01-01T00:00:02.000Z');
  // Who does not follow has missed nothing.
  expect(missed).toBe(0);
});

test('a follower is told what it missed: overwritten, beyond the limit of a worker, beyond that of all', () => {
  const asked = [told('a', [9_000, 3_000], { overwritten: 5, leftOut: 7 }), told('b', [8_000, 4_000])];
  expect(requestsStatus(asked, { limit: 3, after: { aaaaaaaa: 1 } }).missed).toBe(13);
});

test('a silent worker keeps its position; an ended one is told once', () => {
  const after = { aaaaaaaa: 1, cccccccc: 40 };
  const first = requestsStatus([told('a', [9_000]), silent], { limit: 3, after });
  expect(first).toMatchObject({ silent: ['worker-7'], hasEnded: false });
  expect(parsePositions(first.last)).toEqual(after);
  const second = requestsStatus([told('a', [9_000]), told('b', [])], { limit: 3, after });
  expect(second).toMatchObject({ silent: [], hasEnded: true });
  expect(parsePositions(second.last)).toEqual({ aaaaaaaa: 1, bbbbbbbb: 0 });
});

test('without a worker there is nothing, and a follower can go on from there', () => {
  const nothing = requestsStatus([silent], { limit: 3 });
  expect(nothing).toMatchObject({ requests: [], since: null, last: '-', silent: ['worker-7'] });
  expect(parsePositions('-')).toEqual({});
});

test('a position grows no longer than a query may be', () => {
  const many = Object.fromEntries(
    Array.from({ length: 500 }, (_, i) => [i.toString(16).padStart(8, '0'), 999_999_999]),
  );
  expect(requestsStatus([silent], { limit: 1, after: many }).last.length).toBeLessThan(4_000);
});

test.each(['', 'a', 'aaaaaaaa', 'aaaaaaaa.', 'aaaaaaaa.-1', 'AAAAAAAA.1', 'aaaaaaaa.1~', '__proto__.1'])(
  'is no position: %j',
  (text) => {
    expect(parsePositions(text)).toBeUndefined();
  },
);
