import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FakeChild } from '../../support/fake-children.ts';
import { load, MINIMAL } from '../config/support.ts';
import { pass, Supervised } from './support.ts';

let on: Supervised;

beforeEach(async () => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'],
  });
  on = new Supervised();
  await on.supervisor.start();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Advances time while only these children send heartbeats. */
async function hear(children: readonly FakeChild[], ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 250) {
    for (const { say } of children) say({ kind: 'alive' });
    await pass(250);
  }
}

describe('the watchdog', () => {
  test('kills only a child that is silent for too long, and the child restarts', async () => {
    const [hung, fine] = on.children.workers as [FakeChild, FakeChild];
    const { controller } = on.children;
    await hear([fine, controller], 10_000);
    expect(hung.wasKilled).toBe(false);
    await hear([fine, controller], 1_000);
    expect(hung.wasKilled).toBe(true);
    expect(on.log.find(({ msg }) => msg.startsWith('a process hangs'))).toMatchObject({
      level: 50,
      child: 'worker-1',
      childPid: hung.pid,
    });
    expect(on.children.ids).toEqual(['controller', 'worker-2', 'worker-3']);
    expect([fine, controller].some(({ wasKilled }) => wasKilled)).toBe(false);
  });

  test('does not count other messages as heartbeats: a spinning process may still send them', async () => {
    const { controller } = on.children;
    for (let at = 0; at < 11_000; at += 250) {
      controller.say({ kind: 'relay', to: 'workers', body: {} });
      await hear(on.children.workers, 250);
    }
    expect(controller.wasKilled).toBe(true);
  });

  test('does not count silence during a pause of the supervisor itself', async () => {
    const before = on.children.living;
    // Like a suspended machine: time has passed, and no timer has run.
    const awake = performance.now.bind(performance);
    const slept = vi.spyOn(performance, 'now').mockImplementation(() => awake() + 60_000);
    await pass(500);
    await hear(on.children.living, 2_000);
    slept.mockRestore();
    expect(before.some(({ wasKilled }) => wasKilled)).toBe(false);
  });

  test('waits without limit if the timeout is 0', async () => {
    on.nextConfig = () => load(`${MINIMAL}lifecycle: { watchdogTimeout: 0s }\n`).config;
    await on.supervisor.reload('SIGHUP');
    const silent = on.children.living;
    await pass(60_000);
    expect(silent.some(({ wasKilled }) => wasKilled)).toBe(false);
  });
});
