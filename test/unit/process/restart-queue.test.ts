import { beforeEach, describe, expect, test } from 'vitest';
import type { FakeChild } from '../../support/fake-children.ts';
import { fakesTime, pass, Supervised } from './support.ts';

let on: Supervised;

fakesTime();
beforeEach(async () => {
  on = new Supervised();
  on.workers = 4;
  await on.supervisor.start();
  on.children.habits = { born: () => undefined };
});

const starting = (): FakeChild[] => on.children.living.filter(({ init }) => init.id !== 'controller');

async function killWorkers(): Promise<void> {
  for (const worker of on.children.workers) worker.end('SIGKILL');
  await pass();
}

describe('of four workers that die at once', () => {
  test('the standby process takes the first place, and each other one starts when the one before is ready', async () => {
    await killWorkers();
    expect(starting().map(({ startedAs }) => startedAs)).toEqual(['spare']);
    for (const ready of [1, 2, 3]) {
      starting().at(-1)?.say({ kind: 'ready' });
      await pass();
      expect(starting()).toHaveLength(ready + 1);
    }
    starting().at(-1)?.say({ kind: 'ready' });
    await pass();
    expect(on.children.workers).toHaveLength(4);
    expect(on.children.standbys).toHaveLength(1);
  });

  test('one that ends again, or hangs, does not keep the others away', async () => {
    await killWorkers();
    starting()[0]?.end('exit code 1');
    await pass();
    expect(starting()).toHaveLength(1);
    await pass(2_000);
    expect(starting().length).toBeGreaterThan(1);
  });

  test('none starts any more once the gateway ends', async () => {
    await killWorkers();
    on.supervisor.stop('SIGTERM', { pollInterval: 0, timeout: 0 });
    await on.supervisor.ended;
    await pass(60_000);
    expect(on.children.living).toEqual([]);
  });
});

test('the controller comes before the workers that died with it', async () => {
  const { controller } = on.children;
  await killWorkers();
  controller.end('SIGKILL');
  await pass();
  starting()[0]?.say({ kind: 'ready' });
  await pass();
  expect(on.children.living.map(({ role }) => role)).toEqual(['worker', 'controller']);
});
