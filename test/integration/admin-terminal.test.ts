import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { Ended } from '../support/cli.ts';
import { RecordedOutput, runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post, users } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { writeTokenFile } from '../support/operator.ts';
import { freePort } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

/** `ici-gateway admin` as people use it: at a terminal, with the address of the gateway in the environment. */

const TERMINAL = { hasColors: false };
const AGENTS = users(6, 'TTY');

let token: TokenFile;
let connectors: SimulatedConnector[];
let gateway: TestGateway;

beforeAll(async () => {
  token = writeTokenFile();
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const instances = connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ');
  const health = '{ path: /health, interval: 200ms, fastInterval: 50ms }';
  gateway = await startTestGateway(
    `
pools:
  - { name: spread, mode: sticky, balancer: round-robin, match: { paths: [/ici] }, health: ${health}, instances: [${instances}] }
  - { name: one, match: { paths: [/one] }, health: ${health}, instances: [${instances}] }
workers: 0
`,
    { env: token.env },
  );
  for (const user of AGENTS) await post(gateway.url, user);
  await eventually(() =>
    expect(gateway.status().pools[0]?.instances.map(({ boundAgents }) => boundAgents)).toEqual([3, 3]),
  );
});
afterAll(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
  token.remove();
});
afterEach(async () => {
  for (const id of ['a', 'b']) await shell(['enable', 'spread', id, '--why', 'the next test']);
});

const env = (): Record<string, string> => ({
  ...token.env,
  USER: 'ops',
  ICI_GATEWAY_ADMIN__URL: gateway.adminUrl,
});
/** At a terminal. */
const type = (...args: string[]): Promise<Ended> => runCommand(['admin', ...args], env(), TERMINAL);
/** In a script. */
const shell = (args: readonly string[]): Promise<Ended> => runCommand(['admin', ...args], env());

describe('at a terminal', () => {
  test('the status is text: state, pools, instances, and who changed them', async () => {
    await type('drain', 'spread', 'a', '--why', 'patch the host');
    const { code, out } = await type('status');
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^\S+ {2}Running {2}\d+\.\d+\.\d+ {2}started .* ago\)$/);
    expect(out).toMatch(/^spread \(sticky\) {2}view \d+ in effect {2}leased {2}\d+ agents$/m);
    expect(out).toMatch(/^a +up, draining +3 +0 +0 +\d+ +http:\/\/\S+ +admin \(says ops\): patch the host$/m);
    expect(out).toMatch(/^one \(failover\) {2}a is active since /m);
    expect(out).toMatch(/^b +up, standby /m);
    expect(out).toMatch(/^health\.profile: probes watched for \S+ only.*; advice needs a day$/m);
  });

  test('changes and events are sentences and tables', async () => {
    expect((await type('drain', 'spread', 'a', '--why', 'patch', '--deadline', '30m')).out).toMatch(
      /^a takes no new agents; 3 agents left, deadline .* \(in (29m 59s|30m)\)\n$/,
    );
    expect((await type('enable', 'spread', 'a', '--why', 'patched')).out).toBe('a takes new agents\n');
    expect((await type('activate', 'one', 'b', '--why', 'a is slow')).out).toMatch(/^b is active since /);
    expect((await type('failback-policy', 'one', 'never', '--why', 'quiet')).out).toBe('failback: never\n');
    expect((await type('maintenance', 'on', '--why', 'x')).out).toBe(
      'the gateway is in the state Maintenance\n',
    );
    expect((await type('maintenance', 'off', '--why', 'x')).out).toBe(
      'the gateway is in the state Running\n',
    );
    const { out } = await type('events', 'spread', '--kind', 'admin', '--limit', '1');
    expect(out).toMatch(/^TIME \([+-]\d\d:\d\d\) +VIEW +KIND +INSTANCE +CHANGE +FROM +BY +WHY\n/);
    expect(out).toMatch(/admin +a +draining → enabled +127\.0\.0\.1 +admin \(says ops\) +patched\n$/);
  });

  test('an agent is a sentence, found in all pools that bind agents', async () => {
    const { code, out } = await type('agent', AGENTS[0] ?? '');
    expect(code).toBe(0);
    expect(out).toMatch(
      new RegExp(`^${AGENTS[0]} is on [ab] since .* UTC, because the balancer round-robin chose it .*\\n`),
    );
    expect(out).toMatch(/^pool +spread \(sticky\)$/m);
    expect(out).toMatch(/^last request +in the last /m);
    const piped = JSON.parse((await shell(['agent', AGENTS[0] ?? ''])).out);
    expect(piped).toMatchObject({ pool: 'spread', name: AGENTS[0], cause: { kind: 'claimed' } });
    const named = JSON.parse((await shell(['agent', AGENTS[0] ?? '', '--pool', 'one'])).out);
    expect(named).toMatchObject({ pool: 'one', mode: 'failover', cause: { kind: 'active' } });
  });

  test('an agent that is not bound is exit code 3, so that scripts can tell it from a failure', async () => {
    const unbound = await shell(['agent', 'STRANGER']);
    expect([unbound.code, unbound.out]).toEqual([3, '']);
    expect(unbound.err).toContain('STRANGER');
    expect((await shell(['agent', 'STRANGER', '--pool', 'none'])).code).toBe(1);
    expect((await shell(['agent', 'STRANGER', '--kind', 'nickname'])).code).toBe(1);
  });

  test('agents are a table, of the pool that binds agents, filtered at the gateway', async () => {
    const { out } = await type('agents', '--prefix', 'TTY');
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^AGENT +INSTANCE +SINCE +LAST REQUEST +ENDS IN +NAMED BY$/);
    expect(
      lines
        .slice(1, -1)
        .map((line) => line.split(' ')[0] ?? '')
        .toSorted(),
    ).toEqual(AGENTS.toSorted());
    expect(lines[1]).toMatch(/ [ab] +\d\d:\d\d:\d\d \(\d+s ago\) +in the last .* SAP$/);
    expect(lines.at(-1)).toBe('6 agents');
    const first = await type('agents', 'spread', '--prefix', 'TTY', '--limit', '4');
    const cursor = /--cursor (\S+)/.exec(first.out)?.[1] ?? '';
    const rest = JSON.parse((await shell(['agents', 'spread', '--prefix', 'TTY', '--cursor', cursor])).out);
    expect(rest.agents).toHaveLength(2);
    expect((await type('agents', '--idle-since', '30d')).out).toBe('no agents\n');
    const wrong = await type('agents', '--idle-since', 'long');
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('idleSince must be')]);
  });

  test('a forgotten agent is named, and so is one that is not bound', async () => {
    await post(gateway.url, 'BROWN');
    expect((await type('forget', 'spread', 'brown', '--why', 'has left')).out).toMatch(
      /^user:BROWN is no longer bound to [ab]\n$/,
    );
    const again = await type('forget', 'spread', 'brown', '--why', 'has left');
    expect([again.code, again.err]).toEqual([
      1,
      expect.stringMatching(/^ici-gateway: .*BROWN.* \(status 404\)\n$/),
    ]);
  });

  test('--dry-run says what a change would do to the agents now, and changes nothing', async () => {
    // Agents are counted every second, and the test before has bound one.
    await eventually(async () =>
      expect((await type('disable', 'spread', 'a', '--dry-run')).out).toBe('3 agents must log on again\n'),
    );
    expect((await type('drain', 'spread', 'a', '--dry-run')).out).toMatch(/^3 agents stay at a until /);
    expect((await type('failback', 'one', '--dry-run')).out).toMatch(/^(nothing|all agents)/);
    expect(JSON.parse((await shell(['disable', 'spread', 'a', '--dry-run'])).out)).toEqual({
      agents: 3,
      text: '3 agents must log on again',
      view: expect.any(String),
    });
    expect(gateway.status().pools[0]?.instances[0]?.admin).toBe('enabled');
    const reasonless = await shell(['disable', 'spread', 'a']);
    expect([reasonless.code, reasonless.err]).toEqual([2, expect.stringContaining('--why')]);
  });

  test('events are filtered at the gateway', async () => {
    await type('drain', 'spread', 'b', '--why', 'one', '--by', 'jones');
    await type('enable', 'spread', 'b', '--why', 'two', '--by', 'brown');
    const whys = async (...filter: string[]): Promise<string[]> =>
      JSON.parse((await shell(['events', 'spread', ...filter])).out).events.map(
        ({ why }: { why: string }) => why,
      );
    expect(await whys('--by', 'jones')).toEqual(['one']);
    expect((await whys('--instance', 'b', '--kind', 'admin')).slice(0, 2)).toEqual(['two', 'one']);
    expect(await whys('--since', '1h', '--kind', 'up', '--instance', 'a')).toHaveLength(1);
    expect((await type('events', 'spread', '--kind', 'quarantined')).out).toBe('no events\n');
  });

  test('events are exported as CSV that a spreadsheet takes for text', async () => {
    await type('drain', 'spread', 'b', '--why', '=1+1, "quoted"', '--by', 'jones');
    const [head, first] = (await shell(['events', 'spread', '--all', '--csv', '--by', 'jones'])).out.split(
      '\r\n',
    );
    expect(head).toBe('at,kind,instance,from,to,by,why,source,gateway,times,firstAt,epoch');
    expect(first).toMatch(
      /^[^,]+,admin,b,enabled,draining,admin \(says jones\),"'=1\+1, ""quoted""",127\.0\.0\.1,,,,\d+$/,
    );
  });

  test('the configuration is a table with the source of each value', async () => {
    const { out } = await type('config', '--changed');
    expect(out).toMatch(/^OPTION +VALUE +DEFAULT +FROM\n/);
    expect(out).toMatch(/^workers +0 +\S.* \S+$/m);
    expect(out).not.toMatch(/ default$/m);
    const all = JSON.parse((await shell(['config'])).out).options;
    expect(all.length).toBeGreaterThan(100);
  });

  test('all gateways are a table', async () => {
    const { out } = await type('gateways');
    expect(out).toMatch(/^GATEWAY +STATE +VERSION +WORKERS +STARTED +SEEN +POOLS +ADMIN\n/);
    expect(out).toMatch(/ \(asked\) +Running +\S+ +0 .* now +spread leased \S+, one leased \S+ +–\n$/);
  });

  test('--json prints what programs get', async () => {
    const [typed, piped] = [await type('gateways', '--json'), await shell(['gateways'])];
    expect(JSON.parse(typed.out).gateways).toMatchObject([{ self: true, state: 'Running' }]);
    expect(Object.keys(JSON.parse(piped.out))).toEqual(Object.keys(JSON.parse(typed.out)));
  });

  test('a gateway that does not answer is named with a remedy', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const lost = await runCommand(['admin', 'status'], { ICI_GATEWAY_ADMIN__URL: url }, TERMINAL);
    expect([lost.code, lost.out]).toEqual([1, '']);
    expect(lost.err).toContain(
      `${url}: ECONNREFUSED; is the gateway running, and is this its admin.address?`,
    );
    const misnamed = await runCommand(['admin', 'status'], { ICI_GATEWAY_ADMIN__URL: 'localhost:9090' });
    expect([misnamed.code, misnamed.err]).toEqual([
      1,
      expect.stringContaining('ICI_GATEWAY_ADMIN__URL must be a URL such as http://'),
    ]);
  });
});

describe('drain --watch', () => {
  const drain = (instance: string): string[] => ['drain', 'spread', instance, '--why', 'patch', '--watch'];

  test('shows the agents that are left until the drain is over; programs get a line of JSON for each change', async () => {
    // The watch looks at once, and then every second: the drain must not be over before the first look.
    const deadline = ['--deadline', '1900ms'];
    const [typed, piped] = await Promise.all([
      type(...drain('a'), ...deadline),
      shell([...drain('b'), ...deadline]),
    ]);
    expect([typed.code, typed.err]).toEqual([
      0,
      'a is drained and disabled; the deadline came before 3 agents had left, who must log on again\n',
    ]);
    expect(typed.out).toContain('3 agents left');
    const shown = AGENTS.filter((agent) => typed.out.includes(agent));
    expect(shown).toHaveLength(3);
    expect(typed.out).toContain('Ctrl-C ends the watching, not the drain');
    expect(piped.code).toBe(0);
    const lines = piped.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ instance: 'b', admin: 'draining', remaining: 3 });
    expect(lines.at(-1)).toMatchObject({ instance: 'b', admin: 'disabled' });
  });

  test('ends when another operator lets the instance take agents again', async () => {
    const output = new RecordedOutput();
    const watching = runProgram(['node', 'ici-gateway', 'admin', ...drain('a')], env(), output);
    await eventually(() => expect(output.written.out).toContain('"draining"'));
    await shell(['enable', 'spread', 'a', '--why', 'too early']);
    expect(await watching).toBe(1);
    expect(output.written.err).toContain('a takes agents again, so its drain has ended');
  });

  test('says so if nothing is being drained', async () => {
    expect(await shell(['draining', 'spread', 'a', '--watch'])).toMatchObject({
      code: 1,
      err: 'a is not being drained\n',
    });
  });
});
