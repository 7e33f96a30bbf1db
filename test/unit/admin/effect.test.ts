import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EFFECT_MS, takesEffect } from '../../../src/admin/pool-acts.ts';

/** The part of a pool's agreed state that the wait needs. */
class Agreement {
  isEffective = true;
  decided = false;
  readonly listeners = new Set<() => void>();

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  become(change: Partial<Pick<Agreement, 'isEffective' | 'decided'>>): void {
    Object.assign(this, change);
    for (const listener of this.listeners) listener();
  }

  wait(): Promise<boolean> {
    return takesEffect(this, () => this.decided);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a change by an operator', () => {
  test('is in effect when every gateway acts on it, not before', async () => {
    const agreement = new Agreement();
    let ended: boolean | undefined;
    const waiting = agreement.wait().then((result) => {
      ended = result;
    });
    agreement.become({ decided: true, isEffective: false });
    await vi.advanceTimersByTimeAsync(EFFECT_MS - 1);
    expect(ended).toBeUndefined();
    agreement.become({ isEffective: true });
    await waiting;
    expect(ended).toBe(true);
  });

  test('is awaited no longer than an operator waits for an answer', async () => {
    const agreement = new Agreement();
    agreement.become({ decided: true, isEffective: false });
    const waiting = agreement.wait();
    await vi.advanceTimersByTimeAsync(EFFECT_MS);
    expect(await waiting).toBe(false);
  });

  test('leaves no listener behind, however the wait ends', async () => {
    const agreement = new Agreement();
    const late = agreement.wait();
    await vi.advanceTimersByTimeAsync(EFFECT_MS);
    await late;
    const inTime = agreement.wait();
    agreement.become({ decided: true });
    await inTime;
    await agreement.wait();
    expect(agreement.listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
