import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Comparison } from '../../src/cli/against.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { Ended } from '../support/cli.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import { writeTokenFile } from '../support/operator.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const AGENTS = 12;

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-check-'));
});

afterAll(() => rmSync(directory, { recursive: true }));

function poolOf(connectors: readonly { readonly name: string; readonly url: string }[], more = ''): string {
  const instances = connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`);
  return `
pools:
  - name: ici
    mode: sticky
    balancer: round-robin
    health: { path: /health, interval: 200ms, fastInterval: 50ms }
    instances: [${instances.join(', ')}]
${more}`;
}

async function check(yaml: string, against: string, ...flags: string[]): Promise<Ended> {
  const file = join(directory, 'new.yaml');
  writeFileSync(file, `listen: { address: '127.0.0.1:0' }\nadmin: { address: '127.0.0.1:0' }\n${yaml}`);
  return runCommand(['check', '--config', file, '--against', against, ...flags], {
    XDG_STATE_HOME: directory,
    HOME: directory,
  });
}

describe('a configuration compared with a running gateway', () => {
  let connectors: SimulatedConnector[];
  let gateway: TestGateway;

  beforeAll(async () => {
    connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
    // The default, which the gateways of other tests do not have.
    const size = 'affinity: { cacheEntries: 200000 }';
    gateway = await startTestGateway(poolOf(connectors, size), { stateDir: directory });
    await Promise.all(users(AGENTS, 'AGENT').map((user) => post(gateway.url, user)));
    await eventually(() =>
      expect(gateway.status().pools[0]?.instances.map(({ boundAgents }) => boundAgents)).toEqual([6, 6]),
    );
  });

  afterAll(async () => {
    await gateway.close();
    await Promise.all(connectors.map((connector) => connector.close()));
  });

  test('is reported as the same, and moves no agents', async () => {
    const { code, out } = await check(poolOf(connectors), gateway.adminUrl);
    expect(out).toContain('the gateway already runs with this configuration\n');
    expect(out).toMatch(/\n0 of 12 bound agents would move\n$/);
    expect(code).toBe(0);
  });

  test('names the instance whose agents would move, and their number', async () => {
    const { code, out } = await check(
      poolOf(connectors.slice(1), 'timeouts: { park: 3s }\n'),
      gateway.adminUrl,
    );
    expect(out.split('\n').slice(1)).toEqual([
      '  pools[ici].instances[b].priority: 2 → 1',
      '  pools[ici].instances[a]: removed',
      '  timeouts.park: 5s → 3s',
      'a reload brings it into effect',
      'pool ici: 6 bound agents of a would move, because it is removed',
      '6 of 12 bound agents would move',
      '',
    ]);
    expect(code).toBe(0);
  });

  test('names the options that need a restart, and the effect on the agents', async () => {
    const { code, out } = await check(
      poolOf(connectors, 'affinity: { keyPrefix: other }\n'),
      gateway.adminUrl,
    );
    expect(out).toMatch(/ {2}affinity\.keyPrefix: ici-gateway → other \(needs a restart, because .+\)\n/);
    expect(out).toContain(
      'a reload would be refused: leave out what needs a restart, or stop the gateway and start',
    );
    expect(out).toMatch(/12 of 12 bound agents would move\n$/);
    expect(code).toBe(3);
  });

  test('is also compared in JSON', async () => {
    const yaml = poolOf(connectors).replace('name: ici', 'name: chat');
    const { code, out } = await check(yaml, gateway.adminUrl, '--json');
    expect(JSON.parse(out) as Comparison).toMatchObject({
      against: { url: gateway.adminUrl, state: 'Running' },
      reloadable: true,
      boundAgents: 12,
      moving: 12,
      uncertain: [],
      pools: [
        {
          pool: 'ici',
          isNew: false,
          instances: [
            { instance: 'a', boundAgents: 6, why: 'the pool is removed' },
            { instance: 'b', boundAgents: 6, why: 'the pool is removed' },
          ],
        },
        { pool: 'chat', isNew: true, boundAgents: 0, moving: 0 },
      ],
    });
    expect(code).toBe(0);
  });
});

describe('without a gateway to compare with', () => {
  const NOWHERE = [{ name: 'a', url: 'http://10.0.0.1:8080' }];

  test('an invalid configuration is refused before any request', async () => {
    const { code, err } = await check('pools: []\n', 'http://127.0.0.1:1');
    expect(err).toContain('configuration is invalid');
    expect(code).toBe(1);
  });

  test('a text that is not a URL is reported', async () => {
    const { code, err } = await check(poolOf(NOWHERE), 'gateway1');
    expect(err).toContain('--against must be the URL of an admin plane');
    expect(code).toBe(1);
  });

  describe('a port without a gateway', () => {
    let server: Server;
    let answer: string;

    beforeEach(async () => {
      server = createServer((_request, response) => response.end(answer));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });

    const close = () => new Promise<void>((resolve) => void server.close(() => resolve()));
    afterEach(close);

    test('is reported if no process listens there', async () => {
      const { port } = server.address() as AddressInfo;
      await close();
      const { code, err } = await check(poolOf(NOWHERE), `http://127.0.0.1:${port}`);
      expect(err).toMatch(/no answer .*\(ECONNREFUSED\): give --against/);
      expect(code).toBe(1);
    });

    test.each([
      ['a page', '<html></html>', /answered 200, unlike a gateway of this version/],
      ['unknown options', '{"version":"9.9","novel":1,"pools":[]}', /\(9\.9\) has other options/],
    ])('is reported if it answers with %s', async (_what, body, message) => {
      answer = body;
      const { port } = server.address() as AddressInfo;
      const { code, err } = await check(poolOf(NOWHERE), `http://127.0.0.1:${port}`);
      expect(err).toMatch(message);
      expect(code).toBe(1);
    });
  });
});

test('a gateway with a token is asked with one', async () => {
  const token = writeTokenFile();
  const pools = poolOf([{ name: 'a', url: 'http://127.0.0.1:9' }]);
  const gateway = await startTestGateway(pools, { env: token.env, whileStarting: true });
  const bare = await check(pools, gateway.adminUrl);
  expect([bare.code, bare.err]).toEqual([1, expect.stringContaining('needs a token: give --token-file')]);
  const { code, out } = await check(pools, gateway.adminUrl, '--token-file', token.path);
  expect([code, out]).toEqual([3, expect.stringContaining('  admin.tokenFile: removed')]);
  // What stands above the file stays after a reload.
  expect(out).toContain(
    '(the gateway was started with ICI_GATEWAY_ADMIN__TOKEN_FILE, which stands above the file)',
  );
  expect(out).toContain('a reload would not bring all of it into effect');

  await gateway.close();
  token.remove();
});
