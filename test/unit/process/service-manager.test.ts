import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ServiceManager } from '../../../src/process/service-manager.ts';
import { eventually } from '../../support/eventually.ts';

/** The messages to systemd, in a program of that name that writes down what it is given. */

let folder: string;
let manager: ServiceManager | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ici-notify-'));
  const program = join(folder, 'systemd-notify');
  writeFileSync(program, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >>${folder}/sent\n`);
  chmodSync(program, 0o755);
});
afterEach(() => {
  manager?.close();
  manager = undefined;
  rmSync(folder, { recursive: true });
});

const sent = (): string[] =>
  existsSync(join(folder, 'sent')) ? readFileSync(join(folder, 'sent'), 'utf8').trim().split('\n') : [];

function started(env: Record<string, string>, failures: Error[] = []): void {
  manager = new ServiceManager({ PATH: `${folder}:/usr/bin:/bin`, ...env }, 42, (error) =>
    failures.push(error),
  );
  manager.ready();
}

const MESSAGE = '/run/notify READY=1 WATCHDOG=1';

describe('a gateway that systemd has started', () => {
  test('says once that it is ready', async () => {
    started({ NOTIFY_SOCKET: '/run/notify' });
    await eventually(() => expect(sent()).toEqual([MESSAGE]));
  });

  test('shows its pulse three times in WatchdogSec', async () => {
    started({ NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '90000', WATCHDOG_PID: '42' });
    await eventually(() => expect(sent().length).toBeGreaterThan(3));
    expect(new Set(sent())).toEqual(new Set([MESSAGE]));
  });

  test('leaves the watchdog to the process for which it is meant', async () => {
    started({ NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '1000', WATCHDOG_PID: '43' });
    await eventually(() => expect(sent()).toHaveLength(1));
  });

  test('tells once that systemd-notify is missing or refuses', async () => {
    const failures: Error[] = [];
    started({ NOTIFY_SOCKET: '/run/notify', PATH: '/nowhere', WATCHDOG_USEC: '3000' }, failures);
    await eventually(() =>
      expect(failures.map(({ message }) => message)).toEqual(['spawn systemd-notify ENOENT']),
    );
  });
});

test('a gateway that was started by hand sends nothing', () => {
  started({ WATCHDOG_USEC: '1000' });
  expect(sent()).toEqual([]);
});
