import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Explanation } from '../../src/core/explanation.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { Random } from '../dialogues/random.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { LogLine, TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { WireClient } from '../support/wire.ts';

/** `EXPLAIN_REQUESTS=1000 npx vitest run --project integration test/integration/explain.test.ts` sends more. */
const REQUESTS = Number(process.env['EXPLAIN_REQUESTS'] ?? 150);

let token: TokenFile;
let connectors: readonly SimulatedConnector[];
let gateway: TestGateway;

beforeAll(async () => {
  token = writeTokenFile();
  connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
  const instances = connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ');
  const pool = (name: string, rest: string): string =>
    `{ name: ${name}, ${rest}, health: { path: /health }, instances: [${instances}] }`;
  gateway = await startTestGateway(
    `pools:
  - ${pool('ici', 'mode: sticky, balancer: rendezvous, match: { paths: [/ici] }')}
  - ${pool('turns', 'mode: sticky, balancer: round-robin, sessionLost: { answer: fault }, match: { paths: [/turns] }')}
  - ${pool('one', 'mode: failover, match: { paths: [/one] }')}
identity: { logon: [{ operation: login }] }
timeouts: { park: 50ms }`,
    { env: token.env },
  );
});
afterAll(async () => {
  await gateway.close();
  for (const connector of connectors) await connector.close();
  token.remove();
});

async function explain(pool: string, question: object): Promise<Explanation> {
  const { status, body } = await ask(gateway.adminUrl, 'POST', `/pools/${pool}/explain`, question);
  expect([status, body]).toEqual([200, expect.anything()]);
  return body as Explanation;
}

const envelope = (inside: string): string =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${inside}</s:Body></s:Envelope>`;

function requestTo(pool: string, random: Random): string {
  const fields = [`POST /${pool}/x HTTP/1.1`, 'Host: gw', 'Connection: close', 'Content-Type: text/xml'];
  if (random.chance(0.6)) fields.push(`soapuser: ${random.of(['MILLER', 'smith', 'JONES', 'a\tb'])}`);
  if (random.chance(0.4)) fields.push(`Cookie: WS_SESSION_ID=${random.of(['s1', 's2', 's3'])}`);
  if (random.chance(0.03)) fields.push('soapuser: TWICE');
  const name = random.chance(0.5) ? `<userId>${random.of(['MILLER', 'WEBER', '*'])}</userId>` : '';
  const body = random.chance(0.5)
    ? envelope(`<${random.of(['login', 'getParts'])}>${name}</${random.of(['login', 'getParts'])}>`)
    : envelope(`<login>${name}</login>`);
  return `${fields.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Sends the request, and returns what the gateway logs of it. */
async function send(request: string): Promise<LogLine> {
  const client = await WireClient.open(gateway.port);
  const response = await client.send(request).response();
  client.leave();
  const id = response.get('x-request-id');
  return eventually(() => {
    const line = gateway.requests().find(({ requestId }) => requestId === id);
    expect(line).toBeDefined();
    return line as LogLine;
  });
}

const ACTS = [
  '/pools/ici/instances/a/drain',
  '/pools/ici/instances/a/enable',
  '/pools/ici/instances/b/disable',
  '/pools/ici/instances/b/enable',
  '/pools/turns/instances/c/disable',
  '/pools/turns/instances/c/enable',
  '/pools/ici/agents/forget',
];

test('what is explained is what the gateway then does', { timeout: 600_000 }, async () => {
  const random = new Random(7);
  const outcomes = new Set<string>();
  for (let i = 0; i < REQUESTS; i += 1) {
    if (random.chance(0.06)) {
      const path = random.of(ACTS);
      await ask(gateway.adminUrl, 'POST', path, {
        why: 'explain',
        ...(path.endsWith('forget') ? { agent: 'MILLER' } : {}),
      });
    }
    const pool = random.of(['ici', 'ici', 'turns', 'one']);
    const request = requestTo(pool, random);
    const told = await explain(pool, { request, from: '127.0.0.1' });
    const { instance, decision, error } = await send(request);

    const done = told.outcome === 'refuse' || told.outcome === 'wait' ? { error } : { instance, decision };
    const isOneOf = told.oneOf.includes(String(instance));
    const said =
      'error' in done
        ? { error: told.error }
        : { instance: isOneOf ? instance : told.instance, decision: told.decision };
    expect([request, said]).toEqual([request, done]);
    outcomes.add(`${told.outcome} ${told.decision ?? told.error}`);
  }
  expect([...outcomes]).toEqual(
    expect.arrayContaining([
      'forward bound',
      'forward claimed',
      'forward anonymous',
      'refuse GW_IDENTITY_AMBIGUOUS',
    ]),
  );
});

describe('an explanation', () => {
  test('binds no agent, and leaves the last request of a bound agent as it is', async () => {
    const agentOf = (name: string) => ask(gateway.adminUrl, 'GET', `/pools/ici/agents/${name}`);
    await send('POST /ici HTTP/1.1\r\nHost: gw\r\nConnection: close\r\nsoapuser: BOUND\r\n\r\n');
    const before = (await agentOf('BOUND')).body;

    await explain('ici', { user: 'NEW' });
    await explain('ici', { headers: ['soapuser: BOUND'] });

    expect((await agentOf('NEW')).status).toBe(404);
    const after = (await agentOf('BOUND')).body;
    expect([after.generation, after.lastActive]).toEqual([before.generation, before.lastActive]);
    expect(after.expiresInSeconds).toBeLessThanOrEqual(before.expiresInSeconds);
  });

  test('shows no secret of the request, and no log has one', async () => {
    const bait = ['geheim-1', 'geheim-2', 'geheim-3', 'geheim-4'];
    const [cookie, password, session, query] = bait;
    const body = envelope(`<login><password>${password}</password><sessionId>${session}</sessionId></login>`);
    const request = `POST /ici?sid=${query} HTTP/1.1\nHost: gw\nAuthorization: Basic ${password}\nCookie: WS_SESSION_ID=${cookie}; other=${cookie}\n\n${body}`;
    const length = gateway.log.length;

    const told = JSON.stringify(await explain('ici', { request }));

    const events = JSON.stringify((await ask(gateway.adminUrl, 'GET', '/pools/ici/events')).body);
    const security = JSON.stringify((await ask(gateway.adminUrl, 'GET', '/security-log')).body);
    for (const secret of bait)
      for (const text of [told, events, security, JSON.stringify(gateway.log.slice(length))])
        expect(text).not.toContain(secret);
    expect(security).not.toContain('"act":"explain"');
  });

  test('is what the command prints', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-explain-'));
    const file = join(directory, 'request.txt');
    writeFileSync(file, 'POST /ici HTTP/1.1\nHost: gw\nsoapuser: MILLER\n\n');
    const admin = ['--admin', gateway.adminUrl, '--token-file', token.path];
    try {
      const asked = ['admin', 'explain', 'ici'];
      const byUser = await runCommand([...asked, '--user', 'MILLER', ...admin]);
      const byHeader = await runCommand([...asked, '--header', 'soapuser: MILLER', ...admin]);
      const byFile = await runCommand([...asked, '--file', file, ...admin], {}, { hasColors: false });
      const nothing = await runCommand([...asked, ...admin]);

      expect([byUser.code, byHeader.code, byFile.code, nothing.code]).toEqual([0, 0, 0, 1]);
      expect(JSON.parse(byUser.out)).toEqual(await explain('ici', { user: 'MILLER' }));
      expect(JSON.parse(byHeader.out).names[0]).toMatchObject({ value: 'MILLER', source: 'header' });
      expect(byFile.out).toMatch(/^MILLER goes to [abc]: /);
      expect(byFile.out).toContain('header soapuser names the user');
      expect(nothing.err).toContain('one of user, session, headers and request must be given');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
