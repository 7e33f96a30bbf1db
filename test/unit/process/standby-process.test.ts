import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FakeChild } from '../../support/fake-children.ts';
import { load, MINIMAL } from '../config/support.ts';
import { configOf, LIFECYCLE, pass, Supervised } from './support.ts';

let on: Supervised;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  on = new Supervised();
});

afterEach(() => {
  vi.useRealTimers();
});

const standby = (): FakeChild => {
  expect(on.children.spares).toHaveLength(1);
  return on.children.spares[0] as FakeChild;
};

describe('a spare process', () => {
  test('is there once all others are ready, not before, and holds the sockets of all roles', async () => {
    on.children.habits = { born: ({ role, say }) => role === 'worker' && say({ kind: 'ready' }) };
    const starting = on.supervisor.start();
    await pass();
    expect(on.children.spares).toEqual([]);
    on.children.controller.say({ kind: 'ready' });
    await starting;
    expect(Object.keys(standby().fds)).toEqual(['data', 'admin']);
  });

  test('takes the place of whoever dies, gives up what it does not need of sockets, and is followed by another', async () => {
    await on.supervisor.start();
    const first = standby();
    on.children.workers[0]?.end('SIGKILL');
    await pass();
    expect(first.init).toMatchObject({
      role: 'worker',
      id: 'worker-3',
      sockets: { data: { fd: 4, address: '127.0.0.1:8080' } },
      surplusFds: [5],
    });
    const second = standby();
    on.children.controller.end('SIGKILL');
    await pass();
    expect(second.init).toMatchObject({
      role: 'controller',
      sockets: { admin: { fd: 5, address: '127.0.0.1:9090' } },
      surplusFds: [4],
    });
    standby();
  });

  test('that still loads is taken all the same, and is heard when it is ready', async () => {
    on.children.habits = { standby: () => undefined };
    await on.supervisor.start();
    const loading = standby();
    on.children.controller.end('SIGKILL');
    await pass();
    expect(on.children.controller).toBe(loading);
    loading.say({ kind: 'loaded' });
    await pass(60_000);
    expect(loading.isAlive).toBe(true);
    standby();
  });

  test('is not waited for: of two who die at once, one is followed by a fresh process', async () => {
    await on.supervisor.start();
    const [one, other] = on.children.workers;
    one?.end('SIGKILL');
    other?.end('SIGKILL');
    await pass();
    expect(on.children.workers.map(({ startedAs }) => startedAs)).toEqual(['spare', 'worker']);
    standby();
  });

  test('that dies is started again, later and later; one that hangs is killed', async () => {
    on.children.habits = { standby: (one) => one.end('exit code 1') };
    await on.supervisor.start();
    await pass();
    expect(on.log.at(-1)).toMatchObject({ level: 40, how: 'exit code 1', count: 2, delayMs: 100 });
    on.children.habits = { standby: () => undefined };
    await pass(100);
    const hanging = standby();
    await pass(30_000);
    expect(hanging.wasKilled).toBe(true);
    await pass(1);
    expect(standby()).not.toBe(hanging);
  });

  test('is renewed by a rolling restart before the controller ends, for it is of the old code', async () => {
    await on.supervisor.start();
    const old = standby();
    await on.supervisor.reload('SIGHUP');
    expect(old.wasKilled).toBe(true);
    expect(on.children.controller.startedAs).toBe('spare');
    expect(on.children.workers.map(({ startedAs }) => startedAs)).toEqual(['worker', 'worker']);
    standby();
  });

  test('that cannot load the new code lets the old controller stay', async () => {
    await on.supervisor.start();
    const { controller } = on.children;
    on.children.habits = { standby: (one) => one.end('exit code 1') };
    await on.supervisor.reload('SIGHUP');
    expect(on.log.some(({ msg }) => msg.includes('not all replaced'))).toBe(true);
    expect(on.children.controller).toBe(controller);
    expect(controller.farewell).toBeUndefined();
  });

  test('has the sockets that a reload brings, and none that it gives up', async () => {
    await on.supervisor.start();
    on.nextConfig = () => load(`${MINIMAL}${LIFECYCLE}admin: { address: "127.0.0.1:9191" }\n`).config;
    await on.supervisor.reload('SIGHUP');
    const renewed = standby();
    on.children.controller.end('SIGKILL');
    await pass();
    expect(renewed.init.sockets).toEqual({ admin: { fd: 5, address: '127.0.0.1:9191' } });
  });

  test('ends with the gateway, which waits for that', async () => {
    await on.supervisor.start();
    const last = standby();
    on.supervisor.stop('SIGTERM', { pollInterval: 0 });
    await on.supervisor.ended;
    expect(last.wasKilled).toBe(true);
    await pass(60_000);
    expect(on.children.spares).toEqual([]);
  });

  test('is not touched by a reload that is refused', async () => {
    await on.supervisor.start();
    const kept = standby();
    on.nextConfig = () => configOf('coordination: { lease: 5s }\n');
    await on.supervisor.reload('SIGHUP');
    expect(standby()).toBe(kept);
  });
});
