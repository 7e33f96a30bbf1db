import { describe, expect, test } from 'vitest';
import { load, MINIMAL, problemsOf, warningsOf } from './support.ts';

function pool(more: string, name = 'p'): string {
  return `  - { name: ${name}, ${more} }\n`;
}

const A = "{ id: a, url: 'http://a' }";

describe('options that contradict each other', () => {
  test.each([
    [
      'pools with the same name',
      `pools:\n${pool(`instances: [${A}]`)}${pool(`instances: [${A}], match: { paths: [/x] }`)}`,
      'pools[1].name: is also the name of pools[0]; give each pool its own name',
    ],
    [
      'pools that want the same requests',
      `pools:\n${pool(`instances: [${A}], match: { hosts: [h], paths: [/x, /y] }`)}${pool(`instances: [${A}], match: { hosts: [g, H], paths: [/y] }`, 'q')}`,
      'pools[1].match: matches h/y, as pools[0] does; use other hosts or paths',
    ],
    [
      'two pools for everything',
      `pools:\n${pool(`instances: [${A}]`)}${pool(`instances: [${A}]`, 'q')}`,
      'pools[1].match: matches / of every host, as pools[0] does; use other hosts or paths',
    ],
    [
      'instances with the same id',
      `pools:\n${pool(`instances: [${A}, { id: a, url: 'http://b' }]`)}`,
      'pools[0].instances[1].id: is also the id of instances[0]; give each instance its own id',
    ],
    [
      'a sticky pool without weight',
      `pools:\n${pool(`mode: sticky, instances: [{ id: a, url: 'http://a', weight: 0 }]`)}`,
      'pools[0].instances: have no weight above 0, so no new agent can be placed; set a weight for at least one',
    ],
    [
      'a PROXY protocol without any source',
      `${MINIMAL}listen: { proxyProtocol: accept }`,
      'listen.proxyProtocolFrom: is empty, but proxyProtocol is accept; list the networks of the balancers',
    ],
    [
      'a fast interval that is slow',
      `pools:\n${pool(`instances: [${A}], health: { fastInterval: 3s }`)}`,
      'pools[0].health.fastInterval: is 3s, longer than interval (2s); make it shorter',
    ],
    [
      'parking beyond the deadline',
      `${MINIMAL}timeouts: { park: 90s }`,
      'timeouts.park: is 90s, longer than total (1m); make it shorter',
    ],
    [
      'connecting beyond the deadline',
      `${MINIMAL}timeouts: { connect: 6s, total: 5s }`,
      'timeouts.connect: is 6s, longer than total (5s); make it shorter',
    ],
    [
      'searching more than is taken in',
      `${MINIMAL}limits: { bodyBytes: 32KB }`,
      'limits.identityBytes: is 64KB, more than bodyBytes (32KB); make it smaller',
    ],
    [
      'Redis without address',
      `${MINIMAL}affinity: { store: redis }`,
      'affinity.redis: is missing, but store is redis; set affinity.redis.url, sentinels or cluster',
    ],
    [
      'both planes at one address',
      `${MINIMAL}admin: { address: '127.0.0.1:8080' }`,
      'admin.address: is 127.0.0.1:8080, the same as listen.address; use another port',
    ],
    [
      'TLS to a plain instance',
      `pools:\n${pool(`instances: [{ id: a, url: 'http://a', tls: {} }]`)}`,
      'pools[0].instances[0].tls: has no effect, because the url does not start with https://; change the url, or remove tls',
    ],
    [
      'TLS to a plain Redis',
      `${MINIMAL}affinity: { redis: { url: 'redis://r', tls: {} } }`,
      'affinity.redis.tls: has no effect, because the url does not start with rediss://; change the url, or remove tls',
    ],
    [
      'Redis without an address',
      `${MINIMAL}affinity: { redis: { username: v } }`,
      'affinity.redis: has no server address; set url, sentinels or cluster',
    ],
    [
      'two addresses of Redis',
      `${MINIMAL}affinity: { redis: { url: 'redis://r', cluster: ['n:7000'] } }`,
      'affinity.redis.cluster: is set, and so is url; remove one of the two, because each names a Redis',
    ],
    [
      'Sentinels without a name to ask them for',
      `${MINIMAL}affinity: { redis: { sentinels: ['s:26379'] } }`,
      'affinity.redis.masterName: is missing, but sentinels are set; set the name of the master at the Sentinels',
    ],
    [
      'a name of the master without Sentinels',
      `${MINIMAL}affinity: { redis: { url: 'redis://r', masterName: m } }`,
      'affinity.redis.masterName: has no effect without sentinels; set them, or remove it',
    ],
    [
      'a password of Sentinels that cannot be read',
      `${MINIMAL}affinity: { redis: { sentinels: ['s:1'], masterName: m, sentinelPasswordFile: /nowhere } }`,
      'affinity.redis.sentinelPasswordFile: /nowhere cannot be read: no such file',
    ],
    [
      'two users for Redis',
      `${MINIMAL}affinity: { redis: { url: 'redis://u@r', username: v } }`,
      'affinity.redis.username: is set, and the url has a user too; remove the one in the url',
    ],
    [
      'two ways to read an incarnation',
      `${MINIMAL}    health: { incarnation: 'start=(.*)', incarnationPointer: /start }`,
      'pools[0].health.incarnationPointer: is set, and so is incarnation; remove one of the two',
    ],
    [
      'a token that is not there',
      `${MINIMAL}admin: { tokenFile: /nonexistent/token }`,
      'admin.tokenFile: /nonexistent/token cannot be read: no such file',
    ],
  ])('%s are refused', (_, text, problem) => {
    expect(problemsOf(text).map((line) => line.replace(/^gateway\.yaml:\d+:\d+ /, ''))).toContain(problem);
  });

  test('both listeners may use any free port', () => {
    expect(
      warningsOf(`${MINIMAL}listen: { address: '127.0.0.1:0' }\nadmin: { address: '127.0.0.1:0' }`),
    ).toEqual([]);
  });

  test('a problem in one place does not hide those in others', () => {
    const problems = problemsOf(`pools:
  - name: p
    mode: sticki
    instances:
      - { id: a, url: nowhere, tls: { certFile: /nonexistent/a.crt } }
      - { id: a, url: 'http://b' }
    health: { fastInterval: 3s }
timeouts: { park: 90s }
`);
    expect(problems.map((problem) => problem.split(' ')[1])).toEqual([
      'pools[0].mode:',
      'pools[0].instances[0].url:',
      'pools[0].instances[0].tls:',
      'pools[0].instances[0].tls.certFile:',
      'pools[0].instances[1].id:',
      'pools[0].health.fastInterval:',
      'timeouts.park:',
    ]);
  });

  test('invalid values cause no further problems', () => {
    expect(problemsOf(`${MINIMAL}timeouts: { park: 90s, total: never }`)).toEqual([
      expect.stringMatching(/timeouts\.total: must be a duration/),
    ]);
    expect(problemsOf('pools: 3')).toEqual([expect.stringMatching(/pools: must be a list/)]);
    expect(problemsOf('pools: [3]')).toEqual([expect.stringMatching(/pools\[0\]: must be a section/)]);
    expect(problemsOf('pools: [{ name: p, instances: a }]')).toEqual([
      expect.stringMatching(/instances: must be a list/),
    ]);
  });
});

describe('the syntax of single values', () => {
  const health = (option: string): string => `${MINIMAL}    health: { ${option} }`;

  test.each([
    ["incarnation: 'start=\\d+'", 'must have exactly one capture group, (…), around the value, but has 0'],
    ["incarnation: '(a)(b)'", 'has 2'],
    ["incarnation: '('", 'is not a valid regular expression'],
    ["bodyMatches: '['", 'is not a valid regular expression'],
    ['expectedStatus: [299-200]', 'rising range'],
    ['expectedStatus: [600]', 'must be a status'],
    ['expectedStatus: []', 'must have at least 1 entry'],
    [
      'expectedStatus: "200"',
      'must be a list; each entry is a status such as 200 or a range such as 200-299, but is "200"; write ["200"]',
    ],
    ['fall: 0', 'must be a whole number from 1 to 100'],
    ['jitter: 0.6', 'must be a number from 0 to 0.5'],
    ['incarnationPointer: start', 'must be a JSON Pointer: each step after a "/"'],
    ['incarnationPointer: /a~2b', 'must be a JSON Pointer'],
    ["emptyMatches: '('", 'is not a valid regular expression'],
    ['path: health', 'must be a path that starts with "/"'],
  ])('health.%s is refused', (option, message) => {
    expect(problemsOf(health(option))).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    'incarnationPointer: /process/started',
    'incarnationPointer: /a~1b/0/~0',
    "incarnation: '(?:a|b)=(?<start>\\d+)'",
    'expectedStatus: [200, 204-299, "301"]',
    'jitter: 0',
  ])('health.%s is accepted', (option) => {
    expect(warningsOf(health(option))).toEqual([]);
  });

  test.each(['never', 'when-idle', 'immediate', 'at 00:00', 'at 23:59'])(
    'failback: %s is accepted',
    (policy) => {
      expect(warningsOf(`${MINIMAL}    failback: ${policy}`)).toEqual([]);
    },
  );

  test.each(['at 24:00', 'at 3:30', 'at 03:60', '03:30', 'always', 'idle'])(
    'failback: %s is refused',
    (policy) => {
      expect(problemsOf(`${MINIMAL}    failback: '${policy}'`)).toEqual([
        expect.stringContaining(
          `failback: must be never, when-idle, immediate, or a time of day as in "at 03:30"; it is "${policy}"`,
        ),
      ]);
    },
  );

  test('a time zone must be known to this host, and is its own by default', () => {
    expect(load(`${MINIMAL}    failbackZone: Asia/Tokyo`).config.pools[0]?.failbackZone).toBe('Asia/Tokyo');
    expect(load(MINIMAL).config.pools[0]?.failbackZone).toBe(
      Intl.DateTimeFormat().resolvedOptions().timeZone,
    );
    expect(problemsOf(`${MINIMAL}    failbackZone: Mars/Olympus`)).toEqual([
      expect.stringContaining('must be an IANA time zone such as Europe/Berlin or UTC; it is "Mars/Olympus"'),
    ]);
  });

  test.each([
    'http://h/path',
    'http://h?q',
    'http://u@h',
    'h:80',
    'http:h',
    'http://',
    'http://h:99999',
    'ws://h',
  ])('%s is no url of an instance', (url) => {
    expect(problemsOf(`pools: [{ name: p, instances: [{ id: a, url: '${url}' }] }]`)).toHaveLength(1);
  });

  test.each([
    ['affinity: { idleLifetime: 999ms }', 'from 1s to 24d'],
    ['coordination: { lease: 299ms }', 'from 300ms to 1m'],
    ['coordination: { lease: 61s }', 'from 300ms to 1m'],
    ['timeouts: { connect: 0s }', 'from 1ms to 24d'],
    ['timeouts: { total: 25d }', 'from 1ms to 24d'],
    ['limits: { identityBytes: 5MB }', 'from 1KB to 4MB'],
    ['limits: { headerBytes: 1023 }', 'from 1KB to 1MB'],
  ])('%s is out of bounds', (option, bounds) => {
    expect(problemsOf(`${MINIMAL}${option}`)).toEqual([expect.stringContaining(bounds)]);
  });

  test.each(['timeouts: { park: 0s }', 'limits: { identityBytes: 4MB }', 'affinity: { idleLifetime: 1s }'])(
    '%s is on the bound',
    (option) => {
      expect(warningsOf(`${MINIMAL}${option}`)).toEqual([]);
    },
  );

  test.each(['10.0.0.0/33', '10.0.0/8', '::/129', 'any', '10.0.0.0/8/8', '10.0.0.0/', '0x0a.0.0.0/8', '/8'])(
    '%s is no network',
    (network) => {
      expect(problemsOf(`${MINIMAL}forwarding: { trustedProxies: ['${network}'] }`)).toHaveLength(1);
    },
  );

  test.each(['8080', ':8080', 'h:65536', '[h]:1', '::1:80', 'h:'])('%s is no address', (address) => {
    expect(problemsOf(`${MINIMAL}listen: { address: '${address}' }`)).toHaveLength(1);
  });

  test.each(['[::1]:8080', '0.0.0.0:0', 'gateway.example.com:80'])('%s is an address', (address) => {
    expect(warningsOf(`${MINIMAL}listen: { address: '${address}' }`)).toEqual([]);
  });
});

describe('warnings', () => {
  test.each([
    ['{ proxyProtocolFrom: [10.0.0.1] }', 'has no effect while proxyProtocol is off'],
    ['{ proxyProtocol: accept, proxyProtocolFrom: [0.0.0.0/0] }', 'contains every address'],
    ['{ proxyProtocol: accept, proxyProtocolFrom: [0.0.0.0/00] }', 'contains every address'],
  ])('a PROXY protocol with %s', (listen, words) => {
    expect(warningsOf(`${MINIMAL}listen: ${listen}`)).toEqual([
      expect.stringMatching(`listen.proxyProtocolFrom: ${words}`),
    ]);
  });

  test('a balancer in a failover pool', () => {
    expect(warningsOf(`${MINIMAL}    balancer: random`)).toEqual([
      'gateway.yaml:6:15 pools[0].balancer: has no effect in a failover pool; remove it, or set mode to sticky',
    ]);
  });

  test.each(['failback: immediate', 'failbackZone: UTC', 'idleAfter: 1m'])(
    '%s in a sticky pool',
    (option) => {
      expect(warningsOf(`${MINIMAL}    mode: sticky\n    ${option}`)).toEqual([
        expect.stringMatching(/has no effect in a sticky pool; remove it, or set mode to failover/),
      ]);
      expect(warningsOf(`${MINIMAL}    ${option}`)).toEqual([]);
    },
  );

  test('a quarantine that only an operator can end', () => {
    expect(warningsOf(`${MINIMAL}    quarantine: always`)).toEqual([
      expect.stringMatching(/quarantine: is always, but no option finds its end on the health page/),
    ]);
    expect(
      warningsOf(`${MINIMAL}    quarantine: always\n    health: { emptyMatches: 'sessions: 0' }`),
    ).toEqual([]);
  });

  test('logons that cannot be distinguished from other requests', () => {
    expect(warningsOf(`${MINIMAL}    sessionLost: { answer: fault }`)).toEqual([
      expect.stringMatching(
        /sessionLost.answer: is fault and identity.logon is empty, so even the first logon after a lost session/,
      ),
    ]);
    const known = `${MINIMAL}    sessionLost: { answer: fault }\nidentity: { logon: [subscribe] }`;
    expect(warningsOf(known)).toEqual([]);
    expect(warningsOf(`${MINIMAL}    sessionLost: { answer: fault, logonOperations: [subscribe] }`)).toEqual(
      [],
    );
  });

  test('rebalancing where no log-off or log-on can be seen', () => {
    const pool = `${MINIMAL}    mode: sticky\n    rebalance: logon\n`;
    const message = expect.stringMatching(
      /rebalance: has no effect: agents move only as they log off and on/,
    );
    expect(warningsOf(pool)).toEqual([message]);
    expect(warningsOf(`${pool}identity: { logon: [subscribe] }`)).toEqual([message]);
    expect(warningsOf(`${pool}identity: { logon: [subscribe], logoff: [unsubscribe] }`)).toEqual([]);
  });

  test('log-offs without log-ons', () => {
    expect(warningsOf(`${MINIMAL}identity: { logoff: [logOff] }`)).toEqual([
      expect.stringMatching(/identity.logoff: is set but identity.logon is empty/),
    ]);
  });

  test('an operation that counts with every value where another entry names a value', () => {
    const logoff = (more: string) =>
      warningsOf(
        `${MINIMAL}identity: { logon: [logOn], logoff: [{ operation: setMode, element: mode, value: '1' }, ${more}] }`,
      );
    expect(logoff('SET_MODE')).toEqual([
      expect.stringMatching(/identity.logoff\[1\]: counts SET_MODE with every value, although another entry/),
    ]);
    expect(logoff("{ operation: setMode, element: mode, value: '0' }")).toEqual([]);
    expect(logoff('setModes')).toEqual([]);
  });

  test('a command time-out that is too long for the lease', () => {
    const redis = 'redis: { url: redis://r, commandTimeout: 500ms }';
    expect(warningsOf(`${MINIMAL}affinity: { ${redis} }\ncoordination: { lease: 1500ms }`)).toEqual([]);
    expect(warningsOf(`${MINIMAL}affinity: { ${redis} }\ncoordination: { lease: 1499ms }`)).toEqual([
      expect.stringMatching(/commandTimeout: is 500ms, longer than a third of coordination\.lease \(499ms\)/),
    ]);
  });

  test('the same where agents move as they log on again, which is an error', () => {
    const text = (lease: string): string =>
      `${MINIMAL}    mode: sticky\n    rebalance: logon\nidentity: { logon: [subscribe], logoff: [unsubscribe] }\n` +
      `affinity: { redis: { url: redis://r, commandTimeout: 500ms } }\ncoordination: { lease: ${lease} }`;
    expect(warningsOf(text('1500ms'))).toEqual([]);
    expect(() => warningsOf(text('1499ms'))).toThrow(/agents could move before this gateway knows/);
  });

  test('certificates that are not verified, with the name of the instance', () => {
    const text = `pools: [{ name: p, instances: [{ id: conn-7, url: 'https://a', tls: { verify: false } }] }]`;
    expect(warningsOf(text)).toEqual([
      expect.stringMatching(
        /instances\[0\]\.tls\.verify: is false: the certificate of instance "conn-7" is not checked/,
      ),
    ]);
  });

  test('a connector that is listed twice', () => {
    expect(warningsOf(`${MINIMAL}      - { id: b, url: 'http://10.0.0.1:8080/' }`)).toEqual([
      expect.stringMatching(/instances\[1\]\.url: is also the url of instances\[0\]/),
    ]);
  });

  test('a Redis that is not used', () => {
    expect(warningsOf(`${MINIMAL}affinity: { store: embedded, redis: { url: redis://r } }`)).toEqual([
      expect.stringMatching(/affinity\.redis: has no effect while store is embedded/),
    ]);
  });
});
