import { describe, expect, test } from 'vitest';
import { ViewAckTracker } from '../../../../src/process/ipc/view-ack-tracker.ts';

const BOTH = ['worker-1', 'worker-2'] as const;

describe('a view', () => {
  test('is adopted by all once each has said so', () => {
    const adoption = new ViewAckTracker();
    for (const worker of BOTH) adoption.told(worker, 'v1', 100);
    for (const worker of BOTH) adoption.adopted(worker, 'v1');
    for (const worker of BOTH) adoption.told(worker, 'v2', 200);
    expect(adoption.outstandingUntil('v2', BOTH, 50)).toBe(100);
    adoption.adopted('worker-1', 'v2');
    expect(adoption.outstandingUntil('v2', BOTH, 50)).toBe(100);
    adoption.adopted('worker-2', 'v2');
    expect(adoption.outstandingUntil('v2', BOTH, 50)).toBeUndefined();
  });

  test('is adopted by a worker that says nothing, once the lease on what it was told before is over', () => {
    const adoption = new ViewAckTracker();
    adoption.told('worker-1', 'v1', 100);
    adoption.adopted('worker-1', 'v1');
    adoption.told('worker-1', 'v2', 200);
    // Being told again prolongs what it may do with the new view, not with the old one.
    adoption.told('worker-1', 'v2', 300);
    expect(adoption.outstandingUntil('v2', ['worker-1'], 99)).toBe(100);
    expect(adoption.outstandingUntil('v2', ['worker-1'], 100)).toBeUndefined();
  });

  test('that was never told may be another one until the lease is over', () => {
    const adoption = new ViewAckTracker();
    adoption.told('worker-1', 'v1', 100);
    adoption.adopted('worker-1', 'v1');
    expect(adoption.outstandingUntil('v2', ['worker-1'], 50)).toBe(100);
  });

  test('may be another one at a worker that an earlier controller has told of it', () => {
    const adoption = new ViewAckTracker();
    adoption.mayHold('worker-1', 100);
    expect(adoption.outstandingUntil('v1', ['worker-1'], 50)).toBe(100);
    adoption.told('worker-1', 'v1', 300);
    expect(adoption.outstandingUntil('v1', ['worker-1'], 50)).toBe(100);
    adoption.adopted('worker-1', 'v1');
    expect(adoption.outstandingUntil('v1', ['worker-1'], 50)).toBeUndefined();
  });

  test('is not waited for at a worker that has ended, nor at one that was told of nothing', () => {
    const adoption = new ViewAckTracker();
    adoption.told('worker-1', 'v1', 100);
    adoption.forget('worker-1');
    expect(adoption.outstandingUntil('v2', BOTH, 50)).toBeUndefined();
  });
});

describe('what a worker was told', () => {
  test('may be acted on for as long as it was told once, also where it was told of an earlier end since', () => {
    const adoption = new ViewAckTracker();
    adoption.told('worker-1', 'v1', 100);
    // It hangs, and has not heard that the lease is over.
    adoption.told('worker-1', 'v1', Number.NEGATIVE_INFINITY);
    expect(adoption.mayActUntil(BOTH)).toBe(100);
    adoption.told('worker-1', 'v2', 90);
    expect(adoption.mayActUntil(BOTH)).toBe(100);
    expect(adoption.outstandingUntil('v2', BOTH, 50)).toBe(100);
  });

  test('by an earlier controller counts too, and what a worker was told that has ended does not', () => {
    const adoption = new ViewAckTracker();
    expect(adoption.mayActUntil(BOTH)).toBe(Number.NEGATIVE_INFINITY);
    adoption.mayHold('worker-1', 100);
    expect(adoption.mayActUntil(BOTH)).toBe(100);
    adoption.forget('worker-1');
    expect(adoption.mayActUntil(BOTH)).toBe(Number.NEGATIVE_INFINITY);
  });
});
