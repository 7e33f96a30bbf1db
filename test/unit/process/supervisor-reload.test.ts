import { beforeEach, describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import type { Supervisor } from '../../../src/process/supervisor.ts';
import type { FakeChild, FakeChildren } from '../../support/fake-children.ts';
import { load, MINIMAL } from '../config/support.ts';
import { configOf, fakesTime, LIFECYCLE, pass, Supervised } from './support.ts';

let on: Supervised;
let children: FakeChildren;
let supervisor: Supervisor;

fakesTime();
beforeEach(() => {
  on = new Supervised();
  ({ children, supervisor } = on);
});

describe('a reload', () => {
  test('gives new children the new configuration and address, and closes the old address at the end', async () => {
    await on.start();
    on.nextConfig = () => configOf("listen: { address: '127.0.0.1:8081' }\nlogging: { level: debug }\n");
    await supervisor.reload('SIGHUP');
    for (const child of children.living) {
      expect(child.init.config.listen.address).toBe('127.0.0.1:8081');
    }
    expect(on.open).toEqual(new Set(['127.0.0.1:9090', '127.0.0.1:8081']));
    expect(children.controller.got).toContainEqual({ kind: 'log-level', level: 'debug' });
  });

  test('of an invalid configuration changes nothing', async () => {
    await on.start();
    on.nextConfig = () => {
      throw new Error('gateway.yaml:3:5 pools must not be empty');
    };
    expect(await on.answerTo(children.controller, { kind: 'reload', why: 'test' })).toMatchObject({
      answer: { ok: false, message: 'gateway.yaml:3:5 pools must not be empty' },
    });
    expect(children.all).toHaveLength(3);
  });

  test('that waits for another replacement reads the configuration when its turn comes', async () => {
    await on.start();
    children.habits = { born: () => undefined };
    const first = supervisor.reload('SIGHUP');
    const second = supervisor.reload('SIGHUP');
    await pass();
    expect(on.configReads).toEqual(['use']);
    on.nextConfig = () => configOf('logging: { level: debug }\n');
    children.habits = {};
    for (const { say } of children.living) say({ kind: 'ready' });
    await Promise.all([first, second]);
    expect(on.configReads).toEqual(['use', 'use']);
    expect(children.controller.init.config.logging.level).toBe('debug');
  });

  test('can be previewed: what changes, what is refused, or the problems; nothing follows from it', async () => {
    await on.start();
    const preview = async (text: string) => {
      on.nextConfig = () => configOf(text);
      return on.answerTo(children.controller, { kind: 'preview-reload' });
    };
    expect(await preview('')).toMatchObject({
      answer: {
        ok: true,
        preview: { text: 'the gateway already runs with this configuration', changes: [] },
      },
    });
    expect(await preview('logging: { level: debug }\n')).toMatchObject({
      answer: {
        preview: {
          text: 'a reload brings it into effect',
          changes: ['logging.level: info → debug'],
          refused: [],
          config: { logging: { level: 'debug' } },
        },
      },
    });
    expect(await preview('coordination: { lease: 5s }\n')).toMatchObject({
      answer: {
        preview: { refused: [expect.stringMatching(/^coordination.lease needs a restart, because /)] },
      },
    });
    on.nextConfig = () => {
      throw new Error('gateway.yaml:3:5 pools must not be empty\ngateway.yaml:9:1 x is not known');
    };
    expect(await on.answerTo(children.controller, { kind: 'preview-reload' })).toMatchObject({
      answer: {
        ok: true,
        preview: {
          problems: ['gateway.yaml:3:5 pools must not be empty', 'gateway.yaml:9:1 x is not known'],
        },
      },
    });
    expect(children.all).toHaveLength(3);
    expect(on.log.filter(({ level }) => Number(level) > 30)).toEqual([]);
    // Warnings would be printed as often as an operator looks.
    expect(new Set(on.configReads)).toEqual(new Set(['try']));
  });

  test('to a port in use changes nothing, and the answer names the remedy', async () => {
    await on.start();
    on.taken = '127.0.0.1:8081';
    on.nextConfig = () => configOf("listen: { address: '127.0.0.1:8081' }\n");
    expect(await on.answerTo(children.controller, { kind: 'reload', why: 'test' })).toMatchObject({
      answer: {
        ok: false,
        message: '127.0.0.1:8081 is in use: stop the process that listens there or choose another port',
      },
    });
    expect(children.all).toHaveLength(3);
    expect(on.open).toEqual(new Set(['127.0.0.1:8080', '127.0.0.1:9090']));
  });

  test('rolls back if the second worker does not start with the new configuration', async () => {
    await on.start();
    on.nextConfig = () => configOf('logging: { level: debug }\n');
    children.habits = {
      born: (child) => {
        if (child.id === 'worker-4') child.end('exit code 1');
        else child.say({ kind: 'ready' });
      },
    };
    await supervisor.reload('SIGHUP');
    expect(children.ids).toEqual(['controller', 'worker-2', 'worker-5']);
    expect(children.workers.map(({ init }) => init.config.logging.level)).toEqual(['info', 'info']);
  });

  test('of options that need a restart is refused as a whole, with all reasons, and maintenance stays on', async () => {
    await on.start();
    children.controller.say({ kind: 'settled' });
    await on.answerTo(children.controller, { kind: 'maintenance', on: true, why: 'patch' });
    on.nextConfig = () => configOf('coordination: { lease: 5s, replica: gw1 }\nlogging: { level: debug }\n');
    await supervisor.reload('SIGHUP');
    const { err } = on.log.at(-1) as unknown as { err: Error };
    expect(err.message).toMatch(
      /start it again.*\ncoordination.lease needs a restart, because .+\ncoordination.replica needs .+$/,
    );
    expect(children.all).toHaveLength(3);
    expect(children.workers[0]?.got.at(-1)).toMatchObject({ lifecycle: { state: 'Maintenance' } });
  });

  test('leaves removed instances with the workers until the next reload, but not with the controller', async () => {
    const idsOf = ({ init }: FakeChild): string[] =>
      init.config.pools[0]?.instances.map(({ id }) => id) ?? [];
    const only = (id: string): Config => load(`${MINIMAL.replace('id: a', `id: ${id}`)}${LIFECYCLE}`).config;
    await on.start();
    on.nextConfig = () => only('b');
    await supervisor.reload('SIGHUP');
    expect(children.workers.map(idsOf)).toEqual([
      ['b', 'a'],
      ['b', 'a'],
    ]);
    expect(idsOf(children.controller)).toEqual(['b']);
    // Their successors get the same instances.
    await on.answerTo(children.controller, { kind: 'restart', why: 'a new version' });
    expect(children.workers.map(idsOf)).toEqual([
      ['b', 'a'],
      ['b', 'a'],
    ]);
    await supervisor.reload('SIGHUP');
    expect(children.workers.map(idsOf)).toEqual([['b'], ['b']]);
  });

  test('whose controller does not start is rolled back everywhere, and maintenance stays on', async () => {
    await on.start();
    children.controller.say({ kind: 'settled' });
    await on.answerTo(children.controller, { kind: 'maintenance', on: true, why: 'patch' });
    on.nextConfig = () => configOf('logging: { level: debug }\nadmin: { address: "127.0.0.1:9191" }\n');
    children.habits = {
      born: (child) => {
        const { role, init } = child;
        if (role === 'controller' && init.config.logging.level === 'debug') child.end('exit code 1');
        else child.say({ kind: 'ready' });
      },
    };
    await supervisor.reload('SIGHUP');
    expect(on.log.at(-1)?.msg).toMatch(/not all replaced; the configuration stays/);
    expect(children.ids).toHaveLength(3);
    expect(children.living.map(({ init }) => init.config.logging.level)).toEqual(['info', 'info', 'info']);
    expect(on.open).toEqual(new Set(['127.0.0.1:8080', '127.0.0.1:9090']));
    expect(children.workers[0]?.init.lifecycle).toMatchObject({ state: 'Maintenance', inMaintenance: true });
    // The automatic restart of the failed one has ended as well.
    await pass(60_000);
    expect(children.ids).toHaveLength(3);
  });

  test('leaves maintenance', async () => {
    await on.start();
    children.controller.say({ kind: 'settled' });
    await on.answerTo(children.controller, { kind: 'maintenance', on: true, why: 'patch' });
    expect(children.workers[0]?.got.at(-1)).toMatchObject({ lifecycle: { state: 'Maintenance' } });
    await supervisor.reload('SIGHUP');
    expect(children.workers[0]?.got.at(-1)).toMatchObject({ lifecycle: { state: 'Running' } });
  });
});
