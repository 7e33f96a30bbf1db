import { beforeEach, describe, expect, test } from 'vitest';
import type { Supervisor } from '../../../src/process/supervisor.ts';
import type { FakeChild, FakeChildren } from '../../support/fake-children.ts';
import { fakesTime, pass, Supervised, WORKERS } from './support.ts';

let on: Supervised;
let children: FakeChildren;
let supervisor: Supervisor;

fakesTime();
beforeEach(() => {
  on = new Supervised();
  ({ children, supervisor } = on);
});

describe('a supervisor that starts', () => {
  test('gives each role its sockets, and announces a worker to the controller before it sends the worker its init', async () => {
    await supervisor.start();
    expect(children.ids).toEqual(['controller', 'worker-1', 'worker-2']);
    expect(children.controller.init.sockets).toEqual({ admin: { fd: 4, address: '127.0.0.1:9090' } });
    for (const worker of children.workers) {
      expect(worker.init.sockets).toEqual({ data: { fd: 4, address: '127.0.0.1:8080' } });
      expect(worker.init).toMatchObject({ replica: 'gw-1', lifecycle: { state: 'Starting' } });
    }
    const [, first] = children.workers;
    expect(first?.init.workers).toEqual([
      expect.objectContaining({ id: 'worker-1', pid: 1_001, isReady: false }),
    ]);
    const of = (line: string): number => children.story.indexOf(line);
    expect(of('worker-started worker-1 to controller')).toBeGreaterThanOrEqual(0);
    expect(of('worker-started worker-1 to controller')).toBeLessThan(of('init to worker-1'));
  });

  test('fails and leaves nothing behind when a child reports that it cannot start', async () => {
    const inUse = { code: 'EADDRINUSE', address: '127.0.0.1', port: 50_013 };
    children.habits = {
      born: (child) => {
        if (child.role === 'controller') child.say({ kind: 'ready' });
        else child.say({ kind: 'failed', message: 'listen EADDRINUSE', ...inUse });
      },
    };
    await expect(supervisor.start()).rejects.toMatchObject(inUse);
    expect(children.living).toEqual([]);
    expect(on.open).toEqual(new Set());
    await pass(60_000);
    expect(children.living).toEqual([]);
  });

  test('is Running when the controller reports that the instances were probed', async () => {
    await on.start();
    children.controller.say({ kind: 'settled' });
    for (const child of children.living) {
      expect(child.got.at(-1)).toMatchObject({ kind: 'lifecycle', lifecycle: { state: 'Running' } });
    }
  });
});

describe('a child that exits', () => {
  test('restarts at once, and the controller gets an event for both', async () => {
    await on.start();
    children.workers[0]?.end('SIGSEGV');
    await pass();
    expect(children.ids).toEqual(['controller', 'worker-2', 'worker-3']);
    expect(children.story).toEqual([
      'worker-gone worker-1 to controller',
      'worker-started worker-3 to controller',
      'init to worker-3',
    ]);
    expect(on.log.at(-1)).toMatchObject({ level: 40, child: 'worker-1', how: 'SIGSEGV', delayMs: 0 });
  });

  test('and is the controller: workers get an event when it is gone and when the next one is ready', async () => {
    await on.start();
    children.controller.end('SIGKILL');
    await pass();
    expect(children.controller.init.workers).toEqual(
      ['worker-1', 'worker-2'].map((id) => expect.objectContaining({ id, isReady: true })),
    );
    expect(children.story).toEqual([
      'controller-gone to worker-1',
      'controller-gone to worker-2',
      'init to controller',
      'controller-ready to worker-1',
      'controller-ready to worker-2',
    ]);
  });

  test('repeatedly restarts with backoff, without limit, and is logged as a crash loop', async () => {
    await on.start();
    children.habits = { born: (child) => child.end('exit code 1') };
    children.workers[0]?.end('exit code 1');
    const startsIn = async (ms: number): Promise<number> => {
      const before = children.all.length;
      await pass(ms);
      return children.all.length - before;
    };
    // At once, after 100, 300, 700, 1500, 3100 and 6300 ms; then every 5 s.
    expect(await startsIn(99)).toBe(1);
    expect(await startsIn(6_300)).toBe(6);
    expect(await startsIn(60_000)).toBe(12);
    const loops = on.log.filter(({ msg }) => msg.startsWith('crash loop'));
    expect(loops.at(-1)).toMatchObject({ level: 50, count: 20, delayMs: 5_000 });
    expect(loops.at(-1)?.msg).toContain('ici-gateway check');

    children.habits = {};
    await pass(5_000);
    expect(children.workers).toHaveLength(WORKERS);
    // It runs long enough for the next one to start at once.
    await pass(30_000);
    children.workers.at(-1)?.end('exit code 1');
    await pass();
    expect(children.workers).toHaveLength(WORKERS);
  });

  test('repeatedly without a ready peer restarts after a second at most', async () => {
    await on.start();
    children.habits = { born: (child) => child.end('exit code 1') };
    for (const worker of children.workers) worker.end('SIGKILL');
    await pass(60_000);
    // The first of the two exited while the other one was running, and has not exited since.
    const before = children.all.length;
    await pass(10_000);
    expect(children.all.length - before).toBe(2 * 10);
    children.controller.end('SIGKILL');
    await pass(60_000);
    const delays = on.log.filter(({ child }) => child === 'controller').map(({ delayMs }) => delayMs);
    expect(Math.max(...(delays as number[]))).toBe(1_000);
  });

  test('covers a child that is killed because it is not ready in time', async () => {
    await on.start();
    const [first] = children.workers;
    children.habits = { born: () => undefined };
    first?.end('SIGKILL');
    await pass();
    const hanging = children.workers.at(-1);
    children.habits = {};
    await pass(30_000);
    expect(hanging?.wasKilled).toBe(true);
    expect(children.workers).toHaveLength(WORKERS);
    expect(on.log.at(-1)).toMatchObject({
      child: hanging?.id,
      how: 'it was not ready within 30 s (SIGKILL)',
    });
  });
});

describe('messages', () => {
  test('reach their receiver, or all workers except the sender', async () => {
    await on.start();
    const [one, two] = children.workers as [FakeChild, FakeChild];
    one.say({ kind: 'relay', to: 'controller', body: 'up' });
    expect(children.controller.got.at(-1)).toEqual({ kind: 'relayed', from: 'worker-1', body: 'up' });
    children.controller.say({ kind: 'relay', to: 'workers', body: 'all' });
    expect([one, two].map(({ got }) => got.at(-1))).toEqual(
      Array(2).fill({ kind: 'relayed', from: 'controller', body: 'all' }),
    );
    one.say({ kind: 'relay', to: 'workers', body: 'others' });
    expect(two.got.at(-1)).toMatchObject({ from: 'worker-1', body: 'others' });
    expect(one.got.at(-1)).toMatchObject({ body: 'all' });
    one.say({ kind: 'relay', to: 'worker-99', body: 'lost' });
    two.end('SIGKILL');
    await pass();
    expect(children.workers).toHaveLength(WORKERS);
  });
});

describe('a rolling restart', () => {
  test('replaces one worker after the other, each ready before the old one drains, and the controller last', async () => {
    await on.start();
    const asking = children.controller;
    let answeredWhile: string[] = [];
    children.habits = {
      asked: (child, command) => {
        if (command.kind === 'handover') {
          answeredWhile = children.story.filter((line) => line.startsWith('answer'));
        }
        child.end('exit code 0');
      },
    };
    const answer = await on.answerTo(asking, { kind: 'restart', why: 'a new version' });
    expect(answer).toMatchObject({ answer: { ok: true } });
    expect(answeredWhile).toEqual(['answer to controller']);
    await pass();
    const acts = children.story.filter((line) => /^(init|drain|handover)/.test(line));
    expect(acts).toEqual([
      'init to worker-3',
      'drain to worker-1',
      'init to worker-4',
      'drain to worker-2',
      'handover to controller',
      'init to controller',
    ]);
    expect(children.ids).toEqual(['worker-3', 'worker-4', 'controller']);
    expect(on.open.size).toBe(2);
    expect(on.log.some(({ msg }) => msg.startsWith('crash') || msg.includes('unexpectedly'))).toBe(false);
  });

  test('keeps the old workers if a new one cannot start, and reports it', async () => {
    await on.start();
    children.habits = { born: (child) => child.say({ kind: 'failed', message: 'bad code' }) };
    const asked = on.answerTo(children.controller, { kind: 'restart', why: 'a new version' });
    await pass();
    // It reports the failure and ends.
    children.workers.at(-1)?.end('exit code 1');
    expect(await asked).toMatchObject({
      answer: { ok: false, message: 'a new worker does not start: bad code' },
    });
    await pass(60_000);
    expect(children.ids).toEqual(['controller', 'worker-1', 'worker-2']);
    expect(children.living.some(({ shutdownCommand }) => shutdownCommand !== undefined)).toBe(false);
  });

  test('that is requested during another one runs afterwards, once for all requests', async () => {
    await on.start();
    children.habits = { born: () => undefined };
    for (let i = 0; i < 3; i += 1) {
      children.controller.say({ kind: 'request', request: i, what: { kind: 'restart', why: 'again' } });
    }
    await pass();
    children.habits = {};
    children.workers.at(-1)?.say({ kind: 'ready' });
    await pass();
    // Two runs of two workers and a controller each, after the first start.
    expect(children.all).toHaveLength(3 + 2 * 3);
    expect(children.ids).toEqual(['worker-5', 'worker-6', 'controller']);
  });

  test('kills a worker that does not end in time', async () => {
    await on.start();
    const [stuck] = children.workers;
    children.habits = { asked: (child) => (child === stuck ? undefined : child.end('exit code 0')) };
    await on.answerTo(children.controller, { kind: 'restart', why: 'a new version' });
    await pass(89_000);
    expect(stuck?.isAlive).toBe(true);
    // It has cut off its own requests in time to report them.
    expect(stuck?.shutdownCommand?.graceMs).toBe(88_500);
    await pass(1_000);
    expect(stuck?.wasKilled).toBe(true);
    expect(children.living).toHaveLength(3);
  });
});

describe('a stop', () => {
  test('waits for the poll interval, closes the sockets, drains the workers, and the controller leaves last', async () => {
    await on.start();
    children.controller.say({ kind: 'settled' });
    children.habits = { asked: (child) => void setTimeout(() => child.end('exit code 0'), 1_000) };
    supervisor.stop('SIGTERM');
    expect(children.workers[0]?.got.at(-1)).toMatchObject({ lifecycle: { state: 'Stopping' } });
    await pass(3_900);
    expect(on.open.size).toBe(2);
    expect(children.living.some(({ shutdownCommand }) => shutdownCommand !== undefined)).toBe(false);
    await pass(200);
    expect(on.open.size).toBe(0);
    expect(children.workers.map(({ shutdownCommand }) => shutdownCommand?.kind)).toEqual(['drain', 'drain']);
    expect(children.controller.shutdownCommand).toBeUndefined();
    await pass(1_000);
    expect(children.ids).toEqual(['controller']);
    expect(children.controller.shutdownCommand?.kind).toBe('leave');
    expect(await on.hasEnded()).toBe(false);
    await pass(1_000);
    expect(await on.hasEnded()).toBe(true);
    await pass(60_000);
    expect(children.all).toHaveLength(3);
  });

  test('before the start prevents a later start', async () => {
    const starting = supervisor.start();
    supervisor.stop('SIGTERM', { pollInterval: 0 });
    await starting;
    expect(await on.hasEnded()).toBe(true);
    await pass(60_000);
    expect(children.story).toEqual([]);
    expect([...on.open]).toEqual([]);
  });

  test('requested a second time kills children that do not end', async () => {
    await on.start();
    children.habits = { asked: (child) => (child.role === 'worker' ? undefined : child.end('exit code 0')) };
    supervisor.stop('SIGTERM');
    await pass(5_000);
    expect(children.workers).toHaveLength(WORKERS);
    supervisor.stop('SIGTERM', { pollInterval: 0, timeout: 0 });
    expect(await on.hasEnded()).toBe(true);
    expect(children.living).toEqual([]);
  });

  test('lets no child be replaced any more', async () => {
    await on.start();
    children.habits = { born: () => undefined, asked: () => undefined };
    const { controller } = children;
    controller.say({ kind: 'request', request: 1, what: { kind: 'restart', why: 'a new version' } });
    await pass();
    supervisor.stop('SIGINT', { pollInterval: 0 });
    await pass();
    expect(children.workers.every(({ shutdownCommand }) => shutdownCommand?.kind === 'drain')).toBe(true);
    for (const worker of children.workers) worker.end('exit code 0');
    await pass();
    controller.end('exit code 0');
    expect(await on.hasEnded()).toBe(true);
    expect(children.living).toEqual([]);
    expect(children.all).toHaveLength(4);
  });
});

describe('the log level', () => {
  test('moves by one step for all children, and not beyond the first or last level', async () => {
    await on.start();
    for (let i = 0; i < 9; i += 1) supervisor.moveLogLevel(-1);
    expect(children.workers[0]?.got.at(-1)).toEqual({ kind: 'log-level', level: 'silent' });
    supervisor.moveLogLevel(1);
    expect(children.controller.got.at(-1)).toEqual({ kind: 'log-level', level: 'error' });
  });
});
