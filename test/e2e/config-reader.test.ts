import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Child } from '../../src/simulator/child.ts';
import { ROOT } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';

/** A process of its own reads the configuration, so that the supervisor does not keep the code that it takes. */

// Shorter than the time after which a reader that hangs is killed.
const PATIENT = { within: 25_000 };
const POOL = {
  pools: [{ name: 'ici', mode: 'sticky', instances: [{ id: 'a', url: 'http://127.0.0.1:9' }] }],
  // Unlike Redis, the embedded store needs no other program.
  affinity: { store: 'embedded' },
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-reader-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Starts a gateway of one worker with this file, from this program. */
function start(file: string, main = join(ROOT, 'dist/main.js')) {
  const lines: string[] = [];
  const gateway = new Child({
    program: [process.execPath, main],
    args: ['start', '--config', file, '--workers', '1', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
    env: { XDG_STATE_HOME: directory },
    bond: 'tied',
    onLine: (line) => lines.push(line),
  });
  const told = (text: string): Promise<void> =>
    eventually(() => {
      if (!lines.some((line) => line.includes(text))) throw new Error(`"${text}" is not logged`);
    }, PATIENT);
  return { gateway, told };
}

test('a supervisor takes at most 20 MB more than an empty process of Node', async () => {
  const residentMb = (status: string): number => Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) / 1_000;
  const empty = 'process.stdout.write(require("fs").readFileSync("/proc/self/status"))';
  const floor = residentMb(execFileSync(process.execPath, ['-e', empty], { encoding: 'utf8' }));
  const gateway = await startGatewayProcess({ ...POOL, workers: 1 });
  try {
    expect(residentMb(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))).toBeLessThan(floor + 20);
  } finally {
    await gateway.close();
  }
});

test('a file that hangs keeps only the reload waiting: the gateway can be stopped', async () => {
  const file = join(directory, 'gateway.yaml');
  writeFileSync(file, JSON.stringify(POOL));
  const { gateway, told } = start(file);
  try {
    await told('"listening"');
    rmSync(file);
    execFileSync('mkfifo', [file]);
    gateway.signal('SIGHUP');
    // Opens once the other end is open: the file is being read, and nothing is in it.
    const writer = await open(file, 'w');
    gateway.signal('SIGTERM');
    await eventually(() => expect(gateway.ended).toBe(true), PATIENT);
    await writer.close();
  } finally {
    await gateway.stop(5_000);
  }
});

test('a gateway whose own version was removed reloads with the installed one', { tags: 'long' }, async () => {
  const install = (version: string): void =>
    cpSync(join(ROOT, 'dist'), join(directory, version, 'dist'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  for (const version of ['1', '2']) {
    install(version);
    cpSync(join(ROOT, 'package.json'), join(directory, version, 'package.json'));
  }
  const link = join(directory, 'current');
  symlinkSync(join(directory, '1'), link);
  const file = join(directory, 'gateway.yaml');
  writeFileSync(file, JSON.stringify(POOL));
  const { gateway, told } = start(file, join(link, 'dist/main.js'));
  try {
    await told('"listening"');
    rmSync(link);
    symlinkSync(join(directory, '2'), link);
    rmSync(join(directory, '1'), { recursive: true });
    writeFileSync(file, JSON.stringify({ ...POOL, timeouts: { park: '3s' } }));
    gateway.signal('SIGHUP');
    await told('"changes":["timeouts.park: 5s → 3s"]');
    await told('the processes are replaced');
  } finally {
    await gateway.stop(5_000);
  }
});
