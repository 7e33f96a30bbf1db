import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FakeChild, FakeChildren } from '../../support/fake-children.ts';
import { configOf, pass, Supervised } from './support.ts';

let on: Supervised;
let children: FakeChildren;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  on = new Supervised();
  ({ children } = on);
  await on.supervisor.start();
  on.nextConfig = () => configOf('logging: { level: debug }\n');
});

afterEach(() => {
  vi.useRealTimers();
});

const levels = (): string[] => children.living.map(({ id, init }) => `${id} ${init.config.logging.level}`);
const isNew = ({ init }: FakeChild): boolean => init.config.logging.level === 'debug';
/** The controller does not start with the new configuration, and none of these workers does. */
const fails = (...ids: string[]): void => {
  children.habits = {
    born: (child) => {
      if (ids.includes(child.id)) child.end('no memory');
      else if (child.role === 'controller' && isNew(child)) child.end('exit code 1');
      else child.say({ kind: 'ready' });
    },
  };
};

describe('a reload that is taken back', () => {
  test('goes on with the other workers where one does not go back, and with that one later', async () => {
    // In the place of the first of the two, twice.
    fails('worker-5', 'worker-7');
    await on.supervisor.reload('SIGHUP');
    expect(levels()).toEqual(['worker-3 debug', 'controller info', 'worker-6 info']);
    const { err } = on.log.findLast(({ msg }) => msg.includes('not all replaced')) as unknown as {
      err: Error;
    };
    expect(err.message).toBe('a new controller does not start: exit code 1');
    expect(on.log.find(({ how }) => how === 'no memory')).toMatchObject({
      level: 40,
      child: 'worker-3',
      delayMs: 0,
      msg: expect.stringContaining('keeps the configuration that was taken back'),
    });
    await pass(10_000);
    expect(levels()).toEqual(['controller info', 'worker-6 info', 'worker-8 info']);
    const started = children.all.length;
    await pass(60_000);
    expect(children.all).toHaveLength(started);
  });
  test('has a worker that could not go back followed by one that has, when that dies', async () => {
    fails('worker-5', 'worker-7', 'worker-8');
    await on.supervisor.reload('SIGHUP');
    await pass();
    children.workers.find(isNew)?.end('SIGKILL');
    await pass(60_000);
    expect(levels()).toEqual(['controller info', 'worker-6 info', 'worker-9 info']);
  });

  test('does not go back any more once another one succeeds', async () => {
    fails('worker-5', 'worker-7');
    await on.supervisor.reload('SIGHUP');
    children.habits = {};
    on.nextConfig = () => configOf('logging: { level: warn }\n');
    await on.supervisor.reload('SIGHUP');
    await pass(60_000);
    expect(children.living.map(({ init }) => init.config.logging.level)).toEqual(['warn', 'warn', 'warn']);
  });

  test('lets one that comes too late leave again', async () => {
    fails('worker-5');
    await on.supervisor.reload('SIGHUP');
    children.habits = { born: () => undefined };
    await pass(1);
    const late = children.workers.at(-1);
    children.habits = {};
    children.workers.find(isNew)?.end('SIGKILL');
    await pass();
    late?.say({ kind: 'ready' });
    await pass();
    expect(late?.farewell?.kind).toBe('drain');
    expect(levels()).toEqual(['controller info', 'worker-6 info', 'worker-8 info']);
  });

  test('tries nothing again once the gateway is to end', async () => {
    fails('worker-5', 'worker-7', 'worker-8', 'worker-9');
    await on.supervisor.reload('SIGHUP');
    on.supervisor.stop('SIGTERM', { pollInterval: 0 });
    await pass(60_000);
    expect(levels()).toEqual([]);
  });

  test('starts no controller when it is told to stop while the failed one still ends', async () => {
    let failed: FakeChild | undefined;
    children.habits = {
      born: (child) => {
        // It is late, and then takes a moment to end.
        if (child.role === 'controller') failed = child;
        else child.say({ kind: 'ready' });
      },
      killed: (child) => (child === failed ? undefined : child.end('SIGKILL')),
    };
    const reloading = on.supervisor.reload('SIGHUP');
    await pass();
    await pass(30_000);
    expect(failed?.wasKilled).toBe(true);
    on.supervisor.stop('SIGTERM', { pollInterval: 0 });
    await pass();
    failed?.end('SIGKILL');
    await reloading;
    await pass(60_000);
    expect(levels()).toEqual([]);
  });
});

test('a worker that is one more, and ready when the gateway is told to stop, is followed by nobody', async () => {
  on.workers = 3;
  let third: FakeChild | undefined;
  children.habits = {
    born: (child) => {
      if (child.id === 'worker-5') third = child;
      else child.say({ kind: 'ready' });
    },
    // It hears it when it is ready.
    asked: (child) => (child === third ? undefined : child.end('exit code 0')),
  };
  const reloading = on.supervisor.reload('SIGHUP');
  await pass();
  on.supervisor.stop('SIGTERM', { pollInterval: 0 });
  await pass();
  third?.say({ kind: 'ready' });
  await pass();
  third?.end('exit code 0');
  await reloading;
  await pass(60_000);
  expect(levels()).toEqual([]);
});
