import { describe, expect, test } from 'vitest';
import { MINIMAL, problemsOf, warningsOf } from './support.ts';

function pool(more: string): string {
  return `  - { name: p, ${more} }\n`;
}

describe('addresses of instances and probes', () => {
  test.each([
    [
      'two header fields of probes with the same name',
      `${MINIMAL}    health: { headers: [{ name: X, value: a }, { name: x, value: b }] }`,
      'pools[0].health.headers[1].name: is x, as in headers[0]; remove one of the two',
    ],
    [
      'a health page at the admin port',
      `pools:\n${pool("instances: [{ id: a, url: 'http://localhost:7000' }], health: { port: 9090 }")}admin: { address: '127.0.0.1:9090' }`,
      'pools[0].health.port: is 9090, which leads to admin.address (127.0.0.1:9090) of this gateway itself; set the address of the connector',
    ],
    [
      'probes with a Host header of their own',
      `${MINIMAL}    health: { headers: [{ name: HOST, value: x }] }`,
      'pools[0].health.headers[0].name: is HOST; set health.host instead',
    ],
    [
      'probes with a header of the connection',
      `${MINIMAL}    health: { headers: [{ name: Content-Length, value: '3' }] }`,
      'pools[0].health.headers[0].name: is Content-Length, which the gateway sets itself; remove it',
    ],
    [
      'an instance that is the gateway itself',
      `pools:\n${pool("instances: [{ id: a, url: 'http://LOCALHOST:8080' }]")}listen: { address: '0.0.0.0:8080' }`,
      'pools[0].instances[0].url: is http://localhost:8080, which leads to listen.address (0.0.0.0:8080) of this gateway itself; set the address of the connector',
    ],
    [
      'an instance that is the admin port',
      `pools:\n${pool("instances: [{ id: a, url: 'http://[::1]:9090' }]")}admin: { address: '[::]:9090' }`,
      'pools[0].instances[0].url: is http://[::1]:9090, which leads to admin.address ([::]:9090) of this gateway itself; set the address of the connector',
    ],
  ])('%s are refused', (_, text, problem) => {
    expect(problemsOf(text).map((line) => line.replace(/^gateway\.yaml:\d+:\d+ /, ''))).toEqual([problem]);
  });

  test('a gateway may have no instance at its own default address, unless it gets sockets from a service manager', () => {
    const instances = "instances: [{ id: a, url: 'http://127.0.0.1:8080' }]";
    expect(warningsOf(`pools:\n${pool(instances)}`)).toEqual([
      expect.stringMatching(
        /url: is http:\/\/127\.0\.0\.1:8080, which leads to listen\.address .* itself; .*, or set listen\.address$/,
      ),
    ]);
  });

  test.each([
    ['another port', 'http://127.0.0.1:8081', '127.0.0.1:8080'],
    ['another host', 'http://10.0.0.1:8080', '0.0.0.0:8080'],
    ['another address of loopback', 'http://127.0.0.2:8080', '127.0.0.1:8080'],
    ['a port that is not known yet', 'http://127.0.0.1:8080', '127.0.0.1:0'],
    ['the port of the other scheme', 'https://localhost', '127.0.0.1:80'],
  ])('an instance at %s is not the gateway itself', (_, url, address) => {
    const text = `pools:\n${pool(`instances: [{ id: a, url: '${url}' }]`)}listen: { address: '${address}' }`;
    expect(warningsOf(text)).toEqual([]);
  });
});

test.each([
  [
    '{ Authorization: Bearer s3cret }',
    'must be a list of header fields, each with a name and a value, but is not',
  ],
  ["['Authorization: Bearer s3cret']", 'must be a section with name, value, but is not'],
  ['[{ name: X-Key, value: 53 }]', 'must be text of printable characters without line breaks, but is not'],
  [
    '[{ name: X-Key, value: "s3cret\\n" }]',
    'must be text of printable characters without line breaks, but is not',
  ],
])('the header %s of a probe is refused, and not quoted', (headers, message) => {
  const problems = problemsOf(`${MINIMAL}    health: { headers: ${headers} }`);
  expect(problems).toEqual([expect.stringContaining(message)]);
  expect(problems.join()).not.toMatch(/s3cret|53/);
});
