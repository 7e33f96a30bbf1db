import { expect, test } from 'vitest';
import { Channel } from '../../../../src/process/channel.ts';
import { Workers } from '../../../../src/process/ipc/workers.ts';
import type { LiveChild, ToChild, WorkerId } from '../../../../src/process/messages.ts';

const worker = (id: WorkerId): LiveChild => ({ id, pid: 1, startedAt: 0 });
const counted = (from: WorkerId, count: number): ToChild => ({
  kind: 'relayed',
  from,
  body: { kind: 'metrics', metrics: [count] },
});

test('messages of workers are handled before their end, even if all of it waited for a controller', async () => {
  let arrives: (message: ToChild) => void = () => undefined;
  const channel = new Channel({
    on: (_, handler) => {
      arrives = handler;
    },
    send: () => undefined,
  });
  const heard: unknown[] = [];
  const workers = new Workers({
    send: () => undefined,
    leaseMs: 3_000,
    watchdogMs: 10_000,
    onMetrics: (id, [count]) => heard.push([id, count]),
    onGone: (id) => heard.push([id, 'gone']),
    onHello: () => undefined,
  });
  // Meanwhile the controller is loading.
  arrives(counted('worker-1', 1));
  arrives({ kind: 'worker-started', worker: worker('worker-2') });
  arrives(counted('worker-2', 2));
  arrives(counted('worker-1', 3));
  arrives({ kind: 'worker-gone', worker: worker('worker-1') });
  arrives({ kind: 'worker-gone', worker: worker('worker-2') });
  const meeting = workers.collectKnowledge(['worker-1'], 60_000);
  workers.listen(channel, () => undefined);
  // No worker is left to wait for.
  await meeting;
  expect(heard).toEqual([
    ['worker-1', 1],
    ['worker-2', 2],
    ['worker-1', 3],
    ['worker-1', 'gone'],
    ['worker-2', 'gone'],
  ]);

  heard.length = 0;
  arrives({ kind: 'worker-started', worker: worker('worker-3') });
  arrives(counted('worker-3', 4));
  arrives({ kind: 'worker-gone', worker: worker('worker-3') });
  expect(heard).toEqual([
    ['worker-3', 4],
    ['worker-3', 'gone'],
  ]);
});
