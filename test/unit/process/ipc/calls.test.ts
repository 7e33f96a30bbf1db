import { setImmediate } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { CallMessage } from '../../../../src/process/ipc/calls.ts';
import { Calls } from '../../../../src/process/ipc/calls.ts';

/** Two ends of a channel that clones its messages, like the channel between processes. */
function channel(methods: object): { here: Calls; there: Calls } {
  const here: Calls = new Calls((message) => there.take(structuredClone(message)));
  const there: Calls = new Calls((message) => here.take(structuredClone(message)), methods);
  return { here, there };
}

describe('a call', () => {
  test('returns the result of the method, or its error with the name', async () => {
    const { here } = channel({
      sum: async (x: number, y: number) => x + y,
      fail: async () => {
        throw Object.assign(new Error('no'), { name: 'StaleView' });
      },
    });
    expect(await here.call('sum', [1, 2], 1_000)).toBe(3);
    await expect(here.call('fail', [], 1_000)).rejects.toMatchObject({ name: 'StaleView', message: 'no' });
    await expect(here.call('nothing', [], 1_000)).rejects.toThrow('no method is named nothing');
  });

  test('without an answer fails after its own limit, and a late answer is dropped', async () => {
    const sent: CallMessage[] = [];
    const calls = new Calls((message) => void sent.push(message));
    await expect(calls.call('x', [], 5)).rejects.toMatchObject({ name: 'CallFailed' });
    expect(calls.take({ kind: 'return', call: 1, value: 1 })).toBe(true);
  });

  test('whose answer arrived before this process ran its timers succeeds', async () => {
    const { port1: peer, port2: here } = new MessageChannel();
    const calls = new Calls(() => undefined);
    here.on('message', (message: CallMessage) => calls.take(message));
    // After immediates, Node runs its timers before it reads channels.
    await setImmediate();
    const answer = calls.call('x', [], 5);
    // The answer is in the channel, and this process reads it only after the limit.
    peer.postMessage({ kind: 'return', call: 1, value: 'in time' });
    const until = performance.now() + 20;
    while (performance.now() < until);
    expect(await answer).toBe('in time');
    here.close();
  });

  test('fails when the peer is gone', async () => {
    const calls = new Calls(() => undefined);
    const failed = expect(calls.call('x', [], 60_000)).rejects.toThrow('worker-1 has ended');
    calls.fail('worker-1 has ended');
    await failed;
  });

  test('is distinguished from other messages', () => {
    expect(new Calls(() => undefined).take({ kind: 'hello' })).toBe(false);
  });
});
