import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { OpenApiDocument } from '../../src/admin/openapi.ts';
import { startAgents } from '../../src/simulator/agents.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { PASSWORD } from '../../src/simulator/wire.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { readIncident } from '../support/incident.ts';
import { ask, TOKEN, writeTokenFile } from '../support/operator.ts';

// Agents choose their work center by a text with a password: `id;password;device`. No text of a gateway may hold it.

const TEXT = `4711;${PASSWORD};2001`;
/** Crashes the gateway like a bug. */
const CRASH = 'SIGPWR';

/** All texts of gateways, and where they come from. */
const texts: [origin: string, text: string][] = [];
const folder = mkdtempSync(join(tmpdir(), 'ici-passwords-'));
const errorsFile = join(folder, 'stderr');
const token = writeTokenFile();
const gateways: GatewayProcess[] = [];
let connectors: SimulatedConnector[] = [];

beforeAll(async () => {
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const crash = `process.once('${CRASH}', () => setImmediate(() => { throw new Error('a fault of this test'); }));`;
  const preload = join(folder, 'crash.mjs');
  writeFileSync(preload, crash);
  const prefix = ['sh', '-c', `NODE_OPTIONS='--import=${preload}' exec "$@" 2>>'${errorsFile}'`, 'sh'];
  const config = {
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        balancer: 'round-robin',
        health: { path: '/health', interval: '200ms', fastInterval: '50ms', timeout: '10s' },
        instances: connectors.map(({ name, url }) => ({ id: name, url })),
      },
    ],
    affinity: {
      keyPrefix: `passwords-${randomBytes(4).toString('hex')}`,
      redis: { url: inject('redisUrl') },
    },
    limits: { identityBytes: '2KB', bodyBytes: '64KB' },
    admin: { address: '127.0.0.1:0', tokenFile: token.path },
    logging: { level: 'trace' },
  };
  gateways.push(...(await Promise.all([0, 1].map(() => startGatewayProcess(config, { prefix })))));
});
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all(connectors.map((connector) => connector.close()));
  token.remove();
  rmSync(folder, { recursive: true });
});

const soap = (inBody: string): string =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${inBody}</s:Body></s:Envelope>`;
const CHOSEN = soap(`<setWorkcenter><workcenter>${TEXT}</workcenter></setWorkcenter>`);

/** Bodies that gateways cannot read, or that hold the text in the place of a name. */
const BODIES: readonly (readonly [
  body: string | Uint8Array<ArrayBuffer>,
  headers?: Record<string, string>,
])[] = [
  [CHOSEN],
  [`<!DOCTYPE s>${CHOSEN}`],
  [JSON.stringify({ workcenter: TEXT })],
  [CHOSEN.slice(0, -20)],
  [soap(`<login><${TEXT}/></login>`)],
  [soap(`<login><user>${TEXT}</user></login>`)],
  [soap(`<login><user>${TEXT} *</user></login>`)],
  [CHOSEN, { 'content-encoding': 'br' }],
  [Uint8Array.from(gzipSync(CHOSEN)).slice(0, 60), { 'content-encoding': 'gzip' }],
  [CHOSEN, { 'content-type': 'multipart/related' }],
  [CHOSEN, { 'content-type': 'text/xml; charset=unknown' }],
  [`${CHOSEN}${' '.repeat(70_000)}`],
];

/** Framing that lets the text stand where the next request, or a chunk, begins. */
const RAW = [
  `POST /ici HTTP/1.1\r\nHost: crm\r\nContent-Length: 2\r\n\r\n<s${TEXT} ${TEXT} HTTP/1.1\r\n\r\n`,
  `POST /ici HTTP/1.1\r\nHost: crm\r\nTransfer-Encoding: chunked\r\n\r\n${TEXT}\r\n${CHOSEN}`,
  `POST /ici HTTP/1.1\r\nHost: crm\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n${CHOSEN}`,
];

async function post(
  { url }: GatewayProcess,
  body: string | Uint8Array<ArrayBuffer>,
  headers = {},
): Promise<string> {
  const sent = { method: 'POST', headers: { 'content-type': 'text/xml', ...headers }, body };
  const answer = await fetch(url, sent).catch((error: Error) => error);
  // A connector answers with what it got.
  if (answer instanceof Error || answer.headers.has('x-connector')) return '';
  return JSON.stringify([[...answer.headers], await answer.text()]);
}

function postRaw({ url }: GatewayProcess, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.end(bytes));
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data;
    });
    socket.on('error', () => undefined).once('close', () => resolve(text));
  });
}

/** Every answer that the admin port describes, by its own description. */
async function readAll({ adminUrl }: GatewayProcess): Promise<void> {
  const { paths } = (await ask(adminUrl, 'GET', '/openapi.json')).body as OpenApiDocument;
  const given: Readonly<Record<string, string>> = {
    pool: 'ici',
    instance: 'a',
    name: 'AGENT0001',
    act: 'drain',
  };
  for (const [path, { get }] of Object.entries(paths)) {
    if (get === undefined || path === '/status/stream' || path === '/incident') continue;
    const query = (get.parameters ?? []).filter((one) => one.in === 'query' && one.required);
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => given[name] ?? name);
    const asked = Object.fromEntries(query.map(({ name }) => [name, given[name] ?? '']));
    const url = `${filled}?${new URLSearchParams(asked)}`;
    const { status, body } = await ask(adminUrl, 'GET', url);
    // A single process has nothing to preview.
    expect([url, status]).toEqual([url, path === '/reload/preview' ? 409 : 200]);
    texts.push([`GET ${path}`, typeof body === 'string' ? body : JSON.stringify(body)]);
  }
  // It is compressed.
  const files = await readIncident(adminUrl, '?names=readable');
  for (const [name, text] of files) texts.push([`GET /incident: ${name}`, text]);
  const ending = new AbortController();
  const { body } = await fetch(`${adminUrl}/status/stream`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    signal: ending.signal,
  });
  const first = await body?.getReader().read();
  texts.push(['GET /status/stream', Buffer.from(first?.value ?? []).toString()]);
  ending.abort();
}

test('a password in a work-center text is in no log line, metric, status, admin answer, event, Fault or crash', async () => {
  const urls = gateways.map(({ url }) => url);
  const [first, second] = gateways as [GatewayProcess, GatewayProcess];
  const common = { urls, agents: 4, ratePerAgent: 40, rampMs: 0, objectMethods: true };
  const withHeaders = startAgents(common);
  const withoutHeaders = startAgents({
    ...common,
    withHeaders: false,
    dialect: 'agent-login',
    userPrefix: 'BODY',
  });
  await eventually(() => {
    expect(withHeaders.stats().loggedOn).toBe(4);
    expect(withHeaders.stats().answers + withoutHeaders.stats().answers).toBeGreaterThan(60);
    const chosen = connectors.flatMap((connector) =>
      connector.sessions().map(({ workCenter }) => workCenter),
    );
    expect(new Set(chosen)).toContain(TEXT);
  });
  for (const gateway of gateways) {
    const bodies = BODIES.map(([body, headers]) => post(gateway, body, headers));
    const raw = RAW.map((bytes) => postRaw(gateway, bytes));
    texts.push(...(await Promise.all([...bodies, ...raw])).map((text): [string, string] => ['answer', text]));
  }
  const act = (path: string, more: object = {}) =>
    ask(first.adminUrl, 'POST', path, { why: 'a test', by: 'ops', ...more });
  await act('/pools/ici/instances/b/drain');
  await act('/pools/ici/agents/move', { name: 'AGENT0001', to: 'a' });
  await act('/pools/ici/agents/forget', { name: 'AGENT0002' });
  // The instance has the requests, and gives no answer.
  for (const connector of connectors) await connector.behave({ mode: 'reset', appliesTo: 'soap' });
  texts.push(['unknown outcome', await post(first, CHOSEN, { soapuser: 'AGENT0001' })]);
  for (const connector of connectors) await connector.behave({ mode: 'normal' });
  await Promise.all([readAll(first), readAll(second)]);

  for (const connector of connectors) await connector.behave({ mode: 'hang', appliesTo: 'soap' });
  const pending = [post(second, CHOSEN), post(second, CHOSEN, { soapuser: 'AGENT0001' })];
  await eventually(async () => expect(await second.metrics()).toMatch(/^gateway_in_flight [2-9]/m));
  second.signal(CRASH);
  await Promise.all(pending);
  for (const connector of connectors) await connector.behave({ mode: 'normal' });
  await Promise.all([withHeaders.stop(), withoutHeaders.stop(), first.stop()]);

  for (const { log } of gateways) texts.push(['log', log.map((line) => JSON.stringify(line)).join('\n')]);
  texts.push(['standard error', readFileSync(errorsFile, 'utf8')]);
  // What the test looks through has the requests, and the crash.
  const all = texts.map(([, text]) => text).join('\n');
  for (const known of [
    'AGENT0001',
    'BODY0001',
    'setWorkcenter',
    'GW_OUTCOME_UNKNOWN',
    'a fault of this test',
    'identityReason',
  ])
    expect(all.includes(known), known).toBe(true);
  for (const [origin, text] of texts) expect(around(text), origin).toBe('');
});

/** The password and what is around it; empty if the text does not hold it. User names are in upper case. */
function around(text: string): string {
  const at = text.toUpperCase().indexOf(PASSWORD.toUpperCase());
  return at === -1 ? '' : text.slice(Math.max(0, at - 200), at + 100);
}
