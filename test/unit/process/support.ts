import { pino } from 'pino';
import { afterEach, beforeEach, vi } from 'vitest';
import { formatChange, reloadable } from '../../../src/config/changes.ts';
import { previewReload } from '../../../src/config/preview.ts';
import type { Config } from '../../../src/config/schema.ts';
import { withShown } from '../../../src/config/shown-options.ts';
import type { StartChild } from '../../../src/process/child-port.ts';
import { HostSockets } from '../../../src/process/host-sockets.ts';
import type { HostRequest } from '../../../src/process/messages.ts';
import { Supervisor } from '../../../src/process/supervisor.ts';
import type { FakeChild } from '../../support/fake-children.ts';
import { FakeChildren } from '../../support/fake-children.ts';
import { load, MINIMAL } from '../config/support.ts';

export const WORKERS = 2;
export const LIFECYCLE = 'lifecycle: { statusPollInterval: 4s, shutdownTimeout: 90s }\n';

export const configOf = (more = ''): Config => load(`${MINIMAL}${LIFECYCLE}${more}`).config;

/** A supervisor of two workers and a controller without real processes. Needs fake timers. */
export class Supervised {
  readonly children = new FakeChildren();
  readonly log: { level: number; msg: string; [field: string]: unknown }[] = [];
  /** The bound addresses. */
  readonly open = new Set<string>();
  /** The text that a reload reads. */
  nextConfig: () => Config = () => configOf();
  /** Addresses on which another process listens. */
  taken = '';
  /** What the supervisor has read the configuration for. */
  readonly configReads: ('try' | 'use')[] = [];
  /** The configured number of workers. */
  workers = WORKERS;
  readonly supervisor: Supervisor;

  constructor(startChild?: StartChild) {
    let fd = 20;
    const sockets = new HostSockets({
      inherited: new Map(),
      bind: async (address) => {
        if (address === this.taken) {
          const [host, port] = address.split(':');
          throw Object.assign(new Error('bind EADDRINUSE'), { code: 'EADDRINUSE', address: host, port });
        }
        fd += 1;
        this.open.add(address);
        return { fd, address, close: () => this.open.delete(address) };
      },
    });
    this.supervisor = new Supervisor({
      read: withShown(configOf()),
      replica: 'gw-1',
      workersOf: () => this.workers,
      readConfig: async (inEffect) => {
        this.configReads.push('use');
        const config = this.nextConfig();
        const { changes, refused } = reloadable(inEffect, config);
        return { ...withShown(config), reload: { changes: changes.map(formatChange), refused } };
      },
      previewReload: async (inEffect) => {
        this.configReads.push('try');
        return previewReload(inEffect, this.nextConfig);
      },
      startChild: startChild ?? this.children.start,
      sockets,
      logger: pino({ level: 'trace', base: null }, { write: (line) => this.log.push(JSON.parse(line)) }),
    });
  }

  async start(): Promise<void> {
    await this.supervisor.start();
    this.children.story.length = 0;
  }

  /** Sends a request from a child and returns the answer. */
  async answerTo(child: FakeChild, what: HostRequest): Promise<unknown> {
    child.say({ kind: 'request', request: 7, what });
    await pass();
    return child.got.findLast(({ kind }) => kind === 'answer');
  }

  async hasEnded(): Promise<boolean> {
    let ended = false;
    void this.supervisor.ended.then(() => {
      ended = true;
    });
    await pass();
    return ended;
  }
}

/** Fakes the timers that a supervisor uses, for all tests of a file. */
export function fakesTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

/** Advances the fake time, then runs everything that is due. */
export async function pass(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
