import { expect, test } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import type { StoreEvents, Stores } from '../../../src/wiring/opened-stores.ts';
import { openedOnce } from '../../../src/wiring/shared-parts.ts';

const CONFIG = {} as Config;

function recorder(): { readonly told: string[]; readonly events: StoreEvents } {
  const told: string[] = [];
  return {
    told,
    events: {
      onDown: (detail) => told.push(`down ${detail}`),
      onHearing: (state, detail) => told.push(`hearing ${state} ${detail}`),
    },
  };
}

test('stores that two halves of one process share are opened once, tell both, and close with the last', async () => {
  const opened: StoreEvents[] = [];
  let closed = 0;
  const open = openedOnce(async (_config, events) => {
    opened.push(events);
    return {
      isShared: true,
      gateways: undefined,
      close: async () => {
        closed += 1;
      },
    } as Stores;
  });
  const [controller, worker] = [recorder(), recorder()];

  const first = await open(CONFIG, controller.events);
  opened[0]?.onHearing('up', 'connected');
  const second = await open(CONFIG, worker.events);
  expect(opened).toHaveLength(1);
  opened[0]?.onDown('refused');
  // The one that came later is told what holds.
  expect(worker.told).toEqual(['hearing up connected', 'down refused']);
  expect(controller.told).toEqual(['hearing up connected', 'down refused']);

  await second.close();
  opened[0]?.onDown('again');
  expect(worker.told).toHaveLength(2);
  expect(closed).toBe(0);
  await first.close();
  expect(closed).toBe(1);
});
