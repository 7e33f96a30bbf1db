import fc from 'fast-check';
import { TOKEN } from '../support/operator.ts';
import { ask } from './request.ts';
import type { Site } from './site.ts';

/** A call of the admin API. */
export interface Call {
  /** Which of the routes, in their order. */
  readonly route: number;
  /** The values of the parameters in the path. */
  readonly at: readonly string[];
  readonly query: string;
  readonly contentType: string;
  readonly body: string;
}

const EVIL = fc.constantFrom(
  ...[
    '',
    ' ',
    '..',
    '.',
    '/',
    '%',
    '%00',
    '%zz',
    '%2f..%2f',
    '\u00fc',
    '%f0%9f%98%80',
    '__proto__',
    'constructor',
    'null',
  ],
  ...[
    '-1',
    '0',
    '1',
    '1e99',
    '99999999999999999999',
    'NaN',
    'true',
    '[]',
    '{}',
    "'",
    '"',
    '<',
    '~',
    '~x',
    'a'.repeat(300),
    '*',
    ':',
    'user:',
    'session:~',
  ],
);
const GOOD = fc.constantFrom(
  ...[
    'ici',
    'a',
    'b',
    'MILLER',
    'user',
    'session',
    '1h',
    '10s',
    'drain',
    'disable',
    'enable',
    'admin',
    'manual',
    'at 03:30',
  ],
  ...['UTC', 'Europe/Berlin', '2026-03-01T22:00:00Z', 'never', 'immediate', 'view', '5', '100'],
);
const VALUE = fc.oneof(GOOD, EVIL);
const KEY = fc.constantFrom(
  ...[
    'why',
    'on',
    'instance',
    'agent',
    'deadline',
    'policy',
    'zone',
    'ifView',
    'softTimeout',
    'user',
    'password',
    'kind',
  ],
  ...[
    'prefix',
    'idleSince',
    'limit',
    'cursor',
    'since',
    'until',
    'by',
    'act',
    'pool',
    'other',
    '__proto__',
    'constructor',
    'toString',
    '',
  ],
);
const JSON_VALUE = fc.oneof(
  { weight: 4, arbitrary: VALUE },
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 1e300, 2 ** 53, [], {}, [[]], {
    why: 'x',
  }),
  fc.constantFrom('\u0000', '\ud800', '\u202e', 'x'.repeat(5_000), '\n'),
  fc.jsonValue({ maxDepth: 3 }),
);
const FIELDS = fc.array(fc.tuple(KEY, JSON_VALUE), { maxLength: 4 });
const OBJECT = FIELDS.map(
  (fields) =>
    `{"why":"fuzz"${fields.map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`).join('')}}`,
);
const ODD = fc.constantFrom(
  '',
  'null',
  '[]',
  '"x"',
  '{',
  '{}',
  '{"why":',
  '[[[[',
  '{"why":"x"}}',
  '\ufeff{}',
  'NaN',
  '{"why":"x","why":1}',
  '['.repeat(3_000),
  '{"a":'.repeat(1_500),
  '{"__proto__":{"why":"x"}}',
  '\u0000',
);
const BODY = fc.oneof(
  { weight: 4, arbitrary: OBJECT },
  fc.jsonValue().map((value) => JSON.stringify(value)),
  ODD,
  fc
    .tuple(OBJECT, fc.nat(60), fc.constantFrom('', '"', '}', ',', '\\', '\\u', '\u0000', '{'))
    .map(([text, at, inserted]) => text.slice(0, at) + inserted + text.slice(at + 1)),
);
const QUERY = fc
  .array(fc.tuple(KEY, fc.oneof(VALUE, VALUE.map(encodeURIComponent))), { maxLength: 3 })
  .map((all) => all.map(([key, value]) => `${key}=${value}`).join('&'));

export const CALL: fc.Arbitrary<Call> = fc.record({
  route: fc.nat(1_000),
  at: fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom('ici', 'a', 'MILLER') }, VALUE), {
    minLength: 2,
    maxLength: 2,
  }),
  query: fc.oneof(fc.constant(''), QUERY),
  contentType: fc.oneof(
    { weight: 8, arbitrary: fc.constant('application/json') },
    fc.constantFrom('text/plain', 'application/json; charset=utf-16', 'x', ''),
  ),
  body: BODY,
});

/** Calls the route, and fails if it answers with an error of its own, or crashes. */
export async function checkCall(site: Site, { route, at, query, contentType, body }: Call): Promise<void> {
  await site.begin();
  const name = site.adminRoutes[route % site.adminRoutes.length] ?? '';
  const [method = '', template = ''] = name.split(' ');
  let next = 0;
  const filled = template.replaceAll(/\{\w+\}/g, () => at[next++ % at.length] ?? '');
  // Otherwise the client refuses to send it.
  const path = `${filled}${query === '' ? '' : `?${query}`}`.replaceAll(/[^\x21-\xff]/g, encodeURIComponent);
  const headers = {
    authorization: `Bearer ${TOKEN}`,
    ...(contentType === '' ? {} : { 'content-type': contentType }),
  };
  // A stop that is understood would end the trial.
  const sent = name === 'POST /stop' ? body.replace('{', '{"notAnOption":1,') : body;
  const answer = await ask(site.gateway.adminUrl, method, path, headers, method === 'GET' ? undefined : sent);
  site.expectUnharmed();
  if (answer.status >= 500 || answer.status < 200)
    throw new Error(`${method} ${path} is answered ${answer.status}: ${answer.text}`);
  if (answer.type.startsWith('application/json')) JSON.parse(answer.text);
}
