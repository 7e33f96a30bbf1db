import { afterEach, expect, test, vi } from 'vitest';
import type { Claim } from '../../../../src/core/binding.ts';
import { StoreUnavailable } from '../../../../src/core/ports.ts';
import type { CallMessage } from '../../../../src/process/ipc/calls.ts';
import { Calls } from '../../../../src/process/ipc/calls.ts';
import { EmbeddedStoreClient } from '../../../../src/process/ipc/embedded-store-client.ts';

const USER = { kind: 'user', value: 'U' } as const;
const AT_A = { instance: 'a', incarnation: '' };
// Longer than a worker waits for the controller.
const SLOW_MS = 60_000;

afterEach(() => void vi.useRealTimers());

/** A worker's claim, and the means to let the controller's store answer it. */
function claimOf(isLocal: boolean): { readonly claim: Promise<Claim>; answer(): void } {
  let answer = (): void => undefined;
  const done = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const storeClaim = async (): Promise<unknown> => {
    await done;
    return { made: true };
  };
  const controller: Calls = new Calls((message: CallMessage) => void worker.take(message), { storeClaim });
  const worker: Calls = new Calls((message: CallMessage) => void controller.take(message));
  return { claim: new EmbeddedStoreClient('ici', worker, isLocal).claim([USER], AT_A, 't'), answer };
}

test('a claim waits for a slow store whose controller is in the same process', async () => {
  vi.useFakeTimers();
  const { claim, answer } = claimOf(true);
  await vi.advanceTimersByTimeAsync(SLOW_MS);
  answer();
  expect(await claim).toEqual({ made: true });
});

test('a claim does not wait for long for a controller in another process', async () => {
  vi.useFakeTimers();
  const { claim } = claimOf(false);
  const refused = expect(claim).rejects.toThrow(StoreUnavailable);
  await vi.advanceTimersByTimeAsync(SLOW_MS);
  await refused;
});
