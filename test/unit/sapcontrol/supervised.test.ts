import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { ActRefused } from '../../../src/core/act-refused.ts';
import type { HostAnswer, HostChannel, HostRequest, Init, LiveChild } from '../../../src/process/messages.ts';
import { supervised } from '../../../src/wiring/supervised.ts';
import { load, MINIMAL } from '../config/support.ts';

const worker = (number: number): LiveChild => ({ id: `worker-${number}`, pid: 1_000 + number, startedAt: 0 });

function controller(answer: (what: HostRequest) => Promise<HostAnswer>) {
  const asked: HostRequest[] = [];
  const init: Init = {
    kind: 'init',
    protocol: 1,
    role: 'controller',
    id: 'controller',
    config: load(MINIMAL).config,
    replica: 'gw-1',
    secret: 'secret',
    lifecycle: { state: 'Running', inMaintenance: false, why: '' },
    logLevel: 'info',
    host: { pid: 900, startedAt: Date.UTC(2019, 4, 1) },
    workers: [worker(1)],
    controllerReady: false,
    sockets: {},
    surplusFds: [],
    shownConfig: {},
  };
  const channel: HostChannel = {
    ask: (what) => {
      asked.push(what);
      return answer(what);
    },
    send: () => {},
    onMessage: () => {},
    onEvent: () => {},
    settled: () => {},
  };
  const status = () => {
    throw new Error('not used in this test');
  };
  return { asked, ...supervised({ init, channel, status, logger: pino({ level: 'silent' }) }) };
}

const agrees = async (): Promise<HostAnswer> => ({
  ok: true,
  lifecycle: { state: 'Stopping', inMaintenance: false, why: '' },
});

describe('a controller', () => {
  test('reports the supervisor as the process, and tracks the live workers', () => {
    const { parts, onEvent } = controller(agrees);
    expect([parts.pid, parts.startedAt.toISOString()]).toEqual([900, '2019-05-01T00:00:00.000Z']);
    expect([parts.liveWorkers(), parts.pids()]).toEqual([1, [900, process.pid, 1_001]]);
    onEvent({ kind: 'worker-started', worker: worker(2) });
    onEvent({ kind: 'worker-gone', worker: worker(1) });
    onEvent({ kind: 'log-level', level: 'debug' });
    expect([parts.liveWorkers(), parts.pids()]).toEqual([1, [900, process.pid, 1_002]]);
    onEvent({ kind: 'worker-gone', worker: worker(2) });
    expect(parts.liveWorkers()).toBe(0);
  });

  test('omits the pid of a worker without a process, because a signal to pid 0 reaches a whole group', () => {
    const { parts, onEvent } = controller(agrees);
    onEvent({ kind: 'worker-started', worker: { id: 'worker-2', pid: 0, startedAt: 0 } });
    expect(parts.pids()).toEqual([900, process.pid, 1_001]);
  });

  test('lets its supervisor stop the gateway', async () => {
    const { parts, asked } = controller(agrees);
    await parts.stop(5_000);
    await parts.stop(0);
    await parts.stop(undefined);
    expect(asked).toEqual([
      { kind: 'stop', why: 'SAPControl', softTimeoutMs: 5_000 },
      { kind: 'stop', why: 'SAPControl', softTimeoutMs: 0 },
      { kind: 'stop', why: 'SAPControl' },
    ]);
  });

  test('forwards the reason for a refused stop', async () => {
    const { parts } = controller(async () => ({ ok: false, message: 'it is stopping already' }));
    await expect(parts.stop(0)).rejects.toThrow(new ActRefused(409, 'it is stopping already'));
  });

  test('does not wait for a restart, because that ends the controller too', async () => {
    const { parts, asked } = controller(() => new Promise(() => {}));
    await parts.restart(0);
    expect(asked).toEqual([{ kind: 'restart', why: 'SAPControl' }]);
  });

  test('keeps running after a refused restart', async () => {
    const { parts } = controller(async () => Promise.reject(new Error('the channel has ended')));
    await expect(parts.restart(0)).resolves.toBeUndefined();
  });
});
