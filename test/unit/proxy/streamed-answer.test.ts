import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { beforeEach, expect, test, vi } from 'vitest';
import { StreamedAnswer } from '../../../src/proxy/streamed-answer.ts';

/** A client that takes no more than it has room for. */
class Client extends EventEmitter {
  destroyed = false;
  writableLength = 0;
  readonly end = vi.fn();

  write(piece: Buffer): boolean {
    this.writableLength += piece.length;
    return false;
  }

  destroy(): void {
    this.destroyed = true;
  }

  read(): void {
    this.writableLength = 0;
    this.emit('drain');
  }
}

const resume = vi.fn();
const abort = vi.fn();
const PIECE = Buffer.alloc(64 * 1_024);
let client: Client;
let answer: StreamedAnswer;

beforeEach(() => {
  vi.clearAllMocks();
  client = new Client();
  answer = new StreamedAnswer(resume, abort);
  answer.passTo(client as unknown as ServerResponse);
});

test('an answer that is left before its end aborts the attempt, once', () => {
  answer.write(PIECE);
  answer.destroy();
  answer.destroy();
  expect(abort).toHaveBeenCalledOnce();
});

test('an answer that has ended or broken off does not', () => {
  answer.end();
  answer.destroy();
  expect(client.end).toHaveBeenCalledOnce();
  const broken = new StreamedAnswer(resume, abort);
  broken.passTo(client as unknown as ServerResponse);
  broken.fail();
  broken.destroy();
  expect(client.destroyed).toBe(true);
  expect(abort).not.toHaveBeenCalled();
});

test('the instance waits for a client that is slower, and only then is told to go on', () => {
  expect([answer.write(PIECE), answer.write(PIECE)]).toEqual([true, true]);
  client.read();
  expect(resume).not.toHaveBeenCalled();
  expect([answer.write(PIECE), answer.write(PIECE), answer.write(PIECE)]).toEqual([true, true, false]);
  client.read();
  expect(resume).toHaveBeenCalledOnce();
  client.destroy();
  expect(answer.write(PIECE)).toBe(false);
});
