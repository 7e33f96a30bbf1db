import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ExplainQuestion } from '../../../../src/core/explanation.ts';
import { StoreUnavailable } from '../../../../src/core/ports.ts';
import type { CallMessage } from '../../../../src/process/ipc/calls.ts';
import { Calls } from '../../../../src/process/ipc/calls.ts';
import { Workers } from '../../../../src/process/ipc/workers.ts';
import type { WorkerId } from '../../../../src/process/messages.ts';

const QUESTION: ExplainQuestion = { pool: 'ici', user: 'MILLER' };
const none = (): undefined => undefined;

afterEach(() => {
  vi.useRealTimers();
});

/** Workers that answer by these methods, in the order of their starts. */
function workersWith(...methods: readonly object[]): Workers {
  const peers = new Map<WorkerId, Calls>();
  const workers: Workers = new Workers({
    send: (to, body) => void peers.get(to as WorkerId)?.take(structuredClone(body)),
    leaseMs: 3_000,
    watchdogMs: 10_000,
    onMetrics: none,
    onGone: none,
    onHello: none,
  });
  methods.forEach((methodsOfOne, i) => {
    const id: WorkerId = `worker-${i + 1}`;
    const answer = (message: CallMessage): void => workers.take(id, structuredClone(message));
    peers.set(id, new Calls(answer, methodsOfOne));
    workers.started(id);
  });
  return workers;
}

const failing = (name: string, message: string) => ({
  explain: async () => {
    throw Object.assign(new Error(message), { name });
  },
});
const telling = (sentence: string) => ({ explain: async () => ({ sentence }) });
const EARLIER = {};

describe('questions', () => {
  test('are asked of the workers in turns', async () => {
    const workers = workersWith(telling('1'), telling('2'), telling('3'));
    const told: string[] = [];
    for (let i = 0; i < 5; i += 1) told.push((await workers.explain(QUESTION)).sentence);
    expect(told).toEqual(['1', '2', '3', '1', '2']);
  });

  test('go to another worker, if one is of an earlier release or has not got the pool yet', async () => {
    const workers = workersWith(
      EARLIER,
      failing('ActRefused', 'this worker has no pool named ici'),
      telling('3'),
    );
    expect((await workers.explain(QUESTION)).sentence).toBe('3');
  });
});

describe('a question that is not answered', () => {
  test('says so if all workers are of an earlier release, and if there is none', async () => {
    await expect(workersWith(EARLIER, EARLIER).explain(QUESTION)).rejects.toMatchObject({
      statusCode: 409,
      message: expect.stringContaining('of an earlier release'),
    });
    await expect(workersWith().explain(QUESTION)).rejects.toMatchObject({
      statusCode: 409,
      message: expect.stringContaining('no worker now'),
    });
  });

  test('says that the store is away, and no other worker asks it', async () => {
    const asked = vi.fn();
    const other = { explain: async () => asked() };
    const error = await workersWith(failing('StoreUnavailable', 'redis: gone'), other)
      .explain(QUESTION)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreUnavailable);
    expect((error as Error).message).toBe('redis: gone');
    expect(asked).not.toHaveBeenCalled();
  });

  test('is an error of the gateway, if a worker has a bug', async () => {
    const error = await workersWith(failing('TypeError', 'x is not a function'), telling('2'))
      .explain(QUESTION)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'TypeError', message: 'x is not a function' });
    expect((error as { statusCode?: number }).statusCode).toBeUndefined();
  });

  test('is given up after some seconds, and says what is too slow', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const silent = { explain: () => new Promise(none) };
    const explaining = workersWith(silent, silent)
      .explain(QUESTION)
      .catch((reason: unknown) => reason);
    let error: unknown;
    void explaining.then((reason) => {
      error = reason;
    });
    for (let i = 0; i < 20 && error === undefined; i += 1) {
      vi.advanceTimersByTime(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(error).toMatchObject({ statusCode: 503, message: expect.stringContaining('is too slow') });
  });
});
