import { Counter, Gauge, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { HostMetrics } from '../../src/telemetry/host-metrics.ts';

/** A process that has counted so many requests, so many of which are under way. */
async function snapshot(counted: number, underWay: number): Promise<unknown[]> {
  const registry = new Registry();
  new Counter({ name: 'requests_total', help: 'x', labelNames: ['pool'], registers: [registry] }).inc(
    { pool: 'ici' },
    counted,
  );
  new Gauge({ name: 'in_flight', help: 'x', registers: [registry] }).set(underWay);
  return registry.getMetricsAsJSON();
}

test('the metrics of a host are the sums over its processes; what ended ones counted is kept, what they had is not', async () => {
  const metrics = new HostMetrics(new Registry());
  metrics.heard('worker-1', await snapshot(5, 2));
  metrics.heard('worker-2', await snapshot(7, 1));
  expect(await metrics.text()).toContain('requests_total{pool="ici"} 12');
  expect(await metrics.text()).toContain('in_flight 3');

  metrics.heard('worker-1', await snapshot(6, 0));
  metrics.ended('worker-1');
  metrics.ended('worker-2');
  metrics.heard('worker-3', await snapshot(1, 4));
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const text = await metrics.text();
    expect(text).toContain('requests_total{pool="ici"} 14');
    expect(text).toContain('in_flight 4');
  }
});

test('what ended processes counted outlives the process that sums it', async () => {
  const first = new HostMetrics(new Registry());
  first.heard('worker-1', await snapshot(5, 2));
  first.ended('worker-1');
  const totals = structuredClone(await first.totals());

  const second = new HostMetrics(new Registry());
  second.heard('worker-2', await snapshot(1, 0));
  // Every worker has kept them.
  for (const worker of [totals, totals]) second.inherit(worker);
  expect(await second.text()).toContain('requests_total{pool="ici"} 6');
});

test('what a process has told others to keep is counted once, when one of them gives it back', async () => {
  const metrics = new HostMetrics(new Registry());
  metrics.heard('worker-1', await snapshot(5, 2));
  metrics.ended('worker-1');
  // Said hello before it was told, and after.
  metrics.inherit(undefined);
  metrics.inherit(structuredClone(await metrics.totals()));
  expect(await metrics.text()).toContain('requests_total{pool="ici"} 5');
});
