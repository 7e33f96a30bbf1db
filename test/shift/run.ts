/**
 * The end of a shift while an instance drains: agents work through two gateways of several workers and log off; tells how long after the
 * last log-off the drain ends, and which bindings are left.
 *
 *   npm run trial shift -- --agents 500 --over 60
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { InstanceStatus } from '../../src/core/gateway-status.ts';
import { startAgents } from '../../src/simulator/agents.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { startRedis } from '../support/redis-server.ts';

const USAGE = `Lets agents log off while their instance drains, and measures when the drain ends.

  --agents N   how many (default 500)
  --over N     seconds over which they log off (default 60)
  --grace N    identity.logoffGrace in seconds (default 30)
  --rate N     work steps per second and agent until then (default 0.1)
  --workers N  of each gateway (default 2)
  --page       let the drain also end by the health page
  --help

Exit status 1 if the drain ended more than 5 s after the grace of the last log-off, or an agent was split or not known.
`;

const ALLOWED_MS = 5_000;
const INSTANCES = ['a', 'b'];
const GATEWAYS = 2;
const DRAINED = 'a';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      agents: { type: 'string', default: '500' },
      over: { type: 'string', default: '60' },
      grace: { type: 'string', default: '30' },
      rate: { type: 'string', default: '0.1' },
      workers: { type: 'string', default: '2' },
      page: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return print(USAGE);
  const [agents, overMs, graceMs] = [
    Number(values.agents),
    Number(values.over) * 1_000,
    Number(values.grace) * 1_000,
  ];
  const redis = await startRedis();
  const token = writeTokenFile();
  const connectors = await Promise.all(INSTANCES.map((name) => startConnector({ name })));
  const health = { path: '/health', incarnationPointer: '/incarnation', timeout: '5s', interval: '1s' };
  const config = {
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        health: values.page ? { ...health, emptyMatches: '"sessions":0' } : health,
        instances: connectors.map(({ name, url }) => ({ id: name, url })),
      },
    ],
    identity: {
      logon: ['subscribe'],
      logoff: ['unsubscribe', { operation: 'setCurrentWorkmode', element: 'workmode', value: '1' }],
      logoffGrace: `${graceMs}ms`,
    },
    affinity: {
      keyPrefix: `shift-${randomBytes(4).toString('hex')}`,
      redis: { url: redis.url, commandTimeout: '1s' },
    },
    logging: { requests: false },
    admin: { address: '127.0.0.1:0', tokenFile: token.path },
    workers: Number(values.workers),
  };
  const gateways = await Promise.all(Array.from({ length: GATEWAYS }, () => startGatewayProcess(config)));
  const [first] = gateways as [GatewayProcess];
  const instances = async (): Promise<readonly InstanceStatus[]> =>
    (await first.status()).pools[0]?.instances ?? [];
  const drained = async () => (await instances()).find(({ id }) => id === DRAINED);
  const running = startAgents({
    urls: gateways.map(({ url }) => url),
    agents,
    ratePerAgent: Number(values.rate),
    rampMs: agents * 20,
    forMs: 24 * 3_600_000,
  });
  try {
    await eventually(
      () => {
        if (running.places().size < agents) throw new Error(`${running.places().size} agents are logged on`);
      },
      { within: agents * 20 + 60_000, every: 100 },
    );
    const path = `/pools/ici/instances/${DRAINED}/drain`;
    await ask(first.adminUrl, 'POST', path, { why: 'a trial', by: 'trial' });
    const there = [...running.places().values()].filter(({ connector }) => connector === DRAINED).length;
    print(`${agents} agents, ${there} at ${DRAINED}, which drains; all log off within ${values.over} s\n`);
    await running.leave(agents, overMs);
    const lastAt = performance.now();
    print(`all have logged off; ${(await drained())?.boundAgents} bindings are left at ${DRAINED}\n`);
    await eventually(
      async () => {
        const one = await drained();
        if (one?.admin !== 'disabled') throw new Error(`${one?.boundAgents} bindings are left`);
      },
      { within: graceMs + 60_000, every: 50 },
    ).catch((error: unknown) => print(`the drain has not ended: ${String(error)}\n`));
    const afterMs = performance.now() - lastAt - graceMs;
    const { body } = await ask(first.adminUrl, 'GET', '/pools/ici/events');
    const stats = running.stats();
    const isDrained = (await drained())?.admin === 'disabled';
    print(`drained: ${isDrained}, ${(afterMs / 1_000).toFixed(1)} s after the grace of the last log-off\n`);
    print(`${JSON.stringify(body).match(/"kind":"drained"[^}]*/)?.[0] ?? ''}\n`);
    print(`bindings left: ${(await instances()).map(({ id, boundAgents }) => `${id} ${boundAgents}`)}\n`);
    print(`${JSON.stringify(stats)}\n`);
    const { splits, relogons } = stats;
    if (!isDrained || afterMs > ALLOWED_MS || splits > 0 || relogons > 0) process.exitCode = 1;
  } finally {
    await running.stop();
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await Promise.all(connectors.map((connector) => connector.close()));
    token.remove();
    await redis.stop();
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

main().catch((error: unknown) => {
  process.stderr.write(`shift: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 2;
});
