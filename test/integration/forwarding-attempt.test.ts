import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Attempt } from '../../src/proxy/attempt.ts';
import { instanceConnector } from '../../src/proxy/instance-connector.ts';
import { Upstream } from '../../src/proxy/upstream.ts';
import { eventually } from '../support/eventually.ts';
import { OK, WireUpstream } from '../support/wire.ts';

/** The check of an attempt right before it sends, for cases that are too rare to wait for. */

let wire: WireUpstream;
let upstream: Upstream;
let passedOn: string[];

beforeEach(async () => {
  wire = await WireUpstream.start();
  upstream = new Upstream({
    id: 'i1',
    origin: wire.url,
    connect: instanceConnector(new URL(wire.url), {}, 1_000),
    maxInFlight: 1,
    maxQueued: 1,
    closeAfterEach: false,
    idleTimeoutMs: 1_000,
    maxAgeMs: 60_000,
    responseHeaderBytes: 16_384,
    responseHeaderTimeoutMs: 1_000,
    responseIdleTimeoutMs: 1_000,
  });
  passedOn = [];
});
afterEach(async () => {
  await upstream.close();
  await wire.close();
});

interface Answers {
  readonly maySend: boolean;
  readonly isAwaited: boolean;
}

function attemptOf(answers: Answers): Attempt {
  expect(upstream.tryEnter('sap')).toBe(true);
  return new Attempt(upstream, {
    path: '/',
    headers: ['host', 'a'],
    body: null,
    target: { instance: 'i1', incarnation: '', root: undefined, entry: undefined },
    maySend: () => answers.maySend,
    isAwaited: () => answers.isAwaited,
    sender: { network: 'sap', stalledMs: () => 0, giveWay: () => undefined },
  });
}

function dispatch(answers: Answers): Attempt {
  const attempt = attemptOf(answers);
  const note = (what: string) => (): boolean => {
    passedOn.push(what);
    return true;
  };
  const inner = {
    onConnect: () => undefined,
    onHeaders: note('header'),
    onData: note('data'),
    onComplete: note('end'),
    onError: (error: Error) => attempt.fail(error),
  };
  attempt.dispatch({ method: 'GET', path: '', origin: '' }, inner as never);
  return attempt;
}

describe('an attempt', () => {
  test('that may no longer be sent sends nothing, and another one may follow', async () => {
    const attempt = dispatch({ maySend: false, isAwaited: true });
    expect(await attempt.outcome).toBe('connect-failure');
    expect(attempt.sentAt).toBeUndefined();
    expect(wire.requests).toHaveLength(0);
    expect(await settled(dispatch({ maySend: true, isAwaited: true }))).toEqual(['header', 'end']);
    expect(wire.requests).toHaveLength(1);
  });

  test.each([2, 200_000])(
    'without a waiting client passes on nothing of an answer of %d bytes, and frees its place',
    async (size) => {
      wire.answer = (_request, socket) =>
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
      const attempt = dispatch({ maySend: true, isAwaited: false });
      expect(await attempt.outcome).toBe('client-aborted');
      await eventually(() => expect(upstream.inFlight).toBe(0));
      expect(passedOn).toEqual([]);
      wire.answer = OK;
      expect(await settled(dispatch({ maySend: true, isAwaited: true }))).toEqual(['header', 'end']);
    },
  );

  test('that is aborted while it connects is not sent', async () => {
    const attempt = dispatch({ maySend: true, isAwaited: true });
    attempt.cancel('client-aborted');
    expect(await attempt.outcome).toBe('client-aborted');
    await eventually(() => expect(upstream.inFlight).toBe(0));
    expect(wire.requests).toHaveLength(0);
  });
});

// undici 7 asserts that no answer is paused when a connection ends, and the worker would end with all its requests.
describe('an answer that ends with its connection while its client reads slowly', () => {
  const body = 'x'.repeat(300_000);
  const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

  test.each([
    ['without a length', '', body],
    ['with a length', `Content-Length: ${body.length}\r\n`, body],
    ['in chunks', 'Transfer-Encoding: chunked\r\n', chunked],
  ])('is passed on whole: %s', async (_name, field, sent) => {
    wire.answer = (_request, socket) =>
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n${field}\r\n${sent}`);
    const attempt = attemptOf({ maySend: true, isAwaited: true });
    let resume: () => void = () => undefined;
    let bytes = 0;
    let isComplete = false;
    const slow = {
      onConnect: () => undefined,
      onHeaders: (_status: number, _headers: Buffer[], resumes: () => void) => {
        resume = resumes;
        return true;
      },
      onData: (chunk: Buffer) => {
        bytes += chunk.length;
        // undici passes it on as it resumes.
        if (chunk.length === 0) return true;
        setTimeout(() => resume(), 1);
        return false;
      },
      onComplete: () => {
        isComplete = true;
      },
      onError: (error: Error) => attempt.fail(error),
    };
    attempt.dispatch({ method: 'GET', path: '', origin: '' }, slow as never);
    await eventually(() => expect(upstream.inFlight).toBe(0));
    expect([isComplete, bytes]).toEqual([true, body.length]);
  });
});

/** The data passed on by the time at which the attempt has freed its place. */
async function settled(attempt: Attempt): Promise<string[]> {
  await eventually(() => expect(upstream.inFlight).toBe(0));
  expect(attempt.whole?.toString()).toBe('ok');
  return passedOn;
}
