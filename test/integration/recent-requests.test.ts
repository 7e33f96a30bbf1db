import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import type { ErrorsStatus } from '../../src/core/error-advice.ts';
import type { RecentRequestsStatus } from '../../src/core/recent-requests.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { RecordedOutput, runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const SESSION = 'WS_SESSION_ID=bait-session-value';

let connector: SimulatedConnector;
let gateway: TestGateway;
let hashing: TestGateway;

const config = (names: string) => `
identity: { logon: [logon], logoff: [logOff] }
pools:
  - { name: ici, mode: sticky, match: { paths: [/ici] }, health: { path: /health }, instances: [{ id: a, url: '${connector.url}' }] }
logging: { names: ${names} }
forwarding: { untrusted: refuse }
`;

beforeAll(async () => {
  connector = await startConnector({ name: 'a' });
  [gateway, hashing] = await Promise.all([
    startTestGateway(config('readable')),
    startTestGateway(config('hashed')),
  ]);
  for (const { url } of [gateway, hashing]) {
    await post(url, 'MILLER', { cookie: SESSION, authorization: 'Basic bait-password' }, 'logon');
    await post(url, 'MILLER', { cookie: SESSION });
    await post(url, 'SMITH', { 'x-forwarded-for': '10.1.2.3' });
    await post(url, 'MILLER', { cookie: SESSION }, 'logOff');
    await (await fetch(`${url}/elsewhere?password=bait-password`)).text();
  }
});
afterAll(async () => {
  await Promise.all([gateway.close(), hashing.close()]);
  await connector.close();
});

async function read<Body>(path: string, { adminUrl } = gateway): Promise<Body> {
  return (await (await fetch(`${adminUrl}${path}`)).json()) as Body;
}

/** A request is recorded when its client has the answer already. */
const all = (at = gateway) =>
  eventually(async () => {
    const answer = await read<RecentRequestsStatus>('/requests', at);
    expect(answer.requests).toHaveLength(5);
    return answer;
  });

describe('the last requests', () => {
  test('are listed with who, where to, and what became of them', async () => {
    const { requests, last } = await all();
    expect(requests).toMatchObject([
      { pool: null, user: null, instance: null, status: 404, code: 'GW_POOL_UNKNOWN', decision: 'refused' },
      { user: 'MILLER', act: 'logoff', operation: 'logOff', status: 200, decision: 'bound', code: null },
      { user: 'SMITH', instance: null, status: 403, code: 'GW_FORWARDED_UNTRUSTED' },
      { user: 'MILLER', act: null, status: 200, instance: 'a', attempts: 1, identitySource: 'header' },
      { user: 'MILLER', act: 'logon', operation: 'logon', decision: 'claimed', pool: 'ici' },
    ]);
    const lines = gateway.requests();
    expect(requests.map(({ requestId }) => requestId).sort()).toEqual(
      lines.map(({ requestId }) => requestId).sort(),
    );
    expect(await read(`/requests?after=${last}`)).toMatchObject({ requests: [], missed: 0, hasEnded: false });
  });

  test('are found by agent, by session or its digest, by code and by operation', async () => {
    const [{ session } = { session: '' }] = (await all()).requests.slice(1);
    expect(session).toMatch(/^~[\w-]{22}$/);
    const listed = await read<{ readonly aliases: readonly { readonly name: string }[] }>(
      '/pools/ici/agents/MILLER',
    );
    expect(listed.aliases).toMatchObject([{ name: session }]);
    const numberOf = async (query: string) =>
      (await read<RecentRequestsStatus>(`/requests?${query}`)).requests.length;
    expect(await numberOf('user=miller')).toBe(3);
    expect(await numberOf('session=bait-session-value')).toBe(3);
    expect(await numberOf(`session=${session}&operation=logOff`)).toBe(1);
    expect(await numberOf('code=any')).toBe(2);
    expect(await numberOf('code=GW_POOL_UNKNOWN')).toBe(1);
    expect(await numberOf('instance=a&limit=2')).toBe(2);
    expect(await numberOf('pool=ici')).toBe(3);
  });

  test('show no session, password or path, and hashed names where the log hashes them', async () => {
    const answers = await Promise.all([all(), all(hashing), read('/errors'), read('/errors', hashing)]);
    expect(JSON.stringify(answers)).not.toMatch(/bait|elsewhere/);
    expect(JSON.stringify([answers[1], answers[3]])).not.toMatch(/MILLER|SMITH/);
    const logged = hashing.requests().flatMap(({ user }) => user ?? []);
    expect(logged).toContain(answers[1].requests[1]?.user);
    expect((await read<RecentRequestsStatus>('/requests?user=MILLER', hashing)).requests).toHaveLength(3);
  });
});

test('errors are counted by code, with whose side to look at, what to do and the last requests', async () => {
  const { requests } = await all();
  const { errors, unnamedOperations } = await eventually(async () => {
    const body = await read<ErrorsStatus>('/errors');
    expect(body.errors.filter(({ count }) => count > 0)).toHaveLength(2);
    return body;
  });
  const unknown = errors.find(({ code }) => code === 'GW_POOL_UNKNOWN');
  expect(unknown).toMatchObject({ count: 1, owner: 'client', status: 404, runbook: '#requests-fail' });
  expect(unknown?.samples.map(({ requestId }) => requestId)).toEqual([requests[0]?.requestId]);
  expect(errors.find(({ code }) => code === 'GW_BINDINGS_FULL')).toMatchObject({
    count: 0,
    owner: 'store',
    samples: [],
  });
  expect(unnamedOperations).toEqual([]);
});

describe('the commands', () => {
  const run = (args: readonly string[]) =>
    runCommand(['admin', ...args, '--admin', gateway.adminUrl], {}, { hasColors: false });

  test('print a table of requests', async () => {
    await all();
    const { out } = await run(['requests', 'ici', '--user', 'MILLER']);
    expect(out.split('\n')[0]).toMatch(
      /^TIME .* STATUS +TIME +AGENT +INSTANCE +ROUTED +OPERATION +ERROR +CLIENT +REQUEST ID$/,
    );
    expect(out.match(/MILLER/g)).toHaveLength(3);
    expect(out).toMatch(/kept since/);
    expect((await run(['requests', '--user', 'UNKNOWN'])).out).toMatch(/^no request fits; kept since/);
  });

  test('print what to do about errors', async () => {
    const { out } = await run(['errors']);
    expect(out).toMatch(/GW_POOL_UNKNOWN {2}1 {2}look at: client\n/);
    expect(out).toContain('(deploy/RUNBOOK.md#requests-fail)');
    expect(out).not.toContain('GW_NO_INSTANCE');
    expect((await run(['errors', '--all'])).out).toContain('GW_NO_INSTANCE');
  });

  test('follow what comes, each request once, until Ctrl-C', async () => {
    await all();
    const output = new RecordedOutput(undefined);
    const args = ['admin', 'requests', 'ici', '--limit', '1', '--follow', '--admin', gateway.adminUrl];
    const running = runProgram(['node', 'ici-gateway', ...args], {}, output);
    const printed = (user: string) => eventually(() => expect(output.written.out).toContain(`"${user}"`));
    await printed('MILLER');
    for (const user of ['LATER', 'LAST']) {
      await post(gateway.url, user);
      await printed(user);
    }
    process.emit('SIGINT');
    expect([await running, output.written.err]).toEqual([0, '']);
    const { out } = output.written;
    const users = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).user);
    expect(users).toEqual(['MILLER', 'LATER', 'LAST']);
  });
});
