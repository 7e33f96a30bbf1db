import { beforeEach, describe, expect, test } from 'vitest';
import type { FakeChild } from '../../support/fake-children.ts';
import { load, MINIMAL } from '../config/support.ts';
import { configOf, fakesTime, LIFECYCLE, pass, Supervised } from './support.ts';

let on: Supervised;

fakesTime();
beforeEach(async () => {
  on = new Supervised();
});

const standby = (): FakeChild => {
  expect(on.children.standbys).toHaveLength(1);
  return on.children.standbys[0] as FakeChild;
};

describe('a standby process', () => {
  test('starts once all children are ready, not before, and holds the sockets of all roles', async () => {
    on.children.habits = { born: ({ role, say }) => role === 'worker' && say({ kind: 'ready' }) };
    const starting = on.supervisor.start();
    await pass();
    expect(on.children.standbys).toEqual([]);
    on.children.controller.say({ kind: 'ready' });
    await starting;
    expect(Object.keys(standby().fds)).toEqual(['data', 'admin']);
  });

  test('replaces a crashed child, closes the sockets that it does not need, and is replaced by another standby process', async () => {
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

  test('that is still loading is used, and reports when it is ready', async () => {
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

  test('serves one crash only: of two children that crash at once, one gets a fresh process', async () => {
    await on.supervisor.start();
    const [one, other] = on.children.workers;
    one?.end('SIGKILL');
    other?.end('SIGKILL');
    await pass();
    expect(on.children.workers.map(({ startedAs }) => startedAs)).toEqual(['spare', 'worker']);
    standby();
  });

  test('restarts with backoff when it exits; one that hangs is killed', async () => {
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

  test('is replaced in a rolling restart before the controller ends, because it has the old code', async () => {
    await on.supervisor.start();
    const old = standby();
    await on.supervisor.reload('SIGHUP');
    expect(old.wasKilled).toBe(true);
    expect(on.children.controller.startedAs).toBe('spare');
    expect(on.children.workers.map(({ startedAs }) => startedAs)).toEqual(['worker', 'worker']);
    standby();
  });

  test('that cannot load the new code leaves the old controller in place', async () => {
    await on.supervisor.start();
    const { controller } = on.children;
    on.children.habits = { standby: (one) => one.end('exit code 1') };
    await on.supervisor.reload('SIGHUP');
    expect(on.log.some(({ msg }) => msg.includes('not all replaced'))).toBe(true);
    expect(on.children.controller).toBe(controller);
    expect(controller.shutdownCommand).toBeUndefined();
  });

  test('has the sockets that a reload adds, and none that it removes', async () => {
    await on.supervisor.start();
    on.nextConfig = () => load(`${MINIMAL}${LIFECYCLE}admin: { address: "127.0.0.1:9191" }\n`).config;
    await on.supervisor.reload('SIGHUP');
    const renewed = standby();
    on.children.controller.end('SIGKILL');
    await pass();
    expect(renewed.init.sockets).toEqual({ admin: { fd: 5, address: '127.0.0.1:9191' } });
  });

  test('ends with the gateway, which waits for its end', async () => {
    await on.supervisor.start();
    const last = standby();
    on.supervisor.stop('SIGTERM', { pollInterval: 0 });
    await on.supervisor.ended;
    expect(last.wasKilled).toBe(true);
    await pass(60_000);
    expect(on.children.standbys).toEqual([]);
  });

  test('stays when a reload is refused', async () => {
    await on.supervisor.start();
    const kept = standby();
    on.nextConfig = () => configOf('coordination: { lease: 5s }\n');
    await on.supervisor.reload('SIGHUP');
    expect(standby()).toBe(kept);
  });
});
