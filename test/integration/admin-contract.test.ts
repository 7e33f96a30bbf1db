import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { GivenAnswer, RouteName } from '../support/answer-contract.ts';
import { AnswerContract } from '../support/answer-contract.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { TOKEN, writeTokenFile } from '../support/operator.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

interface Call {
  /** The values of the parameters in the path; `ici`, `a` and `MILLER` if missing. */
  readonly at?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
  readonly status: number;
}

const WHY = { why: 'the contract' };
const ACT: readonly Call[] = [{ body: WHY, status: 200 }];
const INSTANCE_A = { pool: 'presence', instance: 'a' };

/** What is asked of each route. The last one ends the gateway. */
const CALLS: Readonly<Record<RouteName, readonly Call[]>> = {
  'GET /metrics': [{ status: 200 }],
  'GET /livez': [{ status: 200 }],
  'GET /readyz': [{ status: 200 }],
  'GET /status': [{ status: 200 }],
  // A gateway of one process cannot reload; test/e2e/reload.test.ts asks one that can.
  'GET /reload/preview': [{ status: 409 }],
  'GET /status/stream': [{ status: 200 }],
  'GET /gateways': [{ status: 200 }],
  'GET /config': [{ status: 200 }],
  'GET /config/options': [{ status: 200 }],
  'GET /openapi.json': [{ status: 200 }],
  'GET /incident': [
    { query: 'last=1h&names=readable', status: 200 },
    { query: 'last=2d', status: 400 },
    { query: 'names=all', status: 400 },
  ],
  'GET /session': [{ status: 200 }],
  // This gateway has no users.
  'POST /session': [
    { body: { user: 'miller', password: 'geheim' }, status: 403 },
    { body: { user: 'miller' }, status: 400 },
  ],
  'DELETE /session': [{ status: 204 }],
  'GET /security-log': [
    { query: 'limit=2', status: 200 },
    { query: 'limit=0', status: 400 },
  ],
  'GET /bindings': [
    { query: 'pool=ici', status: 200 },
    { query: 'pool=icy', status: 404 },
    { query: 'limit=none', status: 400 },
    { query: 'limit=1', status: 400 },
  ],
  'GET /pools/{pool}/identity': [{ status: 200 }],
  'GET /pools/{pool}/epochs': [
    { status: 200 },
    { query: 'since=1h&limit=2', status: 200 },
    { query: 'since=soon', status: 400 },
    { at: { pool: 'none' }, status: 404 },
  ],
  'GET /pools/{pool}/history': [
    { status: 200 },
    { query: 'step=minute&from=1h&to=1m', status: 200 },
    { query: 'step=hour', status: 400 },
    { query: 'from=soon', status: 400 },
    { at: { pool: 'none' }, status: 404 },
  ],
  'GET /errors': [{ status: 200 }],
  'GET /requests': [
    { status: 200 },
    { query: 'pool=ici&user=MILLER&code=any&limit=5', status: 200 },
    { query: 'after=-', status: 200 },
    { query: 'after=then', status: 400 },
    { query: 'code=GW_NONE', status: 400 },
    { query: 'pool=none', status: 404 },
  ],
  'POST /pools/{pool}/what-if': [
    { body: { change: 'instance-dies', instance: 'a' }, status: 200 },
    { at: { pool: 'presence' }, body: { change: 'instance-dies', instance: 'a', names: 0 }, status: 200 },
    { body: { change: 'weight', instance: 'a', weight: 3 }, status: 200 },
    { body: { change: 'store-goes' }, status: 200 },
    { body: { change: 'weight', instance: 'a' }, status: 400 },
    { body: { change: 'burn' }, status: 400 },
    { body: { change: 'config', parts: { instances: ['a'], quorum: 7 } }, status: 400 },
    { body: { change: 'drain', instance: 'z' }, status: 404 },
    { body: { change: 'gateway-goes', gateway: 'none' }, status: 404 },
  ],
  'POST /pools/{pool}/explain': [
    { body: { user: 'MILLER' }, status: 200 },
    { body: { headers: ['soapuser: JONES', 'cookie: WS_SESSION_ID=1'], from: '10.0.0.7' }, status: 200 },
    { body: { request: 'GET / HTTP/1.1\nhost: x\n\n' }, status: 200 },
    { at: { pool: 'presence' }, body: { session: 's1' }, status: 200 },
    { body: {}, status: 400 },
    { body: { user: 'MILLER', request: 'GET / HTTP/1.1\n\n' }, status: 400 },
    { body: { user: 'MILLER', from: 'here' }, status: 400 },
    { at: { pool: 'none' }, body: { user: 'MILLER' }, status: 404 },
  ],
  'GET /pools/{pool}/agents': [
    { status: 200 },
    { query: 'prefix=mil&instance=a&idleSince=0s&limit=1', status: 200 },
    { query: 'idleSince=2026-03-01T22:00:00Z', status: 200 },
    { query: 'idleSince=soon', status: 400 },
    { query: 'prefix=%01', status: 400 },
  ],
  'GET /pools/{pool}/agents/{name}': [
    { status: 200 },
    { query: 'kind=user', status: 200 },
    { query: 'kind=name', status: 400 },
    { at: { name: 'none' }, query: 'kind=address', status: 400 },
    { at: { name: 'UNKNOWN' }, status: 404 },
    { at: { pool: 'presence', name: 'UNKNOWN' }, status: 200 },
  ],
  'POST /pools/{pool}/instances/{instance}/drain': [
    { body: { ...WHY, deadline: '1h' }, status: 200 },
    { at: { pool: 'ici', instance: 'z' }, body: WHY, status: 404 },
  ],
  'GET /pools/{pool}/drain/{instance}': [
    { status: 200 },
    { query: 'limit=1', status: 200 },
    { at: { pool: 'ici', instance: 'b' }, status: 200 },
    { at: { pool: 'ici', instance: 'z' }, status: 404 },
  ],
  'POST /pools/{pool}/instances/{instance}/disable': ACT,
  'POST /pools/{pool}/instances/{instance}/enable': ACT,
  'POST /pools/{pool}/instances/{instance}/release': [{ body: WHY, status: 409 }],
  'POST /pools/{pool}/agents/move': [
    { body: { ...WHY, agent: 'MILLER', instance: 'b' }, status: 200 },
    { body: { ...WHY, agent: 'MILLER', instance: 'b' }, status: 409 },
    { body: { ...WHY, agent: 'UNKNOWN', instance: 'b' }, status: 404 },
  ],
  'GET /pools/{pool}/instances/{instance}/consequence': [
    { query: 'act=disable', status: 200 },
    { at: INSTANCE_A, query: 'act=drain', status: 200 },
    { query: 'act=burn', status: 400 },
    { at: { pool: 'ici', instance: 'z' }, query: 'act=enable', status: 404 },
  ],
  'POST /pools/{pool}/agents/forget': [
    { body: { ...WHY, agent: 'JONES' }, status: 200 },
    { body: { ...WHY, agent: 'JONES' }, status: 404 },
    { body: WHY, status: 400 },
  ],
  'POST /pools/{pool}/activate': [
    { at: { pool: 'presence' }, body: { ...WHY, instance: 'b' }, status: 200 },
    { body: { ...WHY, instance: 'b' }, status: 409 },
  ],
  'POST /pools/{pool}/failback': [
    { at: { pool: 'presence' }, body: WHY, status: 200 },
    { body: WHY, status: 409 },
  ],
  'PUT /pools/{pool}/failback-policy': [
    { at: { pool: 'presence' }, body: { ...WHY, policy: 'at 03:30', zone: 'UTC' }, status: 200 },
  ],
  // Log-ons and log-offs are not configured.
  'POST /pools/{pool}/rebalance': [
    { body: { ...WHY, deadline: '8h' }, status: 409 },
    { body: { ...WHY, deadline: 'soon' }, status: 400 },
    { body: { ...WHY, deadline: '8h', end: true }, status: 400 },
  ],
  'POST /pools/{pool}/adopt-config': [
    { body: WHY, status: 409 },
    { body: { ...WHY, ifView: 'an earlier one' }, status: 409 },
  ],
  'GET /pools/{pool}/events': [
    { status: 200 },
    { query: 'kind=admin&instance=a&since=1h&by=admin', status: 200 },
    { query: 'limit=0', status: 400 },
  ],
  'POST /maintenance': [
    { body: { ...WHY, on: true }, status: 200 },
    { body: { ...WHY, on: false }, status: 200 },
  ],
  // A gateway of one process can do neither.
  'POST /restart': [{ body: WHY, status: 409 }],
  'POST /reload': [{ body: WHY, status: 409 }],
  'POST /stop': [{ body: { ...WHY, softTimeout: '1s' }, status: 200 }],
};

let token: TokenFile;
let connectors: readonly SimulatedConnector[];
let gateway: TestGateway;
let contract: AnswerContract;

beforeAll(async () => {
  token = writeTokenFile();
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const instances = connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ');
  const pool = (name: string, rest: string): string =>
    `{ name: ${name}, ${rest}, health: { path: /health }, instances: [${instances}] }`;
  gateway = await startTestGateway(
    `pools: [${pool('ici', 'mode: sticky')}, ${pool('presence', 'mode: failover, match: { paths: [/presence] }')}]`,
    { env: token.env },
  );
  const { text } = await call('GET /openapi.json', { status: 200 });
  contract = new AnswerContract(JSON.parse(text));
});

afterAll(async () => {
  await gateway.close();
  await Promise.all(connectors.map((connector) => connector.close()));
  token.remove();
});

async function call(
  route: RouteName,
  { at = {}, query, body }: Call,
  headers: Readonly<Record<string, string>> = { authorization: `Bearer ${TOKEN}` },
): Promise<GivenAnswer> {
  const [method = '', template = ''] = route.split(' ');
  const values: Readonly<Record<string, string>> = { pool: 'ici', instance: 'a', name: 'MILLER', ...at };
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
  const answer = await fetch(`${gateway.adminUrl}${path}${query === undefined ? '' : `?${query}`}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const type = answer.headers.get('content-type') ?? '';
  return {
    status: answer.status,
    type,
    text: type === 'text/event-stream' ? await firstEvent(answer) : await answer.text(),
  };
}

/** The begin of an answer that does not end: up to its first event. */
async function firstEvent({ body }: Response): Promise<string> {
  let text = '';
  for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    // Leaving the loop ends the request.
    if (/^data: .*\n\n/m.test(text)) break;
  }
  return text;
}

/** Fails if the answer has another status, or is not as described. */
async function expectAnswer(
  route: RouteName,
  asked: Call,
  headers?: Readonly<Record<string, string>>,
): Promise<void> {
  const answer = await call(route, asked, headers);
  const what = `${route} with ${JSON.stringify(asked)} answers ${answer.text}`;
  expect(answer.status, what).toBe(asked.status);
  expect(contract.problems(route, answer), what).toEqual([]);
}

describe('the description of the admin API', () => {
  test('is a valid document of OpenAPI 3.1', async () => {
    const { text } = await call('GET /openapi.json', { status: 200 });
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(text))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  test('names every route that this test calls, and no other', () => {
    expect(contract.routes.toSorted()).toEqual(Object.keys(CALLS).toSorted());
  });

  test('says what each field and parameter is', () => {
    for (const route of contract.routes) {
      const { summary, parameters = [] } = contract.operation(route);
      expect(summary, route).not.toBe('');
      for (const { name, description } of parameters) expect(description, `${name} of ${route}`).not.toBe('');
    }
  });
});

describe('an answer', () => {
  // A log-in needs no token.
  const changes = Object.keys(CALLS).filter((route) => !/^GET| \/session$/.test(route));

  test('to a change that is not allowed or not understood is as described', async () => {
    const authorization = `Bearer ${TOKEN}`;
    for (const route of changes) {
      await expectAnswer(route, { body: WHY, status: 401 }, {});
      await expectAnswer(route, { body: WHY, status: 401 }, { authorization: 'Bearer wrong' });
      await expectAnswer(route, { body: {}, status: 400 });
      await expectAnswer(route, { body: { ...WHY, other: 1 }, status: 400 });
      await expectAnswer(route, { body: { why: 'x'.repeat(300_000) }, status: 413 });
      await expectAnswer(route, { body: 'why', status: 415 }, { authorization, 'content-type': 'text/csv' });
    }
  });

  test('to a request for a pool that does not exist is as described', async () => {
    for (const [route, [call]] of Object.entries(CALLS)) {
      if (call !== undefined && route.includes('{pool}'))
        await expectAnswer(route, { ...call, at: { ...INSTANCE_A, pool: 'icy' }, status: 404 });
    }
  });

  test('in an event of the stream is the status', async () => {
    const { text } = await call('GET /status/stream', { status: 200 });
    const [, data = ''] = /^event: status\ndata: (.*)$/m.exec(text) ?? [];
    expect(contract.problems('GET /status', { status: 200, type: 'application/json', text: data })).toEqual(
      [],
    );
  });

  test('to every request is as described', async () => {
    // So that bindings, counts and events are not empty.
    await Promise.all(['MILLER', 'SMITH', 'JONES'].map((user) => post(gateway.url, user)));
    await call('POST /pools/{pool}/agents/move', {
      body: { ...WHY, agent: 'MILLER', instance: 'a' },
      status: 0,
    });
    await eventually(async () => {
      const { text } = await call('GET /pools/{pool}/drain/{instance}', { status: 200 });
      expect(JSON.parse(text).agents).not.toEqual([]);
    });
    for (const [route, calls] of Object.entries(CALLS)) {
      for (const asked of calls) await expectAnswer(route, asked);
    }
  });
});

describe('the check itself', () => {
  test.each([
    ['an undescribed status', { status: 418, type: 'application/json', text: '{}' }],
    ['an undescribed type', { status: 200, type: 'text/html', text: '' }],
    ['a missing field', { status: 200, type: 'application/json', text: '{}' }],
    ['a wrong type', { status: 200, type: 'application/json', text: '{"events":1}' }],
    ['an undescribed field', { status: 200, type: 'application/json', text: '{"events":[],"more":1}' }],
  ])('notices %s', (_, answer) => {
    expect(contract.problems('GET /pools/{pool}/events', answer)).not.toEqual([]);
  });
});
