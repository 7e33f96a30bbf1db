import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import { subscribeEnvelope } from '../support/soap.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let connectors: SimulatedConnector[] = [];
let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
});

async function start(mode: 'sticky' | 'failover', sessionLost: string): Promise<void> {
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  gateway = await startTestGateway(`
pools:
  - name: ici
    mode: ${mode}
    health:
      { path: /health, interval: 200ms, fastInterval: 50ms, timeout: 200ms, fall: 2, incarnation: '"incarnation":"([^"]+)"' }
    sessionLost: ${sessionLost}
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
`);
}

/** Agents that are logged on at connector a. */
async function agentsAtA(): Promise<string[]> {
  const outcomes = await Promise.all(users(20, 'AGENT').map((user) => post(gateway.url, user)));
  return outcomes.filter(({ connector }) => connector === 'a').map(({ user }) => user);
}

const work = (user: string) => post(gateway.url, user, {}, 'makeCall');
const logOn = (user: string) => post(gateway.url, user);
const connector = (name: string): SimulatedConnector =>
  connectors.find((one) => one.name === name) as SimulatedConnector;
const lineOf = (id: string) =>
  eventually(() => {
    const line = gateway.requests().find(({ user, error }) => user === id && error === 'GW_SESSION_LOST');
    expect(line).toBeDefined();
    return line;
  });

describe('an agent of a sticky pool whose instance is lost', () => {
  test('gets one Fault, for any request except a logon, and that request is not delivered', async () => {
    await start('sticky', '{ answer: fault, logonOperations: [logOn, subscribe] }');
    const [first, second] = (await agentsAtA()) as [string, string];
    await connector('a').behave({ mode: 'refuse' });
    const { total } = connector('b').deliveries.report(false);

    expect(await work(first)).toMatchObject({ status: 500, code: 'GW_SESSION_LOST', connector: undefined });
    expect(connector('b').deliveries.report(false).total).toBe(total);
    expect(await lineOf(first)).toMatchObject({ decision: 'rebound', status: 500 });

    // Without a logon, the new instance answers that it does not know the agent.
    expect(await work(first)).toMatchObject({ status: 500, code: undefined, connector: 'b' });
    expect(await logOn(first)).toMatchObject({ status: 200, connector: 'b' });
    expect(await work(first)).toMatchObject({ status: 200, connector: 'b' });

    expect(await logOn(second)).toMatchObject({ status: 200, connector: 'b' });
    expect(await work(second)).toMatchObject({ status: 200, connector: 'b' });
  });

  test('gets no Fault if it is not configured', async () => {
    await start('sticky', '{}');
    const [agent] = (await agentsAtA()) as [string];
    await connector('a').behave({ mode: 'refuse' });
    expect(await work(agent)).toMatchObject({ status: 500, code: undefined, connector: 'b' });
  });

  test('gets the Fault after a restart of its instance as well', async () => {
    await start('sticky', '{ answer: fault, logonOperations: [subscribe] }');
    const [agent] = (await agentsAtA()) as [string];
    const { port } = connector('a');
    await connector('a').close();
    connectors[0] = await startConnector({ name: 'a', port });
    await eventually(() => {
      const [a] = gateway.status().pools[0]?.instances ?? [];
      expect(a).toMatchObject({ health: 'up', incarnation: connector('a').incarnation });
    });
    expect(await work(agent)).toMatchObject({ status: 500, code: 'GW_SESSION_LOST' });
    expect(await work(agent)).toMatchObject({ status: 500, code: undefined, connector: 'a' });
    expect((await logOn(agent)).status).toBe(200);
  });

  test('may send the logon with any encoding', async () => {
    await start('sticky', '{ answer: fault, logonOperations: [subscribe] }');
    const [agent] = (await agentsAtA()) as [string];
    await connector('a').behave({ mode: 'refuse' });
    const response = await fetch(`${gateway.url}/ici`, {
      method: 'POST',
      headers: { 'content-type': 'text/xml', 'content-encoding': 'gzip', soapuser: agent },
      body: gzipSync(subscribeEnvelope({ user: agent })),
    });
    expect(response.headers.get('x-connector')).toBe('b');
    expect(await response.text()).not.toContain('GW_SESSION_LOST');
  });
});

describe('the agents of a failover pool', () => {
  test('each get one Fault after a failover, and requests without a name go on', async () => {
    await start('failover', '{ answer: fault, logonOperations: [subscribe] }');
    const agents = await agentsAtA();
    expect(agents).toHaveLength(20);
    await connector('a').behave({ mode: 'refuse' });
    expect((await fetch(`${gateway.url}/health`)).headers.get('x-connector')).toBe('b');
    const told = await Promise.all(agents.map(work));
    expect(told.every(({ code }) => code === 'GW_SESSION_LOST')).toBe(true);
    const back = await Promise.all(agents.map(logOn));
    expect(back.every(({ status, connector: by }) => status === 200 && by === 'b')).toBe(true);
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    expect(metrics).toContain('gateway_errors_total{code="GW_SESSION_LOST"} 20');
  });
});
