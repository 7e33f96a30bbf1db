import { describe, expect, test } from 'vitest';
import { effectiveConfig, effectiveYaml } from '../../../src/config/effective.ts';
import { ConfigInvalid } from '../../../src/config/problem.ts';
import { load, MINIMAL, problemsOf } from './support.ts';

describe('a missing option has its default', () => {
  const { config, warnings } = load(MINIMAL);

  test('the shortest file loads without problems or warnings', () => {
    expect(warnings).toEqual([]);
    expect(config.pools[0]).toMatchObject({
      match: { hosts: [], paths: ['/'] },
      mode: 'failover',
      instances: [
        { id: 'a', url: 'http://10.0.0.1:8080', weight: 1, priority: 1, maxInFlight: 200, admin: 'enabled' },
      ],
    });
  });

  test('durations resolve to milliseconds and sizes to bytes', () => {
    expect(config.timeouts.park).toBe(5000);
    expect(config.affinity.idleLifetime).toBe(43_200_000);
    expect(config.limits.bodyBytes).toBe(104_857_600);
  });

  test('elements written as names resolve to rules', () => {
    expect(config.identity.sessionElements).toEqual(
      ['appId', 'applicationId', 'sessionId', 'wsSessionId'].map((name) => ({ name })),
    );
  });

  test('optional sections stay undefined', () => {
    expect(config.listen).not.toHaveProperty('tls');
    expect(config.affinity).not.toHaveProperty('redis');
  });

  test('the priority of an instance is its position', () => {
    const { pools } = load(
      `${MINIMAL}      - { id: b, url: 'http://b', priority: 7 }\n      - { id: c, url: 'http://c' }\n`,
    ).config;
    expect(pools[0]?.instances.map((instance) => instance.priority)).toEqual([1, 7, 3]);
  });

  test('the state directory follows XDG, and the home directory without it', () => {
    expect(config.affinity.stateDir).toBe('/home/gateway/.local/state/ici-gateway');
    expect(load(MINIMAL, { env: { XDG_STATE_HOME: '/var/state' } }).config.affinity.stateDir).toBe(
      '/var/state/ici-gateway',
    );
    expect(load(MINIMAL, { env: { XDG_STATE_HOME: 'relative' } }).config.affinity.stateDir).toBe(
      '/home/gateway/.local/state/ici-gateway',
    );
  });

  test('a given Redis is used', () => {
    expect(config.affinity.store).toBe('embedded');
    expect(load(`${MINIMAL}affinity: { redis: { url: redis://r } }\n`).config.affinity.store).toBe('redis');
  });

  test('a section whose options are all commented out counts as not given', () => {
    expect(load(`${MINIMAL}timeouts:\n  # park: 1s\n`).config.timeouts.park).toBe(5000);
  });

  test('the result cannot be changed', () => {
    expect(() => Object.assign(config.timeouts, { park: 1 })).toThrow(TypeError);
    expect(() => (config.pools as unknown[]).push(1)).toThrow(TypeError);
    expect(Object.isFrozen(config.pools[0]?.health.expectedStatus)).toBe(true);
  });
});

describe('values have one form', () => {
  test('hosts are lower case, urls end after the port, networks have a width', () => {
    const { config } = load(`pools:
  - name: p
    match: { hosts: [ICI.Example.COM, crm.example.com.] }
    instances: [{ id: a, url: 'HTTP://Host:8080/' }]
    health: { expectedStatus: [204, 300-302] }
identity: { userElements: [{ name: user, operation: subscribe }, agent] }
forwarding: { trustedProxies: [10.0.0.1, 10.0.0.0/08] }
`);
    expect(config.pools[0]?.match.hosts).toEqual(['ici.example.com', 'crm.example.com']);
    expect(config.pools[0]?.instances[0]?.url).toBe('http://host:8080');
    expect(config.pools[0]?.health.expectedStatus).toEqual(['204', '300-302']);
    expect(config.identity.userElements).toEqual([
      { name: 'user', operation: 'subscribe' },
      { name: 'agent' },
    ]);
    expect(config.forwarding.trustedProxies).toEqual(['10.0.0.1/32', '10.0.0.0/8']);
  });

  test('file names are relative to the file that names them', () => {
    expect(load(`${MINIMAL}affinity: { stateDir: state }\n`).config.affinity.stateDir).toBe(
      '/etc/ici-gateway/state',
    );
  });

  test('a file name from the environment is relative to the working directory', () => {
    const { config } = load(MINIMAL, { env: { ICI_GATEWAY_AFFINITY__STATE_DIR: 'state' } });
    expect(config.affinity.stateDir).toBe(`${process.cwd()}/state`);
  });
});

describe('problems', () => {
  test('are all reported at once, each with its place and a remedy', () => {
    const problems = problemsOf(`listen:
  adress: 1
  address: localhost
pools:
  - name: "a b"
    mode: stiky
    instances:
      - id: 1
        url: ftp://h
        maxInFlight: 0
      - id: b
timeouts: { park: 5, total: 70d, connect: }
logging: { requests: yes, level: warning }
identity: { userElements: [ "a:b", { nam: x } ], order: [header, header] }
`);
    expect(problems).toEqual([
      'gateway.yaml:2:3 listen.adress: is not an option; did you mean "address"?',
      'gateway.yaml:3:12 listen.address: must be host:port with a port from 0 to 65535, such as 127.0.0.1:8080 or [::1]:8080; it is "localhost"',
      'gateway.yaml:5:11 pools[0].name: must be a name of 1 to 64 letters, digits, ".", "_" and "-", but is "a b"',
      'gateway.yaml:6:11 pools[0].mode: must be one of failover, sticky, but is "stiky"; did you mean "sticky"?',
      'gateway.yaml:8:13 pools[0].instances[0].id: must be a name of 1 to 64 letters, digits, ".", "_" and "-", but is 1; write it in quotes: "1"',
      'gateway.yaml:9:14 pools[0].instances[0].url: must be http://host[:port] or https://host[:port]; it is "ftp://h"',
      'gateway.yaml:10:22 pools[0].instances[0].maxInFlight: must be a whole number from 1 to 100000, but is 0',
      'gateway.yaml:11:9 pools[0].instances[1].url: is missing; it must be http://host[:port] or https://host[:port]',
      'gateway.yaml:12:19 timeouts.park: must be a duration such as 250ms, 2s, 5m, 12h or 1d from 0s to 24d, but is 5; write "5ms" or "5s"',
      'gateway.yaml:12:29 timeouts.total: must be a duration such as 250ms, 2s, 5m, 12h or 1d from 1ms to 24d, but is "70d"',
      'gateway.yaml:12:34 timeouts.connect: is empty; it must be a duration such as 250ms, 2s, 5m, 12h or 1d from 1ms to 24d; set it, or remove the line',
      'gateway.yaml:13:22 logging.requests: must be true or false, but is "yes"',
      'gateway.yaml:13:34 logging.level: must be one of trace, debug, info, warn, error, silent, but is "warning"',
      'gateway.yaml:14:29 identity.userElements[0]: must be the name of an element without prefix, such as userId, but is "a:b"',
      'gateway.yaml:14:36 identity.userElements[1].name: is missing; it must be the name of an element without prefix, such as userId',
      'gateway.yaml:14:38 identity.userElements[1].nam: is not an option; did you mean "name"?',
      'gateway.yaml:14:66 identity.order[1]: "header" is listed twice; remove one of them',
    ]);
  });

  test('an option given twice is reported with its path, beside other problems', () => {
    expect(problemsOf(`${MINIMAL}    mode: sticky\n    mode: failover\nlogging: { level: loud }\n`)).toEqual([
      'gateway.yaml:7:5 pools[0].mode: occurs twice in the same section; remove one of them',
      expect.stringContaining('gateway.yaml:8:19 logging.level: must be one of'),
    ]);
  });

  test('a problem within an anchored section points to where it is written', () => {
    const text = `pools:
  - name: p
    instances:
      - { id: a, url: 'https://a', tls: &tls { verfy: false } }
      - { id: b, url: 'https://b', tls: *tls }
`;
    expect(problemsOf(text)).toEqual([
      'gateway.yaml:4:48 pools[0].instances[0].tls.verfy: is not an option; did you mean "verify"?',
      'gateway.yaml:4:48 pools[0].instances[1].tls.verfy: is not an option; did you mean "verify"?',
    ]);
  });

  test('text that is no YAML is reported with its line', () => {
    expect(problemsOf('pools: [\n  - {')[0]).toMatch(/^gateway\.yaml:[12]:\d+: is not valid YAML: /);
  });

  test.each(['[]', '3', 'pools'])('a file that holds %j instead of sections is refused', (text) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^gateway\.yaml:1:1: must be a section/)]);
  });

  test.each(['', '# nothing\n', '{}'])('the file %j lacks the pools', (text) => {
    expect(problemsOf(text)).toEqual([
      'gateway.yaml:1:1 pools: is missing; it must be a list of one or more pools, each with a name and instances',
    ]);
  });

  test('an alias that would expand without bound is refused', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed'].map((pair) => [...pair]))
      bomb.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${of}`).join(', ')}]`);
    expect(problemsOf(bomb.join('\n'))).toEqual([expect.stringContaining('alias')]);
  });

  test('a key that is special to JavaScript is just an unknown option', () => {
    expect(problemsOf(`${MINIMAL}__proto__: { polluted: yes }\nconstructor: 1\n`)).toEqual([
      expect.stringMatching(/^gateway\.yaml:6:1 __proto__: is not an option/),
      expect.stringMatching(/^gateway\.yaml:7:1 constructor: is not an option/),
    ]);
    expect({}).not.toHaveProperty('polluted');
  });

  test('a missing file is reported as such', () => {
    expect(() => load(MINIMAL, { file: '/nonexistent/gateway.yaml', text: undefined as never })).toThrow(
      '/nonexistent/gateway.yaml: cannot be read: no such file; set the path of the configuration file with --config',
    );
  });

  test.each([
    ['instance', `pools: [{ name: p, instances: [{ id: a, url: 'http://u:hunter2@h' }] }]`],
    ['Redis', `${MINIMAL}affinity: { redis: { url: 'redis://:hunter2@h/x/y' } }`],
    ['Redis without scheme', `${MINIMAL}affinity: { redis: { url: ':hunter2@h' } }`],
    ['misplaced', `${MINIMAL}admin: { address: 'redis://:hunter2@h' }`],
  ])('a password in a wrong %s url is not repeated', (_, text) => {
    expect(problemsOf(text).join()).not.toContain('hunter2');
  });

  test('the error carries its problems as data', () => {
    const refused = (): unknown => load(`${MINIMAL}admin: { address: 1 }`);
    expect(refused).toThrow(ConfigInvalid);
    try {
      refused();
    } catch (error) {
      expect((error as ConfigInvalid).problems).toEqual([
        {
          path: 'admin.address',
          source: '/etc/ici-gateway/gateway.yaml',
          line: 6,
          column: 19,
          message: expect.any(String),
        },
      ]);
    }
  });
});

describe('the effective configuration', () => {
  const text = `${MINIMAL}    health: { incarnation: 'start=(\\d+)', host: probe }
affinity: { redis: { url: 'redis://user:hunter2@r:1/2', commandTimeout: 1.5s } }
limits: { identityBytes: 3000 }
`;

  test('loads again to the same configuration', () => {
    const { config } = load(text.replace('user:hunter2@', ''));
    expect(load(effectiveYaml(config)).config).toEqual(config);
  });

  test('is written with units, and masks secrets', () => {
    const { affinity, limits } = effectiveConfig(load(text).config) as Record<
      string,
      Record<string, unknown>
    >;
    expect(affinity?.['redis']).toEqual({
      url: 'redis://user:***@r:1/2',
      confirmedBy: 0,
      commandTimeout: '1500ms',
      connectTimeout: '300ms',
    });
    expect(limits).toMatchObject({ identityBytes: '3000B', headerBytes: '16KB' });
  });
});
