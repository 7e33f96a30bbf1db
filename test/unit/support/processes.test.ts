import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { halt, sendSignal } from '../../support/processes.ts';

test('a signal to a process that has ended, or to its group, does nothing', async () => {
  const child = spawn('true', { detached: true, stdio: 'ignore' });
  await once(child, 'exit');
  const pid = child.pid as number;
  expect(sendSignal(pid, 'SIGKILL')).toBe(false);
  expect(sendSignal(-pid, 'SIGKILL')).toBe(false);
  expect(await halt(pid)).toBe(false);
});

test('a process that lives gets the signal, and is known to have stopped', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const pid = child.pid as number;
  expect(await halt(pid)).toBe(true);
  expect(sendSignal(pid, 'SIGKILL')).toBe(true);
  expect(await ended).toEqual([null, 'SIGKILL']);
});
