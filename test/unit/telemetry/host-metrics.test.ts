import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { HostMetrics } from '../../../src/telemetry/host-metrics.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

const STARTED_AT = Date.UTC(2026, 0, 1);

/** The metrics of a host whose own process counts into `own`. */
const host = (own = new Registry()): HostMetrics => new HostMetrics(own, STARTED_AT);

/** A process with this many counted requests, of which this many are pending. */
async function snapshot(counted: number, underWay: number): Promise<unknown[]> {
  const registry = new Registry();
  new Counter({ name: 'requests_total', help: 'x', labelNames: ['pool'], registers: [registry] }).inc(
    { pool: 'ici' },
    counted,
  );
  new Gauge({ name: 'in_flight', help: 'x', registers: [registry] }).set(underWay);
  const took = new Histogram({ name: 'took_seconds', help: 'x', buckets: [1, 5], registers: [registry] });
  for (let i = 0; i < counted; i += 1) took.observe(2);
  return registry.getMetricsAsJSON();
}

test('the metrics of a host are the sums over its processes; the counters of ended ones remain, their gauges do not', async () => {
  const metrics = host();
  metrics.update('worker-1', await snapshot(5, 2));
  metrics.update('worker-2', await snapshot(7, 1));
  expect(await metrics.text()).toContain('requests_total{pool="ici"} 12');
  expect(await metrics.text()).toContain('in_flight 3');

  metrics.update('worker-1', await snapshot(6, 0));
  metrics.ended('worker-1');
  metrics.ended('worker-2');
  metrics.update('worker-3', await snapshot(1, 4));
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const text = await metrics.text();
    expect(text).toContain('requests_total{pool="ici"} 14');
    expect(text).toContain('took_seconds_bucket{le="5"} 14');
    expect(text).toContain('took_seconds_sum 28');
    expect(text).toContain('in_flight 4');
  }
});

test('the counters of ended processes outlive the process that sums them', async () => {
  const first = host();
  first.update('worker-1', await snapshot(5, 2));
  first.ended('worker-1');
  const totals = structuredClone(await first.totals());

  const second = host();
  second.update('worker-2', await snapshot(1, 0));
  // Every worker keeps the totals.
  for (const worker of [totals, totals]) second.inherit(worker);
  expect(await second.text()).toContain('requests_total{pool="ici"} 6');
});

test('totals that a process sent to others count once when they come back', async () => {
  const metrics = host();
  metrics.update('worker-1', await snapshot(5, 2));
  metrics.ended('worker-1');
  // It sent hello before it received the totals, and again afterwards.
  metrics.inherit(undefined);
  metrics.inherit(structuredClone(await metrics.totals()));
  expect(await metrics.text()).toContain('requests_total{pool="ici"} 5');
});

test('the own counters of a process are part of the totals of its successor', async () => {
  const own = new Registry();
  const acts = new Counter({ name: 'acts_total', help: 'x', registers: [own] });
  new Gauge({ name: 'view_epoch', help: 'x', registers: [own] }).set(7);
  const first = host(own);
  acts.inc(2);
  first.update('worker-1', await snapshot(5, 2));
  first.ended('worker-1');
  const early = await first.totals();
  acts.inc(1);
  const second = host();
  second.inherit(structuredClone(await first.totals()));
  second.inherit(structuredClone(early));
  const text = await second.text();
  expect(text).toContain('acts_total 3');
  expect(text).toContain('requests_total{pool="ici"} 5');
  expect(text).not.toContain('view_epoch');
});

test('two simultaneous scrapes count ended processes only once', async () => {
  const metrics = host();
  for (const worker of ['worker-1', 'worker-2']) {
    metrics.update(worker, await snapshot(5, 0));
    metrics.ended(worker);
  }
  const scrapes = [metrics.text(), metrics.text()];
  for (const text of [...(await Promise.all(scrapes)), await metrics.text()])
    expect(text).toContain('requests_total{pool="ici"} 10');
});

test('the start time of the host appears once, whatever the number of processes', async () => {
  const metrics = host(new Metrics().registry);
  metrics.update('worker-1', await new Metrics().registry.getMetricsAsJSON());
  expect((await metrics.text()).match(/^process_start_time_seconds .*$/gm)).toEqual([
    `process_start_time_seconds ${STARTED_AT / 1_000}`,
  ]);
});

test('the sums of chosen counters cover this process, the others and the ended ones', async () => {
  const own = new Metrics({ processMetrics: false });
  own.requests.inc('ici', 'bound', '2xx');
  own.requestDuration.observe('ici', 20);
  const metrics = host(own.registry);
  const worker = new Metrics({ processMetrics: false });
  worker.requests.inc('ici', 'bound', '2xx');
  worker.requests.inc('ici', 'bound', '5xx');
  worker.requests.inc('other', 'bound', '5xx');
  worker.requestDuration.observe('ici', 2);
  metrics.update('worker-1', await worker.registry.getMetricsAsJSON());
  metrics.update('worker-2', await worker.registry.getMetricsAsJSON());
  metrics.ended('worker-2');
  const sums = await metrics.sums(
    new Map([
      ['gateway_requests_total', ({ pool }) => ['all', String(pool)]],
      [
        'gateway_request_duration_seconds',
        ({ le }, name) => (name.endsWith('_bucket') && le === 10 ? ['fast'] : []),
      ],
    ]),
  );
  expect(Object.fromEntries(sums)).toEqual({ all: 7, ici: 5, other: 2, fast: 2 });
});
