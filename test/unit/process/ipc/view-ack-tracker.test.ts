import { describe, expect, test } from 'vitest';
import { ViewAckTracker } from '../../../../src/process/ipc/view-ack-tracker.ts';

const BOTH = ['worker-1', 'worker-2'] as const;

describe('a view', () => {
  test('is adopted once every worker has acknowledged it', () => {
    const tracker = new ViewAckTracker();
    for (const worker of BOTH) tracker.sent(worker, 'v1', 100);
    for (const worker of BOTH) tracker.adopted(worker, 'v1');
    for (const worker of BOTH) tracker.sent(worker, 'v2', 200);
    expect(tracker.outstandingUntil('v2', BOTH, 50)).toBe(100);
    tracker.adopted('worker-1', 'v2');
    expect(tracker.outstandingUntil('v2', BOTH, 50)).toBe(100);
    tracker.adopted('worker-2', 'v2');
    expect(tracker.outstandingUntil('v2', BOTH, 50)).toBeUndefined();
  });

  test('counts as adopted by a silent worker once the lease of the earlier view is over', () => {
    const tracker = new ViewAckTracker();
    tracker.sent('worker-1', 'v1', 100);
    tracker.adopted('worker-1', 'v1');
    tracker.sent('worker-1', 'v2', 200);
    // A repeated update extends the lease of the new view, not of the old one.
    tracker.sent('worker-1', 'v2', 300);
    expect(tracker.outstandingUntil('v2', ['worker-1'], 99)).toBe(100);
    expect(tracker.outstandingUntil('v2', ['worker-1'], 100)).toBeUndefined();
  });

  test('that was never sent may be another one until the lease is over', () => {
    const tracker = new ViewAckTracker();
    tracker.sent('worker-1', 'v1', 100);
    tracker.adopted('worker-1', 'v1');
    expect(tracker.outstandingUntil('v2', ['worker-1'], 50)).toBe(100);
  });

  test('may differ at a worker that has an update from an earlier controller', () => {
    const tracker = new ViewAckTracker();
    tracker.mayHold('worker-1', 100);
    expect(tracker.outstandingUntil('v1', ['worker-1'], 50)).toBe(100);
    tracker.sent('worker-1', 'v1', 300);
    expect(tracker.outstandingUntil('v1', ['worker-1'], 50)).toBe(100);
    tracker.adopted('worker-1', 'v1');
    expect(tracker.outstandingUntil('v1', ['worker-1'], 50)).toBeUndefined();
  });

  test('does not wait for a worker that has ended, nor for one without any update', () => {
    const tracker = new ViewAckTracker();
    tracker.sent('worker-1', 'v1', 100);
    tracker.forget('worker-1');
    expect(tracker.outstandingUntil('v2', BOTH, 50)).toBeUndefined();
  });
});

describe('an update that a worker has received', () => {
  test('is valid for the longest lease that was ever sent, even if a shorter one followed', () => {
    const tracker = new ViewAckTracker();
    tracker.sent('worker-1', 'v1', 100);
    // It hangs and has not received the end of the lease.
    tracker.sent('worker-1', 'v1', Number.NEGATIVE_INFINITY);
    expect(tracker.mayActUntil(BOTH)).toBe(100);
    tracker.sent('worker-1', 'v2', 90);
    expect(tracker.mayActUntil(BOTH)).toBe(100);
    expect(tracker.outstandingUntil('v2', BOTH, 50)).toBe(100);
  });

  test('from an earlier controller counts too, and an update to an ended worker does not', () => {
    const tracker = new ViewAckTracker();
    expect(tracker.mayActUntil(BOTH)).toBe(Number.NEGATIVE_INFINITY);
    tracker.mayHold('worker-1', 100);
    expect(tracker.mayActUntil(BOTH)).toBe(100);
    tracker.forget('worker-1');
    expect(tracker.mayActUntil(BOTH)).toBe(Number.NEGATIVE_INFINITY);
  });
});
