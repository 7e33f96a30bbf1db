import { beforeEach, describe, expect, test } from 'vitest';
import type { FakeChild, FakeChildren } from '../../support/fake-children.ts';
import { configOf, fakesTime, pass, Supervised } from './support.ts';

let on: Supervised;
let children: FakeChildren;

fakesTime();
beforeEach(async () => {
  on = new Supervised();
  ({ children } = on);
  await on.supervisor.start();
  on.nextConfig = () => configOf('logging: { level: debug }\n');
});

const levels = (): string[] => children.living.map(({ id, init }) => `${id} ${init.config.logging.level}`);
const isNew = ({ init }: FakeChild): boolean => init.config.logging.level === 'debug';
/** Neither the controller nor any of these workers starts with the new configuration. */
const fails = (...ids: string[]): void => {
  children.habits = {
    born: (child) => {
      if (ids.includes(child.id)) child.end('no memory');
      else if (child.role === 'controller' && isNew(child)) child.end('exit code 1');
      else child.say({ kind: 'ready' });
    },
  };
};

describe('a reload that is rolled back', () => {
  test('rolls back the other workers if one cannot, and retries that one later', async () => {
    // Two attempts for the slot of the first worker.
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
      msg: expect.stringContaining('still runs the configuration that was rolled back'),
    });
    await pass(10_000);
    expect(levels()).toEqual(['controller info', 'worker-6 info', 'worker-8 info']);
    const started = children.all.length;
    await pass(60_000);
    expect(children.all).toHaveLength(started);
  });
  test('restarts a worker whose rollback failed with the old configuration when it exits', async () => {
    fails('worker-5', 'worker-7', 'worker-8');
    await on.supervisor.reload('SIGHUP');
    await pass();
    children.workers.find(isNew)?.end('SIGKILL');
    await pass(60_000);
    expect(levels()).toEqual(['controller info', 'worker-6 info', 'worker-9 info']);
  });

  test('stops rolling back once another reload succeeds', async () => {
    fails('worker-5', 'worker-7');
    await on.supervisor.reload('SIGHUP');
    children.habits = {};
    on.nextConfig = () => configOf('logging: { level: warn }\n');
    await on.supervisor.reload('SIGHUP');
    await pass(60_000);
    expect(children.living.map(({ init }) => init.config.logging.level)).toEqual(['warn', 'warn', 'warn']);
  });

  test('drains a worker that becomes ready too late', async () => {
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
    expect(late?.shutdownCommand?.kind).toBe('drain');
    expect(levels()).toEqual(['controller info', 'worker-6 info', 'worker-8 info']);
  });

  test('stops retrying once the gateway stops', async () => {
    fails('worker-5', 'worker-7', 'worker-8', 'worker-9');
    await on.supervisor.reload('SIGHUP');
    on.supervisor.stop('SIGTERM', { pollInterval: 0 });
    await pass(60_000);
    expect(levels()).toEqual([]);
  });

  test('starts no controller if a stop comes while the failed one is still ending', async () => {
    let failed: FakeChild | undefined;
    children.habits = {
      born: (child) => {
        // It exceeds the time limit, and then takes a moment to end.
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

test('an additional worker that becomes ready when the gateway stops has no successor', async () => {
  on.workers = 3;
  let third: FakeChild | undefined;
  children.habits = {
    born: (child) => {
      if (child.id === 'worker-5') third = child;
      else child.say({ kind: 'ready' });
    },
    // It receives the command when it is ready.
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
