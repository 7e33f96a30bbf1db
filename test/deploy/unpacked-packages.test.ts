import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { findTool, runProgramFile } from '../support/system-tools.ts';
import { UNPACKED_PROGRAMS, unpack } from '../support/unpacked-packages.ts';

const TRIAL = join(dirname(dirname(UNPACKED_PROGRAMS[0] as string)), 'trial');

/** The state that an installation would change: the packages, and the services that run now and at boot. */
function machine(): unknown {
  const folders = [
    '/etc',
    '/etc/systemd/system',
    '/etc/init.d',
    '/etc/rc3.d',
    '/usr/sbin',
    '/lib/systemd/system',
  ];
  return {
    packages: execFileSync('dpkg-query', ['-W'], { encoding: 'utf8' }),
    files: folders
      .filter(existsSync)
      .map((folder) => readdirSync(folder, { recursive: folder.includes('systemd') })),
  };
}

// keepalived has a service, which its installation would start and enable.
test('downloads a program with its libraries without changing the machine', async () => {
  const before = machine();
  try {
    expect(unpack('trial', ['keepalived'])).toBeUndefined();
    expect(machine()).toEqual(before);
    // If it is installed, no download is needed.
    const program = findTool('keepalived') ?? '';
    const fetched = existsSync(join(TRIAL, 'bin/keepalived')) ? join(TRIAL, 'bin/keepalived') : program;
    expect((await runProgramFile(fetched, ['--version'])).text).toContain('Keepalived v');
  } finally {
    rmSync(TRIAL, { recursive: true, force: true });
  }
});

test('reports a failed download and leaves nothing behind', () => {
  expect(unpack('trial', ['no-such-package-as-this'])).toContain('Unable to locate package');
  expect(existsSync(TRIAL)).toBe(false);
  expect(existsSync(`${TRIAL}.new`)).toBe(false);
});
