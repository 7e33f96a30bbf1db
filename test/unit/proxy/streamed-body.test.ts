import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GatewayError } from '../../../src/core/errors.ts';
import { ArrivingBytes, RequestBody } from '../../../src/proxy/request-body.ts';
import type { StreamedBody } from '../../../src/proxy/streamed-body.ts';
import { BodyBrokeOff } from '../../../src/proxy/streamed-body.ts';
import { Streams } from '../../../src/proxy/streams.ts';

const MOST = 1_000;
let raw: IncomingMessage;
let body: RequestBody;

beforeEach(() => {
  raw = new IncomingMessage(new Socket());
  raw._read = () => undefined;
  body = new RequestBody(raw, undefined, true, MOST, new ArrivingBytes(10_000, () => undefined));
});
afterEach(() => {
  vi.useRealTimers();
});

/** Reads the body as undici does. */
function read(stream: StreamedBody): { pieces: string[]; ended: () => boolean; error: () => unknown } {
  const pieces: string[] = [];
  let isEnded = false;
  let error: unknown;
  stream
    .on('data', (piece: Buffer) => pieces.push(piece.toString()))
    .on('end', () => {
      isEnded = true;
    })
    .on('error', (given: Error) => {
      error = given;
    });
  stream.resume();
  return { pieces, ended: () => isEnded, error: () => error };
}

test('a body is collected further, then streamed: nothing is lost, and all of it is in order', async () => {
  raw.push('a');
  await body.collect(1);
  raw.push('b');
  await body.collect(2);
  raw.push('c');
  const { pieces, ended } = read(body.payload() as StreamedBody);
  await turn();
  raw.push('d');
  raw.push(null);
  await turn();
  expect([pieces, ended()]).toEqual([['ab', 'c', 'd'], true]);
  expect(() => body.payload()).toThrow('only once');
});

test('a connection that is full stops the request itself, and no piece waits in between', async () => {
  const stream = body.payload() as StreamedBody;
  const { pieces } = read(stream);
  raw.push('a');
  await turn();
  stream.pause();
  expect(raw.isPaused()).toBe(true);
  raw.push('b');
  await turn();
  expect(pieces).toEqual(['a']);
  stream.resume();
  await turn();
  expect(pieces).toEqual(['a', 'b']);
});

test('an attempt that sent nothing leaves the whole body to the next one', async () => {
  raw.push('a');
  await body.collect(1);
  (body.payload() as StreamedBody).destroy();
  raw.push('b');
  const { pieces } = read(body.payload() as StreamedBody);
  await turn();
  expect(pieces).toEqual(['a', 'b']);
});

test('a client that leaves breaks the body off, also before it is read', async () => {
  const { error } = read(body.payload() as StreamedBody);
  raw.push('a');
  await turn();
  raw.destroy();
  await turn();
  expect(error()).toBeInstanceOf(BodyBrokeOff);

  const gone = new RequestBody(raw, undefined, true, MOST, new ArrivingBytes(10_000, () => undefined));
  const late = read(gone.payload() as StreamedBody);
  await turn();
  expect(late.error()).toBeInstanceOf(BodyBrokeOff);
});

test('a body that becomes too long ends with its error, and the request is read no further', async () => {
  const { pieces, error } = read(body.payload() as StreamedBody);
  raw.push('x'.repeat(MOST));
  await turn();
  raw.push('y');
  await turn();
  expect(error()).toEqual(new GatewayError('GW_BODY_TOO_LARGE'));
  expect(pieces).toHaveLength(1);
  expect(raw.isPaused()).toBe(true);
});

test('a body that is not wanted any more is left alone, and its end is told once', async () => {
  const stream = body.payload() as StreamedBody;
  const { error, pieces } = read(stream);
  let closed = 0;
  stream.on('close', () => {
    closed += 1;
  });
  stream.destroy(new Error('no longer'));
  stream.destroy();
  raw.push('a');
  await turn();
  expect([pieces, closed, error()]).toEqual([[], 1, new Error('no longer')]);
  expect([raw.destroyed, raw.isPaused(), raw.listenerCount('data')]).toEqual([false, true, 0]);
});

test('only the client can stall: the time for which the instance takes nothing does not count', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const stream = body.payload() as StreamedBody;
  read(stream);
  await turn();
  vi.advanceTimersByTime(700);
  raw.push('a small piece');
  await turn();
  expect(body.stalledMs(performance.now())).toBe(700);
  stream.pause();
  vi.advanceTimersByTime(5_000);
  expect(body.stalledMs(performance.now())).toBe(700);
  stream.resume();
  vi.advanceTimersByTime(400);
  expect(body.stalledMs(performance.now())).toBe(1_100);
  stream.destroy();
  expect(body.stalledMs(performance.now())).toBe(0);
});

test('streams that follow each other keep their process ready for the next one', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const told: boolean[] = [];
  const streams = new Streams();
  streams.onBusy((areBusy) => told.push(areBusy));
  streams.begin();
  streams.begin();
  streams.end();
  streams.end();
  vi.advanceTimersByTime(500);
  streams.begin();
  vi.advanceTimersByTime(5_000);
  expect(told).toEqual([true]);
  streams.end();
  vi.advanceTimersByTime(1_000);
  expect(told).toEqual([true, false]);
  streams.begin();
  expect(told).toEqual([true, false, true]);
});
