import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentPage } from '../../src/core/agent-status.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-groups-'));
const file = join(folder, 'groups.csv');
const token = writeTokenFile();
const VALID = 'MILLER;sales\nSMITH;sales\nAWAY;sales\nWEBER;service\n';

let connector: SimulatedConnector;
let gateway: TestGateway;

beforeAll(async () => {
  writeFileSync(file, VALID);
  connector = await startConnector({ name: 'a' });
  gateway = await startTestGateway(
    `pools: [{ name: ici, mode: sticky, health: { path: /health }, groups: { file: '${file}' }, instances: [{ id: a, url: '${connector.url}' }] }]
identity: { logon: [subscribe], logoff: [logOff] }`,
    { env: token.env },
  );
  for (const user of ['MILLER', 'WEBER', 'SMITH', 'JONES']) await send(user, 'subscribe');
});
afterAll(async () => {
  await gateway.close();
  await connector.close();
  token.remove();
  rmSync(folder, { recursive: true });
});

async function send(user: string, operation: string): Promise<void> {
  expect((await post(gateway.url, user, {}, operation)).status).toBe(200);
}

const command = (args: readonly string[], terminal?: { readonly hasColors: boolean }) =>
  runCommand(['admin', ...args, '--admin', gateway.adminUrl], token.env, terminal);

const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text();

test('the members of a group are listed, page by page', async () => {
  const { out } = await command(['agents', '--group', 'sales']);
  const namesIn = ({ agents }: AgentPage): string[] => agents.map(({ name }) => name);
  expect(namesIn(JSON.parse(out)).toSorted()).toEqual(['MILLER', 'SMITH']);
  expect(namesIn(JSON.parse((await command(['agents', '--group', 'none'])).out))).toEqual([]);
  expect((await command(['agents', '--group', 'none'], { hasColors: false })).out).toBe(
    'no agent of group none is bound; members by a header (groups.header) are not known here\n',
  );

  const found: string[] = [];
  let next: string | null = '';
  while (next !== null) {
    const cursor: string = next === '' ? '' : `&cursor=${encodeURIComponent(next)}`;
    const { body } = await ask(gateway.adminUrl, 'GET', `/pools/ici/agents?group=sales&limit=1${cursor}`);
    expect(body.agents.length).toBeLessThanOrEqual(1);
    found.push(...namesIn(body));
    ({ next } = body);
  }
  expect(found.toSorted()).toEqual(['MILLER', 'SMITH']);
  await eventually(async () =>
    expect((await command(['status'], { hasColors: false })).out).toContain(
      'members of a group: ici-gateway admin agents ici --group NAME',
    ),
  );
});

test('a drain says how many agents have logged off, and when the last binding ends', async () => {
  await send('JONES', 'logOff');
  await eventually(async () =>
    expect((await ask(gateway.adminUrl, 'GET', '/pools/ici/agents/JONES')).body.loggedOff).toBe(true),
  );
  await command(['drain', 'ici', 'a', '--why', 'patch']);
  const { body } = await ask(gateway.adminUrl, 'GET', '/pools/ici/drain/a?limit=1');
  expect(body).toMatchObject({ loggedOff: 1, agents: [expect.anything()] });
  const { body: all } = await ask(gateway.adminUrl, 'GET', '/pools/ici/drain/a');
  const seconds = all.agents.map((one: { readonly expiresInSeconds: number }) => one.expiresInSeconds);
  const lastSeconds = (Date.parse(body.lastEnd) - Date.now()) / 1_000;
  expect(Math.abs(lastSeconds - Math.max(...seconds))).toBeLessThan(10);

  const why = /logged off: 1 of 4 agents; if no agent sends a request, the last binding ends .*\(in /;
  await eventually(async () =>
    expect((await command(['draining', 'ici', 'a'], { hasColors: false })).out).toMatch(why),
  );
  expect((await command(['status'], { hasColors: false })).out).toMatch(
    new RegExp(`^a drains: ${why.source}`, 'm'),
  );
  await command(['enable', 'ici', 'a', '--why', 'patched']);
});

test('a file of groups that cannot be used is in the status and the metrics until it can', async () => {
  const shows = async (problem: unknown, metric: number): Promise<void> => {
    await eventually(async () => {
      expect(gateway.status().pools[0]?.groupFileProblem).toEqual(problem);
      expect(await metrics()).toContain(`gateway_group_file_valid{pool="ici"} ${metric}\n`);
    });
  };
  await shows(null, 1);
  rmSync(file);
  await shows(
    { since: expect.any(String), reason: expect.stringMatching(/no such file|ENOENT|cannot be read/) },
    0,
  );
  expect((await command(['agents', '--group', 'sales'])).out).toContain('MILLER');
  writeFileSync(file, VALID);
  await shows(null, 1);
});
