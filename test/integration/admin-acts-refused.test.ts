import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/operator.ts';
import { AdministeredGateway, WHY } from './admin-acts-support.ts';

let on: AdministeredGateway;

// No request changes anything, so one gateway is enough for all.
beforeAll(async () => {
  on = await AdministeredGateway.prepare();
  await on.start('');
});

afterAll(() => on.close());

describe('authorization of changes', () => {
  test('refuses every change without the token', async () => {
    const path = '/pools/ici/instances/a/disable';
    const bare = await ask(on.gateway.adminUrl, 'POST', path, WHY, '');
    expect(bare.status).toBe(401);
    expect(bare.headers.get('www-authenticate')).toBe('Bearer realm="ici-gateway admin"');
    const wrong = await ask(on.gateway.adminUrl, 'POST', path, { nonsense: 1 }, 'token-of-another-user-1');
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(JSON.stringify([bare.body, wrong.body])).not.toContain('token-of');
    expect(on.instance('a').admin).toBe('enabled');
  });

  test('refuses every change if no token is configured', async () => {
    const bare = await AdministeredGateway.prepare();
    onTestFinished(() => bare.close());
    await bare.startWith(`pools: [{ name: ici, instances: [{ id: a, url: '${bare.connectors[0]?.url}' }] }]`);
    const { status, body } = await bare.change('/instances/a/disable');
    expect([status, body.error]).toEqual([
      403,
      expect.stringContaining('is read-only: set admin.passwordFile'),
    ]);
    expect((await bare.read('/events')).status).toBe(200);
  });
});

describe('an invalid request', () => {
  const CASES: readonly (readonly [path: string, body: unknown, message: string])[] = [
    ['/instances/a/drain', {}, 'why is missing; it must be the reason, of 1 to 500 characters'],
    ['/instances/a/drain', { why: ' ' }, 'why must be the reason'],
    ['/instances/a/drain', { why: 'x'.repeat(501) }, 'why must be the reason'],
    ['/instances/a/drain', { ...WHY, by: '' }, 'by must be the name of the operator, of 1 to 100 characters'],
    ['/instances/a/drain', { ...WHY, deadlin: '3m' }, 'deadlin is not known here; remove it'],
    [
      '/instances/a/drain',
      { ...WHY, deadline: 'soon' },
      'deadline must be a duration such as 30m, or a time',
    ],
    ['/instances/a/drain', { ...WHY, deadline: '2020-01-01T00:00:00Z' }, 'deadline has passed'],
    // Such a value in the store once broke /status in every gateway.
    ['/instances/a/drain', { ...WHY, deadline: '99999999d' }, 'deadline must be within 31 days'],
    ['/instances/a/enable', { ...WHY, deadline: '3m' }, 'deadline is not known here'],
    ['/activate', WHY, 'instance is missing; it must be the id of an instance of the pool'],
    ['/agents/move', { ...WHY, instance: 'b' }, 'agent or session must be given, and not both'],
    ['/agents/move', { ...WHY, instance: 'b', agent: 'X', session: 's' }, 'agent or session'],
    ['/agents/move', { ...WHY, instance: 'b', agent: '\u0007' }, 'agent must be a user name'],
    ['/instances/a/drain', 'patch', 'the body must be object; send a JSON object'],
  ];

  test('is refused with the field and its valid values', async () => {
    for (const [path, body, message] of CASES) {
      const answer = await on.change(path, body);
      const asked = `${path} with ${JSON.stringify(body)}`;
      expect(answer.status, `${asked}: ${JSON.stringify(answer.body)}`).toBe(400);
      expect(answer.body.error, asked).toContain(message);
    }
    expect((await on.read('/events?limit=1000')).body.events).not.toContainEqual(
      expect.objectContaining({ by: 'admin' }),
    );
  });

  const ODD_VALUES = [null, 0, 1, true, 'true', '', [], ['x'], {}];

  test('no value is taken for one of another type, whatever the route', async () => {
    const { body: api } = await ask(on.gateway.adminUrl, 'GET', '/openapi.json');
    const asked: string[] = [];
    for (const [path, methods] of Object.entries(api.paths as Record<string, Methods>)) {
      for (const [method, { requestBody }] of Object.entries(methods)) {
        const { properties = {}, required = [] } = requestBody?.content['application/json'].schema ?? {};
        const valid = (field: string): unknown =>
          field === 'on' ? true : (properties[field]?.enum?.[0] ?? 'x');
        const body = Object.fromEntries(required.map((field) => [field, valid(field)]));
        for (const [field, { type }] of Object.entries(properties)) {
          for (const value of ODD_VALUES) {
            if (typesOf(value).includes(type) && value !== '') continue;
            const at = path.replace('{pool}', 'ici').replace('{instance}', 'a');
            const name = method.toUpperCase() as 'POST' | 'PUT';
            const answer = await ask(on.gateway.adminUrl, name, at, { ...body, [field]: value });
            const what = `${name} ${path} with ${field} ${JSON.stringify(value)}`;
            expect(answer.status, `${what}: ${JSON.stringify(answer.body)}`).toBe(400);
            expect(answer.body.error, what).toContain(`${field} must be `);
            asked.push(what);
          }
        }
      }
    }
    expect(asked).toContain('POST /maintenance with on null');
    expect(asked).toContain('POST /maintenance with on "true"');
  });

  test.each([
    ['of another store', 'x'],
    ['too long', 'x'.repeat(4_090)],
    ['too long for a key', '\u20ac'.repeat(1_000)],
  ])('a cursor that is %s is not an outage of the store', async (_, cursor) => {
    for (const path of ['/bindings?', '/pools/ici/agents?', '/pools/ici/drain/a?', '/pools/ici/events?']) {
      const url = `${path}cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await ask(on.gateway.adminUrl, 'GET', url);
      expect([status, body.error], path).toEqual([
        400,
        expect.stringMatching(/cursor must be|unknown cursor/),
      ]);
    }
  });

  test('distinguishes missing pools and instances from changes that cannot be made', async () => {
    const unknown = await ask(on.gateway.adminUrl, 'POST', '/pools/icy/instances/a/drain', WHY);
    expect([unknown.status, unknown.body.error]).toEqual([404, 'no pool is named icy; there is ici']);
    const missing = await on.change('/instances/z/drain');
    expect([missing.status, missing.body.error]).toEqual([404, 'pool ici has no instance z; it has a, b, c']);
    expect((await on.read('/drain/z')).status).toBe(404);
    const notHere = await on.change('/activate', { ...WHY, instance: 'b' });
    expect([notHere.status, notHere.body.error]).toEqual([
      409,
      expect.stringContaining('pool ici is sticky: it has no active instance'),
    ]);
    expect((await on.change('/failback')).status).toBe(409);
    expect((await on.change('/instances/a/release')).body.error).toBe('a is not in quarantine');
  });
});

/** The types of JSON Schema that the value has. */
function typesOf(value: unknown): string[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  return Number.isInteger(value) ? ['number', 'integer'] : [typeof value];
}

interface Property {
  readonly type: string;
  readonly enum?: readonly string[];
}

interface Methods {
  readonly [method: string]: {
    readonly requestBody?: {
      readonly content: {
        readonly 'application/json': {
          readonly schema: {
            readonly properties: Readonly<Record<string, Property>>;
            readonly required?: readonly string[];
          };
        };
      };
    };
  };
}
