import { Writable } from 'node:stream';
import { beforeEach, expect, test } from 'vitest';
import type { CommandClient } from '../../../src/redis/clients.ts';
import { SharedWrites } from '../../../src/redis/shared-writes.ts';

let written: string[][];
let client: { stream: Writable | undefined };
let writes: SharedWrites;

beforeEach(() => {
  written = [];
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk, _, done) => {
      written.push([chunk]);
      done();
    },
    writev: (chunks, done) => {
      written.push(chunks.map(({ chunk }) => chunk));
      done();
    },
  });
  client = { stream };
  writes = new SharedWrites(client as unknown as CommandClient);
});

function send(command: string, onWritten: () => void = () => {}): void {
  writes.hold();
  client.stream?.write(command);
  writes.afterWrite(onWritten);
}

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the commands of one turn are one write', async () => {
  send('a');
  // As from the callback of another connection.
  process.nextTick(() => send('b'));
  queueMicrotask(() => send('c'));
  expect(written).toEqual([]);

  await endOfTurn();
  expect(written.map((together) => together.toSorted())).toEqual([['a', 'b', 'c']]);
  send('d');
  await endOfTurn();
  expect(written.slice(1)).toEqual([['d']]);
});

test('many commands are written before the turn ends', async () => {
  for (let i = 0; i < 70; i += 1) send(`${i}`);
  expect(written.map((one) => one.length)).toEqual([32, 32]);

  await endOfTurn();

  expect(written.flat()).toEqual(Array.from({ length: 70 }, (_, i) => `${i}`));
});

test('a command is told when it is written', async () => {
  const told: string[] = [];
  send('a', () => told.push(`${written.length}`));
  expect(told).toEqual([]);

  await endOfTurn();

  expect(told).toEqual(['1']);
});

test('without a connection nothing is held back', async () => {
  const told: string[] = [];
  client.stream = undefined;
  send('a', () => told.push('a'));

  await endOfTurn();

  expect([written, told]).toEqual([[], ['a']]);
});
