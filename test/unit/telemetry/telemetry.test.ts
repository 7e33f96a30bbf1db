import { Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { Durations } from '../../../src/telemetry/durations.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

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
