import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GatewayAnnouncer } from '../../../src/coordination/gateway-announcer.ts';
import type { GatewayEntry, GatewayRegistry } from '../../../src/core/gateways.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { entryOf } from '../../support/gateway-entry.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A registry that answers when the test says so. */
class SlowRegistry implements GatewayRegistry {
  readonly calls: string[] = [];
  answer: () => Promise<void> = async () => {};

  async write({ state }: GatewayEntry): Promise<void> {
    this.calls.push(`write ${state}`);
    await this.answer();
  }

  async remove(replica: string): Promise<void> {
    this.calls.push(`remove ${replica}`);
    await this.answer();
  }

  list(): Promise<never> {
    return Promise.reject(new Error('is not asked here'));
  }
}

function announced() {
  const registry = new SlowRegistry();
  let entry = entryOf('one', 'Starting');
  const announcer = new GatewayAnnouncer({ registry, entry: () => entry });
  return {
    registry,
    announcer,
    become: (state: GatewayEntry['state'], leaseRemainingMs = 900) => {
      entry = { ...entry, state, pools: entry.pools.map((pool) => ({ ...pool, leaseRemainingMs })) };
      announcer.changed();
    },
  };
}

describe('a gateway that announces itself', () => {
  test('writes every 2 s, and soon after a change of more than the rest of its lease', async () => {
    const { registry, announcer, become } = announced();
    become('Starting');
    announcer.start();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(registry.calls).toEqual(['write Starting']);
    become('Starting', 300);
    await vi.advanceTimersByTimeAsync(500);
    expect(registry.calls).toHaveLength(1);
    become('Running');
    become('Draining');
    become('Running');
    await vi.advanceTimersByTimeAsync(200);
    expect(registry.calls).toEqual(['write Starting', 'write Running']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(registry.calls).toEqual(['write Starting', 'write Running', 'write Running']);
    await announcer.close({ remove: false });
    become('Stopped');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(registry.calls).toHaveLength(3);
  });

  test('has one write under way at a time, and writes what changed meanwhile after it', async () => {
    const { registry, announcer, become } = announced();
    let release = (): void => {};
    registry.answer = () => new Promise((resolve) => (release = resolve));
    announcer.start();
    become('Running');
    await vi.advanceTimersByTimeAsync(9_000);
    expect(registry.calls).toEqual(['write Starting']);
    release();
    await vi.advanceTimersByTimeAsync(200);
    expect(registry.calls).toEqual(['write Starting', 'write Running']);
    release();
    await announcer.close({ remove: false });
  });

  test('tries again when the store was away, and ends though it cannot remove its entry', async () => {
    const { registry, announcer } = announced();
    registry.answer = () => Promise.reject(new StoreUnavailable('redis: not connected'));
    announcer.start();
    await vi.advanceTimersByTimeAsync(2_500);
    expect(registry.calls).toEqual(['write Starting', 'write Starting']);
    await announcer.close({ remove: true });
    expect(registry.calls.at(-1)).toBe('remove one');
  });

  test('removes its entry only after a write that is under way, which would bring it back', async () => {
    const { registry, announcer } = announced();
    let release = (): void => {};
    registry.answer = () => new Promise((resolve) => (release = resolve));
    announcer.start();
    const closed = announcer.close({ remove: true });
    await vi.advanceTimersByTimeAsync(100);
    expect(registry.calls).toEqual(['write Starting']);
    registry.answer = async () => {};
    release();
    await closed;
    expect(registry.calls).toEqual(['write Starting', 'remove one']);
  });
});
