import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { startGatedInstance } from '../support/gated-instance.ts';
import type { Outcome } from '../support/load.ts';
import { post } from '../support/load.ts';
import type { Answer, TokenFile } from '../support/operator.ts';
import { ask as askAdmin, writeTokenFile } from '../support/operator.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const PAGE = '/sap/wdisp/admin/publicicp/show_init_statepub.icp';
const PING = '/sap/public/icman/ping';

let connector: SimulatedConnector;
let gateway: TestGateway;
let token: TokenFile;

beforeEach(async () => {
  token = writeTokenFile();
  connector = await startConnector({ name: 'a' });
});

afterEach(async () => {
  await gateway.close();
  await connector.close();
  token.remove();
});

async function start(
  options = '',
  whileStarting = false,
  { url }: { url: string } = connector,
): Promise<void> {
  gateway = await startTestGateway(
    `${options}
pools:
  - name: ici
    mode: failover
    health: { path: /health, timeout: 5s, settleTimeout: 30s }
    instances: [{ id: a, url: '${url}' }]`,
    { env: token.env, whileStarting },
  );
}

/** Each poll uses a new connection, like balancers; `refused` if no connection is accepted. */
async function poll(base: string, path: string, method = 'GET'): Promise<string> {
  try {
    const response = await fetch(`${base}${path}`, { method, headers: { connection: 'close' } });
    return `${response.status} ${(await response.text()).trim()}`.trim();
  } catch {
    return 'refused';
  }
}

const ask = (path: string, body: Record<string, unknown>): Promise<Answer> =>
  askAdmin(gateway.adminUrl, 'POST', path, { why: 'test', ...body });

function send(): Promise<Outcome> {
  return post(gateway.url, 'MILLER');
}

describe('the state', () => {
  test('is reported by every page on both ports over a whole life cycle', async () => {
    const instance = await startGatedInstance();
    await start('lifecycle: { statusPollInterval: 1500ms }', true, instance);
    const seen: string[][] = [];
    let isOver = false;
    const poller = (async () => {
      const { url, adminUrl } = gateway;
      while (!isOver) {
        const row = [await poll(url, PAGE), await poll(adminUrl, PAGE), await poll(adminUrl, '/readyz')];
        if (String(row) !== String(seen.at(-1))) seen.push(row);
      }
    })();
    // A whole row at a time: a poll during a change may show both states.
    const until = (...row: readonly string[]): Promise<void> =>
      eventually(() => expect(seen.at(-1)).toEqual(row));
    const untilAll = (answer: string): Promise<void> => until(answer, answer, answer);

    await untilAll('503 Starting');
    instance.answerProbes();
    await untilAll('200 Running');
    await ask('/maintenance', { on: true });
    await untilAll('503 Maintenance');
    await ask('/maintenance', { on: false });
    await untilAll('200 Running');
    const pending = send();
    await eventually(() => expect(gateway.status().inFlight).toBe(1));
    await ask('/stop', {});
    await untilAll('503 Stopping');
    await until('refused', '503 Draining', '503 Draining');
    instance.answerRequests();
    expect(await pending).toMatchObject({ status: 200 });
    await gateway.ended;
    await untilAll('refused');
    isOver = true;
    await poller;
    await instance.close();

    const life = ['503 Starting', '200 Running', '503 Maintenance', '200 Running', '503 Stopping'];
    const shown = [0, 1, 2].map((page) =>
      seen
        .map((row) => row[page])
        // Only a client that asks at the right moment sees this: the last one to be accepted and answered.
        .filter((answer) => answer !== '503 Stopped' && (page > 0 || answer !== '503 Draining'))
        .filter((answer, at, all) => answer !== all[at - 1]),
    );
    expect(shown).toEqual([
      [...life, 'refused'],
      [...life, '503 Draining', 'refused'],
      [...life, '503 Draining', 'refused'],
    ]);
  });

  test('leaves Starting after maxInitTime, although an instance has not been probed', async () => {
    await connector.behave({ mode: 'hang', appliesTo: 'health' });
    await start('lifecycle: { maxInitTime: 300ms }', true);
    await eventually(async () => expect(await poll(gateway.url, PAGE)).toBe('200 Running'));
    expect(gateway.log.find(({ msg }) => msg === 'running')).toMatchObject({
      why: 'lifecycle.maxInitTime is over',
    });
    expect(gateway.status().pools[0]?.settled).toBe(false);
  });
});

describe('the state page', () => {
  test('never reaches an instance, and does not count as a request of the pool', async () => {
    await start();
    // RFC 3986 §6.2.2.2: the same path, so an instance would treat it as that page.
    const encoded = [
      PAGE.replace('_', '%5f'),
      PAGE.replace('pub.icp', '%70ub%2Eicp'),
      PING.replace('/i', '/%69'),
    ];
    const withSession = [`${PAGE};sap-sessioncmd=open?x=1`, PAGE.replace('/admin', '/admin;sap-ext-sid=x')];
    for (const path of [PAGE, `${PAGE}?x=1`, PING, ...encoded, `${encoded[0]}?x=%5f`, ...withSession]) {
      expect(await poll(gateway.url, path)).toBe('200 Running');
      expect(await poll(gateway.adminUrl, path)).toBe('200 Running');
      expect(await poll(gateway.url, path, 'HEAD')).toBe('200');
      expect(await poll(gateway.adminUrl, path, 'HEAD')).toBe('200');
    }
    expect(await poll(gateway.url, PAGE, 'POST')).toMatch(/^501 GW_METHOD_UNSUPPORTED/);
    expect(connector.deliveries.report(false).total).toBe(0);
    expect(gateway.requests().map(({ method }) => method)).toEqual(['POST']);
  });

  test('exists below each prefix, and answers 200 in every state if configured', async () => {
    await start('statePage: { prefixes: [/ping, /sap/admin], alwaysOk: true }');
    await ask('/maintenance', { on: true });
    for (const prefix of ['/ping', '/sap/admin'])
      expect(await poll(gateway.url, `${prefix}/publicicp/show_init_statepub.icp`)).toBe('200 Maintenance');
    expect(await poll(gateway.url, PAGE)).toMatch(/^503 GW_MAINTENANCE/);
    // The switch does not affect readiness, whose clients read only the status.
    expect(await poll(gateway.adminUrl, '/readyz')).toBe('503 Maintenance');
  });
});

describe('maintenance', () => {
  test('is refused without the token, and by a stopping gateway', async () => {
    await start('lifecycle: { statusPollInterval: 60s, shutdownTimeout: 90s }');
    const act = { on: true, why: 'test' };
    const refused = await askAdmin(gateway.adminUrl, 'POST', '/maintenance', act, '');
    expect(refused.status).toBe(401);
    expect((await ask('/maintenance', { on: 'yes' })).status).toBe(400);
    expect(gateway.status().state).toBe('Running');
    expect(await ask('/stop', {})).toMatchObject({ status: 200, body: { state: 'Stopping' } });
    expect(await ask('/maintenance', { on: true })).toMatchObject({
      status: 409,
      body: { error: 'the gateway is stopping; start it again first' },
    });
  });

  test('is switched from the command line, which can also stop the gateway', async () => {
    await start();
    const run = async (...args: string[]): Promise<string> => {
      let said = '';
      const say = (text: string): void => {
        said += text;
      };
      const at = ['--admin', gateway.adminUrl, '--token-file', token.path, '--why', 'patch'];
      await runProgram(['node', 'ici-gateway', 'admin', ...args, ...at], {}, { out: say, err: say });
      return said;
    };
    expect(JSON.parse(await run('maintenance', 'on'))).toEqual({ state: 'Maintenance' });
    expect(JSON.parse(await run('maintenance', 'off'))).toEqual({ state: 'Running' });
    expect(await run('maintenance', 'maybe')).toContain('maintenance must be on or off, but is "maybe"');
    expect(await run('stop', '--soft-timeout', 'soon')).toContain('softTimeout must be a duration');
    // A timer with that value would fire at once.
    expect(await run('stop', '--soft-timeout', '30d')).toContain('of at most 24d');
    expect(JSON.parse(await run('stop', '--soft-timeout', '2s'))).toMatchObject({
      state: expect.stringMatching(/Stopping|Draining/),
    });
    await gateway.ended;
  });
});
