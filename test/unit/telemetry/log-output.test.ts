import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LogOutput } from '../../../src/telemetry/log-output.ts';
import { eventually } from '../../support/eventually.ts';

const PIPE_BYTES = 64 * 1_024;

let directory: string;
let opened: number[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-log-'));
  opened = [];
});
afterEach(() => {
  for (const fd of opened) closeSync(fd);
  rmSync(directory, { recursive: true });
});

function open(path: string, flags: string | number): number {
  const fd = openSync(path, flags);
  opened.push(fd);
  return fd;
}

/** A pipe: its reading end, which fails instead of waiting, and two writing ends. */
function pipe(): { readonly reading: number; readonly writing: readonly [number, number] } {
  const path = join(directory, 'pipe');
  execFileSync('mkfifo', [path]);
  const reading = open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reading, writing: [open(path, 'w'), open(path, 'w')] };
}

/** What has arrived, up to so many bytes. */
function readFrom(fd: number, most = 10 * PIPE_BYTES): string {
  const bytes = Buffer.alloc(most);
  try {
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, most, null));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
    throw error;
  }
}

const line = (writer: string, number: number, length: number): string =>
  `${JSON.stringify({ writer, number, text: 'x'.repeat(length) })}\n`;

describe('lines', () => {
  test.each([
    ['short', 10],
    ['of about a block', 64 * 1_024 - 50],
    ['longer than a block', 200_000],
  ])('%s arrive at a file whole and in order', async (_, longest) => {
    const path = join(directory, 'log');
    const output = new LogOutput(open(path, 'a'));
    let all = '';
    for (let number = 0; number < 500; number += 1) {
      const text = line('€'.repeat(number), number, number % 50 === 0 ? longest : number);
      all += text;
      output.write(text);
    }
    expect(await output.close()).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe(all);
  });

  test('are written although no further ones come', async () => {
    const path = join(directory, 'log');
    const output = new LogOutput(open(path, 'a'));
    for (const text of ['first\n', 'second\n']) {
      output.write(text);
      await eventually(() => expect(readFileSync(path, 'utf8')).toContain(text));
    }
  });

  test('of two processes do not begin inside each other, however late the reader of their pipe is', async () => {
    const { reading, writing } = pipe();
    const outputs = writing.map((fd) => new LogOutput(fd));
    let all = '';
    for (let number = 0; number < 2_000; number += 1) {
      for (const [i, output] of outputs.entries()) output.write(line(String(i), number, number % 300));
      // Less than is written.
      if (number % 10 === 0) all += readFrom(reading, 3_000);
    }
    await eventually(() => {
      all += readFrom(reading);
      expect(all.split('\n').length).toBe(4_001);
    });
    const numbers: Record<string, number[]> = { 0: [], 1: [] };
    for (const text of all.trimEnd().split('\n')) {
      const { writer, number } = JSON.parse(text) as { writer: string; number: number };
      numbers[writer]?.push(number);
    }
    const inOrder = [...Array(2_000).keys()];
    expect(numbers).toEqual({ 0: inOrder, 1: inOrder });
  });
});

describe('without a reader', () => {
  test('lines wait, up to a limit, and none of them waits in a thread', async () => {
    const { reading, writing } = pipe();
    const output = new LogOutput(writing[0]);
    const text = line('a', 0, 10_000);
    for (let bytes = 0; bytes < 20 * 1_024 * 1_024; bytes += text.length) output.write(text);
    expect(output.isStuck).toBe(false);
    await eventually(() => expect(output.isStuck).toBe(true));
    expect(await output.close()).toBe(true);

    let read = '';
    for (let more = readFrom(reading); more !== ''; more = readFrom(reading)) {
      read += more;
      output.flush();
    }
    expect(read.length).toBeGreaterThan(16 * 1_024 * 1_024);
    expect(output.isStuck).toBe(false);
    expect(read.length).toBeLessThan(17 * 1_024 * 1_024);
    // Not `toBe`, which would print all of it.
    expect(text.repeat(Math.ceil(read.length / text.length)).startsWith(read)).toBe(true);
  });

  test('lines that come one by one take no more memory than their bytes', async () => {
    const { writing } = pipe();
    const output = new LogOutput(writing[0]);
    for (let bytes = 0; bytes < PIPE_BYTES; bytes += 1_024) output.write('x'.repeat(1_024));
    output.flush();
    const before = process.memoryUsage().arrayBuffers;
    for (let number = 0; number < 1_000; number += 1) {
      output.write('a line\n');
      output.flush();
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000);
  });

  test('that comes back, writing goes on, but not after the pipe is broken', async () => {
    const { reading, writing } = pipe();
    const output = new LogOutput(writing[0]);
    output.write('first\n');
    output.flush();
    expect(readFrom(reading)).toBe('first\n');
    closeSync(reading);
    opened = opened.filter((fd) => fd !== reading);
    output.write('lost\n');
    expect(await output.close()).toBe(true);
    const again = open(join(directory, 'pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
    output.write('never written\n');
    expect(await output.close()).toBe(true);
    expect(readFrom(again)).toBe('');
  });
});

test('a full disk neither ends the process nor keeps it from ending', async () => {
  // Stays open: the output tries again later, and the number would belong to a file of another test then.
  const output = new LogOutput(openSync('/dev/full', 'w'));
  for (let number = 0; number < 1_000; number += 1) output.write(line('a', number, 100));
  expect(await output.close()).toBe(true);
  expect(output.isStuck).toBe(false);
});

test('before the end of the process, everything is written at once', () => {
  const path = join(directory, 'log');
  const output = new LogOutput(open(path, 'a'));
  output.write('a line\n');
  output.flushSync();
  expect(readFileSync(path, 'utf8')).toBe('a line\n');
});
