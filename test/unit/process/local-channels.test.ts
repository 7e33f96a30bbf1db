import { expect, test } from 'vitest';
import type { LocalChannelsOptions } from '../../../src/process/local-channels.ts';
import { LocalChannels } from '../../../src/process/local-channels.ts';
import type { HostLifecycle } from '../../../src/process/messages.ts';

const LIFE: HostLifecycle = { state: 'Running', inMaintenance: false, why: 'test' };

function channels(options: Partial<LocalChannelsOptions> = {}): LocalChannels {
  return new LocalChannels({
    onSettled: () => undefined,
    onRequest: async () => ({ ok: true, lifecycle: LIFE }),
    ...options,
  });
}

test('a message arrives after the step in which it was sent, in order, as the very same object', async () => {
  const local = channels();
  const controller = local.open('controller');
  const worker = local.open('worker-1');
  const got: unknown[] = [];
  worker.onMessage((body, from) => got.push([from, body]));
  controller.onMessage((body, from) => got.push([from, body]));
  const first = { n: 1 };

  controller.send('workers', first);
  worker.send('controller', 2);
  controller.send('worker-1', 3);
  expect(got).toEqual([]);
  await Promise.resolve();
  expect(got).toEqual([
    ['controller', { n: 1 }],
    ['worker-1', 2],
    ['controller', 3],
  ]);
  expect((got[0] as [string, unknown])[1]).toBe(first);
});

test('what is sent to a child that has ended is dropped, also what is on its way', async () => {
  const local = channels();
  const controller = local.open('controller');
  const worker = local.open('worker-1');
  const got: unknown[] = [];
  worker.onMessage((body) => got.push(body));
  controller.send('worker-1', 1);
  local.close('worker-1');
  controller.send('workers', 2);
  await Promise.resolve();
  expect(got).toEqual([]);
});

test('an event is known at once to all', () => {
  const local = channels();
  const got: unknown[] = [];
  local.open('controller').onEvent((event) => got.push(event));
  local.open('worker-1').onEvent((event) => got.push(event));
  local.broadcast({ kind: 'lifecycle', lifecycle: LIFE });
  expect(got).toEqual([
    { kind: 'lifecycle', lifecycle: LIFE },
    { kind: 'lifecycle', lifecycle: LIFE },
  ]);
});

test('requests are answered to the child that made them, and the end of the first probes is told', async () => {
  let settled = 0;
  const local = channels({
    onSettled: () => {
      settled += 1;
    },
    onRequest: async ({ kind }) => ({ ok: false, message: kind }),
  });
  const controller = local.open('controller');
  const [one, other] = await Promise.all([
    controller.ask({ kind: 'restart', why: 'test' }),
    controller.ask({ kind: 'reload', why: 'test' }),
  ]);
  expect([one, other]).toEqual([
    { ok: false, message: 'restart' },
    { ok: false, message: 'reload' },
  ]);
  controller.settled();
  expect(settled).toBe(1);
});
