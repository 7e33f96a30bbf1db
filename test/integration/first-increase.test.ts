import { expect, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { startGatedInstance } from '../support/gated-instance.ts';
import { post, users } from '../support/load.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { startTestGateway } from '../support/test-gateway.ts';

/** `name{labels}` of all counted series. */
function seriesIn(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => /^gateway_[a-z_]+(_total|_count)[{ ]/.test(line))
    .map((line) => line.replace(/ \S+$/, ''));
}

/**
 * Prometheus sees an increase only between two samples. Counters used to have no sample before their first event, so
 * that no alert fired for the first ten requests with an unknown outcome.
 */
test('no counter begins with its first event', async () => {
  const token = writeTokenFile();
  const connector = await startConnector({ name: 'a' });
  const gated = await startGatedInstance();
  gated.answerProbes();
  const pool = (name: string, url: string, match: string): string =>
    `{ name: ${name}, mode: sticky, match: ${match}, health: { path: /health, interval: 200ms, fastInterval: 50ms, fall: 2, rise: 1 }, instances: [{ id: a, url: '${url}' }] }`;
  const gateway = await startTestGateway(
    `pools: [${pool('good', connector.url, '{ paths: [/ici] }')}, ${pool('bad', gated.url, '{ hosts: [bad.example] }')}]`,
    { env: token.env },
  );
  try {
    const scrape = async (): Promise<string> => (await ask(gateway.adminUrl, 'GET', '/metrics')).body;
    const before = await scrape();
    expect(before).toContain('gateway_affinity_available{pool="good"} 1');
    expect(before).toContain('gateway_errors_total{code="GW_OUTCOME_UNKNOWN"} 0');
    expect(before).toContain('gateway_affinity_conflicts_total{pool="good"} 0');

    await Promise.all(users(5, 'A').map((user) => post(gateway.url, user)));
    const cut = post(gateway.url, 'B', { host: 'bad.example' });
    await eventually(() => expect(gated.waiting.requests).toBe(1));
    await gated.close();
    await cut;
    await fetch(`${gateway.url}/nowhere`, { headers: { soapuser: 'C' } });
    await fetch(`${gateway.url}/ici`, { headers: { soapuser: 'x'.repeat(300) } });
    await ask(gateway.adminUrl, 'POST', '/pools/good/instances/a/drain', { why: 'test' });
    await ask(gateway.adminUrl, 'POST', '/maintenance', { why: 'test', on: true });
    await eventually(async () =>
      expect(await scrape()).toContain(
        'gateway_instance_transitions_total{pool="bad",instance="a",to="down"} 1',
      ),
    );

    const after = await scrape();
    expect(after).toContain('gateway_errors_total{code="GW_OUTCOME_UNKNOWN"} 1');
    const known = new Set(seriesIn(before));
    expect(seriesIn(after).filter((series) => !known.has(series))).toEqual([]);
  } finally {
    await gateway.close();
    await connector.close();
    token.remove();
  }
});
