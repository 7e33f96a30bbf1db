import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { Durations } from '../../../src/telemetry/durations.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import type { RequestLine } from '../../../src/telemetry/request-log.ts';
import { RequestLog } from '../../../src/telemetry/request-log.ts';

const LINE: RequestLine = {
  requestId: 'r-1',
  client: '10.0.0.9',
  method: 'POST',
  path: '/ici',
  status: 200,
  pool: 'ici',
  decision: 'bound',
  instance: 'a',
  user: 'MILLER',
  session: 'eDYnozpp7k1L',
  epoch: 4,
  attempts: 1,
  durationMs: 12.3456,
  instanceMs: 2.5,
  parkedMs: undefined,
  responseBytes: 465,
  trouble: '',
};

function logged(write: (log: RequestLog) => void, bindings: Record<string, unknown> = { pid: 7 }): string {
  let text = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  write(new RequestLog(pino({ base: bindings }, sink)));
  return text;
}

describe('the log line of a request', () => {
  test('is one line of JSON in the format of pino', () => {
    const text = logged((log) => log.write(LINE));
    expect(text.endsWith('\n')).toBe(true);
    expect(text.trim()).not.toContain('\n');
    const { trouble, parkedMs, ...fields } = LINE;
    expect(JSON.parse(text)).toEqual({
      level: 30,
      time: expect.any(Number),
      pid: 7,
      ...fields,
      durationMs: 12.35,
      msg: 'request',
    });
  });

  test('stays valid JSON whatever characters a path or a name has', () => {
    const path = '/"},"x":"\\\u0000\u2028\n?ü=%';
    const user = 'A"B\\\tC';
    expect(JSON.parse(logged((log) => log.write({ ...LINE, path, user })))).toMatchObject({ path, user });
  });

  test('omits fields that do not apply, and has the fields of a failure', () => {
    const line = {
      ...LINE,
      instance: undefined,
      user: undefined,
      session: undefined,
      instanceMs: undefined,
      responseBytes: undefined,
      trouble: ',"failure":"connect-failure","sent":false',
    };
    const parsed = JSON.parse(logged((log) => log.write(line), {}));
    expect(Object.keys(parsed)).not.toContain('user');
    expect(parsed).toMatchObject({ failure: 'connect-failure', sent: false });
  });
});

describe('metrics of every request', () => {
  test('count by their labels', async () => {
    const metrics = new Metrics({ processMetrics: false });
    metrics.requests.inc('ici', 'bound', '2xx');
    metrics.requests.inc('ici', 'bound', '2xx');
    metrics.requests.inc('ici', 'claimed', '5xx');
    for (let scrape = 0; scrape < 2; scrape += 1) {
      const text = await metrics.registry.metrics();
      expect(text).toContain('gateway_requests_total{pool="ici",decision="bound",status_class="2xx"} 2\n');
      expect(text).toContain('gateway_requests_total{pool="ici",decision="claimed",status_class="5xx"} 1\n');
    }
  });

  test('durations are exported exactly like those of prom-client', async () => {
    const bounds = [0.001, 0.01, 0.1];
    const [ours, theirs] = [new Registry(), new Registry()];
    const durations = new Durations(ours, 'd_seconds', 'Help', bounds);
    const histogram = new Histogram({
      name: 'd_seconds',
      help: 'Help',
      labelNames: ['pool'],
      buckets: bounds,
      registers: [theirs],
    });
    for (const seconds of [0, 0.001, 0.0011, 0.05, 0.1, 7]) {
      durations.observe('ici', seconds);
      histogram.observe({ pool: 'ici' }, seconds);
    }
    expect(await ours.metrics()).toBe(await theirs.metrics());
  });
});
