import { Writable } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { AccessLog, RequestRing } from '../../../src/proxy/access-log.ts';
import type { RequestContext } from '../../../src/proxy/request-context.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

const ENDED = {
  request: { id: 'r-1' },
  raw: { method: 'POST' },
  response: { headersSent: true, statusCode: 200 },
  pool: { name: 'ici' },
  client: '10.0.0.9',
  path: '/ici',
  decision: 'bound',
  instance: 'a',
  user: 'MILLER',
  session: 'S1',
  epoch: 4,
  attempts: 1,
  elapsedMs: 12.3456,
  attempt: { sentAt: 1, headerAt: 3.5, responseBytes: 465, isUnsent: false },
  route: 'direct',
  parkedMs: 0,
} as const;

function logged(context: object, base: Record<string, unknown> = { pid: 7 }): string {
  let text = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const log = new AccessLog({
    metrics: new Metrics({ processMetrics: false }),
    logger: pino({ base }, sink),
    logRequests: true,
    showName: undefined,
    recent: new RequestRing(1, 8_192),
  });
  log.ended(context as RequestContext);
  return text;
}

describe('the log line of a request', () => {
  test('is one line of JSON in the format of pino', () => {
    const text = logged(ENDED);
    expect(text.endsWith('\n')).toBe(true);
    expect(text.trim()).not.toContain('\n');
    expect(JSON.parse(text)).toEqual({
      level: 30,
      time: expect.any(Number),
      pid: 7,
      requestId: 'r-1',
      client: '10.0.0.9',
      method: 'POST',
      path: '/ici',
      status: 200,
      pool: 'ici',
      decision: 'bound',
      instance: 'a',
      user: 'MILLER',
      session: expect.stringMatching(/^[\w-]{12}$/),
      epoch: 4,
      attempts: 1,
      durationMs: 12.35,
      instanceMs: 2.5,
      responseBytes: 465,
      msg: 'request',
    });
  });

  test('stays valid JSON whatever characters its values have', () => {
    const wild = '/"},"x":"\\\u0000\u2028\n?ü=%';
    const context = {
      ...ENDED,
      request: { id: wild },
      raw: { method: wild },
      pool: { name: wild },
      client: wild,
      path: wild,
      instance: wild,
      user: 'A"B\\\tC',
    };
    expect(JSON.parse(logged(context))).toMatchObject({
      requestId: wild,
      method: wild,
      pool: wild,
      client: wild,
      path: wild,
      instance: wild,
      user: 'A"B\\\tC',
    });
  });

  test('omits fields that do not apply, and has the fields of a failure', () => {
    const { instance, user, session, attempt, ...rest } = ENDED;
    const failed = { ...rest, attempt: { responseBytes: 0, isUnsent: true }, failure: 'connect-failure' };
    const parsed = JSON.parse(logged(failed, {}));
    for (const field of ['instance', 'user', 'session', 'instanceMs', 'parkedMs', 'outcomeUnknown', 'error'])
      expect(Object.keys(parsed)).not.toContain(field);
    expect(parsed).toMatchObject({ failure: 'connect-failure', sent: false });
  });
});
