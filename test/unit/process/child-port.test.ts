import { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { forking } from '../../../src/process/child-port.ts';
import type { FakeChild } from '../../support/fake-children.ts';
import { pass, Supervised } from './support.ts';

const { execPath } = process;

afterEach(() => {
  process.execPath = execPath;
  vi.restoreAllMocks();
  vi.useRealTimers();
});

// Without memory or free processes, Node throws some errors and emits others.
describe.each([
  ['thrown', `${import.meta.filename}/node`, 'spawn ENOTDIR'],
  ['emitted', '/nowhere/node', 'spawn /nowhere/node ENOENT'],
])('a process that cannot be started, which is %s', (_how, path, why) => {
  beforeEach(() => {
    process.execPath = path;
  });

  test('appears as an ended child, receives nothing, and kill() hits no other process', async () => {
    // A real signal to pid 0 would end this process and its group.
    const kill = vi.spyOn(ChildProcess.prototype, 'kill').mockReturnValue(true);
    const port = forking('/nowhere/main.js')({ role: 'worker', fds: {}, onMessage: () => undefined });
    port.kill();
    port.send({ kind: 'log-level', level: 'info' });
    expect(port.pid).toBe(0);
    expect(await port.exited).toBe(`no process could be started for it: ${why}`);
    port.kill();
    port.send({ kind: 'log-level', level: 'info' });
    expect(kill).not.toHaveBeenCalled();
  });

  test('makes the start of the gateway fail and leaves nothing behind', async () => {
    const on = new Supervised(forking('/nowhere/main.js'));
    await expect(on.supervisor.start()).rejects.toThrow(`no process could be started for it: ${why}`);
    expect(on.open).toEqual(new Set());
  });

  test('leaves the other children alone and restarts with backoff', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    const fork = forking('/nowhere/main.js');
    let isDamaged = false;
    const on: Supervised = new Supervised((start) => (isDamaged ? fork(start) : on.children.start(start)));
    await on.supervisor.start();
    isDamaged = true;
    // The live children and the standby process.
    const [victim, other] = on.children.workers as [FakeChild, FakeChild];
    victim.end('SIGKILL');
    on.children.standbys[0]?.end('SIGKILL');
    await pass();
    await pass(20_000);
    expect(on.children.workers).toEqual([other]);
    const failed = on.log.filter(({ how }) => String(how).endsWith(why));
    expect(Math.max(...failed.map(({ delayMs }) => delayMs as number))).toBe(5_000);
    isDamaged = false;
    await pass(5_000);
    expect(on.children.ids).toHaveLength(3);
    expect(on.children.standbys).toHaveLength(1);
  });
});

test('a child collects its garbage without threads that want the cores of others', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-test-'));
  try {
    const main = join(directory, 'main.mjs');
    writeFileSync(main, 'process.send(process.execArgv, () => process.disconnect());');
    const received: unknown[] = [];
    const onMessage = (message: unknown): void => void received.push(message);
    const port = forking(main)({ role: 'worker', fds: {}, onMessage });
    await port.exited;
    expect(received).toEqual([expect.arrayContaining(['--single-threaded-gc'])]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
