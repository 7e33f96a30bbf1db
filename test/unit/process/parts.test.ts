import { EventEmitter } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { Channel } from '../../../src/process/channel.ts';
import { HostSockets } from '../../../src/process/host-sockets.ts';
import { bindSocket, inheritedSockets } from '../../../src/process/listening-socket.ts';
import type { FromChild, HostEvent, ToChild } from '../../../src/process/messages.ts';
import { claimPidFile, readPidFile } from '../../../src/process/pid-file.ts';
import { installSignalHandlers } from '../../../src/process/signals.ts';
import { load, MINIMAL } from '../config/support.ts';

describe('a pid file', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ici-gateway-pid-'));
    file = join(directory, 'gateway.pid');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('holds the number of the process and is removed at its end', () => {
    const release = claimPidFile(file);
    expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n`);
    release();
    expect(readPidFile(file)).toBeUndefined();
  });

  // The parent of this process is alive and is not a gateway, like a process that got the number of a stale file.
  test.each([process.ppid, 4_194_304, 'nonsense'])('that names %s is stale and is overwritten', (content) => {
    writeFileSync(file, `${content}\n`);
    claimPidFile(file)();
    expect(readPidFile(file)).toBeUndefined();
  });

  test('is written whole or not at all; the error names the remedy', () => {
    const nowhere = join(directory, 'missing', 'gateway.pid');
    expect(() => claimPidFile(nowhere)).toThrow(
      /missing\/gateway\.pid cannot be written \(ENOENT.*directory exists/,
    );
    claimPidFile(file);
    expect(readdirSync(directory)).toEqual(['gateway.pid']);
  });

  test.each([
    ['a folder', (): string => directory, /is not a regular file/],
    ['a device without end', (): string => '/dev/zero', /is not a regular file/],
    [
      'a file with other content',
      (): string => {
        writeFileSync(file, '1'.repeat(10_000));
        return file;
      },
      /holds more than a process number/,
    ],
  ])('is not %s', (_name, path, why) => {
    const given = path();
    expect(() => readPidFile(given)).toThrow(why);
    expect(() => claimPidFile(given)).toThrow(/give another --pid-file/);
  });

  test('that another process has overwritten since is not removed', () => {
    const release = claimPidFile(file);
    writeFileSync(file, '1\n');
    release();
    expect(readPidFile(file)).toBe(1);
  });
});

describe('signals', () => {
  const acts: string[] = [];
  let source: EventEmitter;
  let install: (terminal: { isOpen: () => boolean } | undefined) => void;
  let end: () => void;
  beforeEach(() => {
    acts.length = 0;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const target = {
      ended,
      stop: (why: string, times = {}) => acts.push(`stop ${why} ${JSON.stringify(times)}`),
      reload: (why: string) => acts.push(`reload ${why}`),
      moveLogLevel: (step: number) => acts.push(`level ${step}`),
    };
    install = (terminal) => {
      source = new EventEmitter();
      installSignalHandlers(target, () => undefined, terminal, source);
    };
    install(undefined);
  });

  afterEach(() => void vi.useRealTimers());

  test('have the effects that SAP administrators know', () => {
    for (const name of ['SIGHUP', 'SIGUSR1', 'SIGUSR2']) source.emit(name);
    expect(acts).toEqual(['reload SIGHUP', 'level -1', 'level 1']);
  });

  test.each([
    ['SIGTERM', '{}'],
    ['SIGQUIT', '{}'],
    ['SIGINT', '{"pollInterval":0}'],
  ])('%s stops softly, and a second one at once', (name, times) => {
    source.emit(name);
    source.emit('SIGTERM');
    expect(acts).toEqual([`stop ${name} ${times}`, 'stop SIGTERM again {"pollInterval":0,"timeout":0}']);
  });

  test('that a terminal sends when it is closed stop softly, however often they come', () => {
    vi.useFakeTimers();
    install({ isOpen: () => false });
    source.emit('SIGHUP');
    source.emit('SIGHUP');
    vi.advanceTimersByTime(1_000);
    source.emit('SIGHUP');
    vi.advanceTimersByTime(1_000);
    expect(acts).toEqual(['stop its terminal was closed {}']);
  });

  test('reload if the terminal is still open', () => {
    vi.useFakeTimers();
    install({ isOpen: () => true });
    source.emit('SIGHUP');
    vi.advanceTimersByTime(1_000);
    expect(acts).toEqual(['reload SIGHUP']);
  });

  test('have no handlers once the gateway has ended', async () => {
    end();
    await new Promise((resolve) => setImmediate(resolve));
    expect(source.eventNames()).toEqual([]);
  });
});

describe('a bound socket', () => {
  test('has an address even if port 0 was requested, and refuses connections until a process listens', async () => {
    const socket = await bindSocket('127.0.0.1:0');
    try {
      expect(socket.address).toMatch(/^127\.0\.0\.1:[1-9][0-9]+$/);
      await expect(fetch(`http://${socket.address}`)).rejects.toMatchObject({
        cause: { code: 'ECONNREFUSED' },
      });
    } finally {
      socket.close();
    }
  });

  test('cannot be created where another process listens, nor at an address of another host', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      await expect(bindSocket(`127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'EADDRINUSE', port });
      await expect(bindSocket('192.0.2.1:0')).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    } finally {
      server.close();
    }
  });
});

describe('the sockets of a gateway', () => {
  const { config } = loadConfig({
    env: { HOME: '/tmp' },
    text: "pools: [{ name: ici, instances: [{ id: a, url: 'http://10.0.0.1' }] }]\nsapcontrol: {}",
  });
  const socketsWithout = (taken: string): HostSockets =>
    new HostSockets({
      inherited: new Map(),
      bind: async (address) => {
        if (address === taken) throw new Error('bind EADDRINUSE');
        return { fd: 0, address, close: () => undefined };
      },
    });

  test('may lack that of SAPControl, because monitoring keeps no traffic from starting', async () => {
    const sockets = socketsWithout('127.0.0.1:50013');
    await sockets.ensure(config);
    expect(Object.keys(sockets.all(config))).toEqual(['data', 'admin']);
  });

  test('have that of the data plane', async () => {
    await expect(socketsWithout('127.0.0.1:8080').ensure(config)).rejects.toThrow('EADDRINUSE');
  });
});

describe('sockets of a service manager', () => {
  test('are found by their names', async () => {
    // Descriptor 3 is in use in a test, so none is passed; sockets for another process are ignored.
    expect(inheritedSockets({ LISTEN_PID: '1', LISTEN_FDS: '2' }, 2).size).toBe(0);
    expect(inheritedSockets({}, 2).size).toBe(0);
  });

  test('with an unknown name are refused, with the remedy', () => {
    const env = { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'web:admin' };
    expect(() => inheritedSockets(env, 7)).toThrow(/"web".*FileDescriptorName=.*data, admin, sapcontrol/);
  });
});

describe('the channel of a child', () => {
  test('queues messages in order until a handler is set, and matches answers to requests', async () => {
    const emitter = new EventEmitter();
    const said: FromChild[] = [];
    const channel = new Channel({
      on: (event, handler) => emitter.on(event, handler),
      send: (message) => said.push(message),
    });
    const hear = (message: ToChild): boolean => emitter.emit('message', message);
    hear({ kind: 'relayed', from: 'worker-1', body: 1 });
    hear({ kind: 'controller-gone' });
    hear({ kind: 'relayed', from: 'worker-2', body: 2 });
    const bodies: unknown[] = [];
    channel.onMessage((body, from) => bodies.push([from, body]));
    hear({ kind: 'relayed', from: 'worker-1', body: 3 });
    expect(bodies).toEqual([
      ['worker-1', 1],
      ['worker-2', 2],
      ['worker-1', 3],
    ]);
    const events: HostEvent[] = [];
    channel.onEvent((event) => events.push(event));
    expect(events).toEqual([{ kind: 'controller-gone' }]);
    expect(() => channel.onEvent(() => undefined)).toThrow('a handler is already set');

    const one = channel.ask({ kind: 'restart', why: 'one' });
    const two = channel.ask({ kind: 'restart', why: 'two' });
    const [first, second] = said as { request: number }[];
    hear({ kind: 'answer', request: second?.request ?? 0, answer: { ok: false, message: 'second' } });
    hear({ kind: 'answer', request: first?.request ?? 0, answer: { ok: false, message: 'first' } });
    expect([await one, await two]).toEqual([
      { ok: false, message: 'first' },
      { ok: false, message: 'second' },
    ]);
  });
});

describe('the number of workers', () => {
  test('is the number of cores, at most 4, unless it is configured', () => {
    const { workers } = load(MINIMAL).config;
    expect(workers).toBeGreaterThanOrEqual(1);
    expect(workers).toBeLessThanOrEqual(4);
    expect(load(`${MINIMAL}workers: 7\n`).config.workers).toBe(7);
  });
});
