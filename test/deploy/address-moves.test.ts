import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { post, users } from '../support/load.ts';

// In the gateway's own mount namespace, so that no name of the machine changes.
const WITH_HOSTS = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'];
const BIND = 'mount --bind "$0" /etc/hosts && exec "$@"';

test('traffic and probes of every worker follow a name to a new address from the system resolver', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-hosts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const hosts = join(folder, 'hosts');
  const nameIs = (address: string): void =>
    writeFileSync(hosts, `127.0.0.1 localhost\n${address} instance.test\n`);
  nameIs('127.0.0.1');
  const old = await startConnector({ name: 'old', host: '127.0.0.1' });
  onTestFinished(() => old.close());
  const { port } = new URL(old.url);
  // Both run at the same time, like after a move to a new host while the old one still runs.
  const next = await startConnector({ name: 'next', host: '127.0.0.2', port: Number(port) });
  onTestFinished(() => next.close());
  const gateway = await startGatewayProcess(
    {
      workers: 2,
      timeouts: { resolve: '200ms' },
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          health: { path: '/health', interval: '200ms', fastInterval: '100ms' },
          instances: [{ id: 'a', url: `http://instance.test:${port}` }],
        },
      ],
    },
    { prefix: [...WITH_HOSTS, BIND, hosts] },
  );
  onTestFinished(() => gateway.close());
  const agents = users(40, 'AGENT');
  const answering = async (): Promise<Set<string | undefined>> => {
    const outcomes = await Promise.all(agents.map((user) => post(gateway.url, user)));
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
    return new Set(outcomes.map(({ connector }) => connector));
  };
  expect(await answering()).toEqual(new Set(['old']));

  nameIs('127.0.0.2');
  // No pause, so that no connection to the old host becomes idle.
  await eventually(async () => expect(await answering()).toEqual(new Set(['next'])), { every: 0 });
  for (let round = 0; round < 10; round += 1) expect(await answering()).toEqual(new Set(['next']));
});
