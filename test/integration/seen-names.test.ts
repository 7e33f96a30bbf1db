import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GatewayStatus } from '../../src/core/gateway-status.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let connector: SimulatedConnector;
let gateway: TestGateway;

beforeAll(async () => {
  connector = await startConnector({ name: 'a' });
  gateway = await startTestGateway(`
pools:
  - { name: ici, mode: sticky, health: { path: /health }, instances: [{ id: a, url: '${connector.url}' }] }
limits: { xmlDepth: 6, identityBytes: 2KB }
`);
});
afterAll(async () => {
  await gateway.close();
  await connector.close();
});

const envelope = (inBody: string): string =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${inBody}</s:Body></s:Envelope>`;
const NO_NAME = envelope('<getParts><id>7</id></getParts>');
const NAME = '<userId>MILLER</userId>';

type Sent = readonly [headers: Readonly<Record<string, string>>, body: string];

async function lineOf([headers, body]: Sent): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(gateway.url, {
    method: 'POST',
    headers: { 'content-type': 'text/xml', ...headers },
    body,
  });
  await response.text();
  const id = response.headers.get('x-request-id');
  return eventually(() => {
    const line = gateway.log.find(({ msg, requestId }) => msg === 'request' && requestId === id);
    expect(line).toBeDefined();
    return line as Readonly<Record<string, unknown>>;
  });
}

describe('the log line of a request says where its agent was named', () => {
  test.each<[source: string, sent: Sent]>([
    ['header', [{ soapuser: 'MILLER' }, NO_NAME]],
    ['header', [{ soapuser: 'MILLER', cookie: 'WS_SESSION_ID=s1' }, NO_NAME]],
    ['cookie', [{ cookie: 'WS_SESSION_ID=s1' }, NO_NAME]],
    ['body', [{}, envelope(`<login>${NAME}</login>`)]],
  ])('%s', async (source, sent) => {
    const line = await lineOf(sent);
    expect([line['identitySource'], line['identityReason']]).toEqual([source, undefined]);
    if (source === 'body') expect(line['operation']).toBe('login');
  });

  test.each<[reason: string, sent: Sent]>([
    ['no-name', [{}, NO_NAME]],
    ['no-name', [{}, '']],
    ['refused', [{}, envelope('<login><userId>*</userId></login>')]],
    ['doctype', [{}, `<!DOCTYPE s>${envelope(`<login>${NAME}</login>`)}`]],
    ['not-xml', [{}, `{"user":"MILLER"}`]],
    ['encoding', [{ 'content-encoding': 'gzip' }, envelope(`<login>${NAME}</login>`)]],
    ['multipart', [{ 'content-type': 'multipart/related' }, envelope(`<login>${NAME}</login>`)]],
    ['too-deep', [{}, envelope(`<a><b><c><d><e>${NAME}</e></d></c></b></a>`)]],
    ['too-long', [{}, envelope(`<login><x>${'y'.repeat(3_000)}</x>${NAME}</login>`)]],
  ])('none, because %s', async (reason, sent) => {
    const line = await lineOf(sent);
    expect([line['identitySource'], line['identityReason']]).toEqual(['none', reason]);
  });
});

test('metric, admin API and CLI show the same shares, and the operations that named no agent', async () => {
  const answer = await fetch(`${gateway.adminUrl}/pools/ici/identity`);
  const seen = (await answer.json()) as Readonly<Record<string, unknown>>;
  expect(seen).toMatchObject({ requests: 13, partial: false });
  expect(seen['sources']).toEqual(
    expect.arrayContaining([
      { source: 'none', requests: 9, share: 9 / 13 },
      { source: 'header', requests: 2, share: 2 / 13 },
    ]),
  );
  expect(seen['unnamedOperations']).toEqual(
    expect.arrayContaining([
      { operation: 'getParts', requests: 1, elements: ['id'] },
      { operation: 'login', requests: 2, elements: ['userId', 'x'] },
    ]),
  );
  // Two bodies were empty or of another format, and header and cookie named the agents of three others.
  expect(seen['searched']).toBe(9);
  expect((seen['elements'] as object[])[0]).toEqual({ kind: 'user', element: 'userId', requests: 1 });
  expect((seen['elements'] as object[])[1]).toEqual({ kind: 'user', element: 'user', requests: 0 });
  expect(seen['ignored']).toEqual([{ source: 'body', reason: 'wildcard', values: 1 }]);
  await eventually(async () => {
    const { pools } = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as GatewayStatus;
    expect(pools[0]?.identitySources).toEqual(seen['sources']);
  });
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  expect(metrics).toContain('gateway_identity_total{pool="ici",source="none",reason="encoding"} 1');
  expect(metrics).toContain('gateway_identity_total{pool="ici",source="header",reason=""} 2');
  expect(metrics).toContain('gateway_names_ignored_total{pool="ici",source="body",reason="wildcard"} 1');
  // Alerts see the first event of its kind.
  expect(metrics).toContain('gateway_names_ignored_total{pool="ici",source="cookie",reason="length"} 0');
  expect(metrics).toContain('gateway_identity_total{pool="ici",source="none",reason="shared"} 0');
  const cli = await runCommand(
    ['admin', 'identity', 'ici', '--admin', gateway.adminUrl],
    {},
    { hasColors: false },
  );
  expect(cli.out).toMatch(/^13 requests in the last \d+s, since its workers started\n/);
  expect(cli.out).toMatch(/no agent {2,}69\.2 % {2}9\n/);
  expect(cli.out).toMatch(/wildcard \(SOAP body\) +1\n/);
  expect(cli.out).toMatch(/\ngetParts +1 +id\n/);
  expect(cli.out).toMatch(/\nuserId \(user\) +1\nuser \(user\) +0\n/);
});
