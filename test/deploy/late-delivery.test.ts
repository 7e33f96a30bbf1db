import { execFileSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import type { ConnectorProcess } from '../../src/simulator/connector-process.ts';
import { startConnectorProcess } from '../../src/simulator/connector-process.ts';
import { namespaceNetwork, namespacesProblem } from '../chaos/namespaces.ts';
import type { Host } from '../chaos/network.ts';
import { eventually } from '../support/eventually.ts';
import { PROGRAM, startGatewayProcess } from '../support/gateway-process.ts';
import { post } from '../support/load.ts';
import { writeTokenFile } from '../support/operator.ts';
import { inTcpTable, tcpConnections } from '../support/tcp-table.ts';

/** The link between a gateway and an instance breaks during a request, and works again after the agent was moved. */

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

/** The number of bytes that the kernel of a host still has to deliver to another one. The end of a connection counts as one. */
function heldFor({ address }: Host, { prefix }: Host): number {
  const [program = '', ...args] = [...prefix, 'cat', '/proc/net/tcp'];
  return tcpConnections(execFileSync(program, args, { encoding: 'latin1' }))
    .filter(({ remoteAddress, sendQueue }) => remoteAddress === inTcpTable(address) && sendQueue > 1)
    .reduce((sum, { sendQueue }) => sum + sendQueue, 0);
}

test('a request that was given up is never delivered after the link works again', async () => {
  const problem = namespacesProblem();
  if (problem !== undefined) throw new Error(`network namespaces: ${problem}`);
  const network = await namespaceNetwork();
  opened.push(network);
  const instances: { host: Host; connector: ConnectorProcess }[] = [];
  for (const name of ['a', 'b']) {
    const host = await network.host(name);
    const program = [...host.prefix, ...PROGRAM];
    const connector = await startConnectorProcess({ name, host: host.address, program });
    opened.push(connector);
    instances.push({ host, connector });
  }
  const here = await network.host('g');
  const token = writeTokenFile();
  opened.push({ close: async () => token.remove() });
  const gateway = await startGatewayProcess(
    {
      workers: 1,
      listen: { address: `${here.address}:0` },
      // Its status is read from another host.
      admin: { address: `${here.address}:0`, tokenFile: token.path },
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          health: { path: '/health', interval: '200ms', fastInterval: '100ms', timeout: '300ms', fall: 2 },
          instances: instances.map(({ connector: { name, url } }) => ({ id: name, url })),
        },
      ],
      timeouts: { responseHeader: '60s', total: '60s' },
    },
    { prefix: here.prefix },
  );
  opened.push(gateway);
  const { connector: name } = await post(gateway.url, 'AGENT');
  const home = instances.find(({ connector }) => connector.name === name) as (typeof instances)[number];
  const before = (await home.connector.arrivals()).length;
  expect(before).toBeGreaterThan(0);

  await network.cut(here, home.host);
  const given = await post(gateway.url, 'AGENT');
  expect(given).toMatchObject({ status: 502, code: 'GW_OUTCOME_UNKNOWN' });
  await eventually(async () => expect((await post(gateway.url, 'AGENT')).status).toBe(200));
  // The kernel would deliver any data that it still holds once the link works again, however late.
  await eventually(() => expect(heldFor(home.host, here)).toBe(0));
  await network.heal(here, home.host);
  // The link carries probes again, and nothing else has arrived.
  const { name: id } = home.connector;
  await eventually(async () => {
    const [pool] = (await gateway.status()).pools;
    expect(pool?.instances.find((one) => one.id === id)).toMatchObject({ health: 'up' });
  });
  expect((await home.connector.arrivals()).length).toBe(before);
});
