import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import type { TestContext } from 'vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRAM } from '../support/gateway-process.ts';
import { makeSmallDisk } from '../support/small-disk.ts';

const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-incident-command-'));
const DISK_BYTES = 64 * 1_024;

/** An admin port that answers with a large archive, or with the begin of one. */
let admin: Server;
let archive: Buffer;
let isSlow = false;
let asked = (): void => {};

beforeAll(async () => {
  const page = Buffer.from('THE FAULT: none\n');
  const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000)));
  const files = [
    { header: { name: 'README.txt', size: page.length }, body: page },
    ...['a', 'b', 'c'].map((name) => ({ header: { name, size: noise.length }, body: noise })),
  ];
  archive = gzipSync(await packTar(files), { level: 0 });
  admin = createServer((_request, response) => {
    if (!isSlow) return response.end(archive);
    response.write(archive.subarray(0, 1_000));
    return asked();
  }).listen(0, '127.0.0.1');
  await once(admin, 'listening');
});
afterAll(() => {
  admin.closeAllConnections();
  admin.close();
  rmSync(folder, { recursive: true });
});

function start(file: string) {
  const [command = '', ...program] = PROGRAM;
  const { port } = admin.address() as AddressInfo;
  const args = ['admin', 'incident', '-o', file, '--admin', `http://127.0.0.1:${port}`];
  const child = spawn(command, [...program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  return { child, ended: once(child, 'close').then(([code]) => ({ code, text })) };
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s while the archive comes ends the command, and leaves no file', async (signal, exit) => {
  isSlow = true;
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const { child, ended } = start(join(folder, 'incident.tar.gz'));
  await isAsked;
  child.kill(signal);
  const { code, text } = await ended;
  isSlow = false;
  expect(code).toBe(exit);
  expect(text).toMatch(/stopped; nothing was written\n$/);
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that does not exist is an error before the gateway is asked', async () => {
  isSlow = true;
  asked = () => expect.unreachable();
  const file = join(folder, 'none', 'incident.tar.gz');
  const { code, text } = await start(file).ended;
  isSlow = false;
  expect(code).toBe(1);
  expect(text).toContain(`${file} cannot be written (ENOENT: no such file or directory)`);
  expect(text).toContain('name a file in a folder that exists');
});

test('a full disk is an error that says so, and leaves no file', async (context: TestContext) => {
  const disk = await makeSmallDisk(DISK_BYTES);
  if (typeof disk === 'string') return context.skip(disk);
  const into = join(disk.path, 'incidents');
  try {
    mkdirSync(into);
    const { code, text } = await start(join(into, 'incident.tar.gz')).ended;
    expect(code).toBe(1);
    expect(text).toContain('cannot be written (ENOSPC: no space left on device): make room there');
    expect(readdirSync(into)).toEqual([]);
    return undefined;
  } finally {
    await disk.close();
  }
});
