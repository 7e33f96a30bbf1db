import { setImmediate as turn } from 'node:timers/promises';
import { errors } from 'undici';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Attempt } from '../../../src/proxy/attempt.ts';
import type { Upstream } from '../../../src/proxy/upstream.ts';

const CHUNK = Buffer.alloc(64 * 1_024);
/** Longer than an answer of a lost instance may stall. */
const STALL_MS = 1_500;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const none = (): undefined => undefined;

/** An attempt whose answer has begun, and what has aborted it. */
function answered(): { attempt: Attempt; resumed: () => number; aborted: () => unknown } {
  let reason: unknown;
  let resumed = 0;
  const upstream = {
    connections: {},
    closeAfterEach: false,
    origin: 'http://i',
    authority: 'i',
    dispatch: () => true,
    isCurrent: () => true,
    ...{ sent: none, begin: none, end: none, leave: none, headerEnded: none },
  };
  const attempt = new Attempt(upstream as unknown as Upstream, {
    path: '/',
    headers: [],
    body: null,
    target: { instance: 'i', incarnation: '', root: undefined, entry: undefined },
    maySend: () => true,
    isAwaited: () => true,
    sender: { network: 'sap', stalledMs: () => 0, giveWay: none },
  });
  const inner = {
    onConnect: none,
    onHeaders: () => true,
    onData: () => true,
    onComplete: none,
    onError: none,
  };
  attempt.dispatch({ method: 'POST', path: '', origin: '' }, inner as never);
  const abort = (error?: Error): void => {
    reason = error;
  };
  attempt.onConnect(abort, {});
  const resume = (): void => {
    resumed += 1;
  };
  attempt.onHeaders(200, [Buffer.from('content-type'), Buffer.from('text/xml')], resume, 'OK');
  return { attempt, resumed: () => resumed, aborted: () => reason };
}

test('an answer of a lost instance that has to wait for other streams does not stall; one that stalls ends', async () => {
  const { attempt, resumed, aborted } = answered();
  attempt.giveUp();
  // As much as this turn of the event loop may pass, and more.
  let flows = true;
  for (let i = 0; i < 8 && flows; i += 1) flows = attempt.onData(CHUNK);
  expect(flows).toBe(false);

  // The process is busy with other streams for so long.
  vi.advanceTimersByTime(STALL_MS);
  expect(aborted()).toBeUndefined();

  await turn();
  expect(resumed()).toBe(1);
  vi.advanceTimersByTime(STALL_MS);
  expect(aborted()).toBeInstanceOf(errors.BodyTimeoutError);
});
