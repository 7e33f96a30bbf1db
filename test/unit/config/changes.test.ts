import { describe, expect, test } from 'vitest';
import { changesBetween, formatChange, reloadable } from '../../../src/config/changes.ts';
import type { OptionNode } from '../../../src/config/option.ts';
import { reload, section, text } from '../../../src/config/option.ts';
import { RESTARTS } from '../../../src/config/restarts.ts';
import { withRetiring } from '../../../src/config/retiring.ts';
import type { Config, PoolConfig } from '../../../src/config/schema.ts';
import { OPTIONS } from '../../../src/config/schema.ts';
import { poolParts } from '../../../src/wiring/pool-parts.ts';
import { load, MINIMAL } from './support.ts';

function poolOf(instances: string, more = ''): string {
  return `pools:\n  - name: ici\n    mode: sticky\n    instances:\n${instances}${more}`;
}

const A = '      - { id: a, url: "http://10.0.0.1:8080" }\n';
const B = '      - { id: b, url: "http://10.0.0.2:8080" }\n';
const REDIS = 'affinity: { redis: { url: "redis://10.0.0.9" } }\n';

const config = (text: string): Config => load(text).config;
const between = (before: string, after: string) => changesBetween(config(before), config(after));
const lines = (before: string, after: string) => between(before, after).map(formatChange);
const refused = (before: string, after: string) => reloadable(config(before), config(after)).refused;

/** All that the loader accepts: each option and each optional section, named as in the reference. */
function optionsOf(schema: OptionNode, prefix: string): [name: string, option: OptionNode][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, option]): [string, OptionNode][] => {
    const name = `${prefix}${key}`;
    if (option.type === 'object') {
      const mayBeLeftOut = schema.required?.includes(key) !== true;
      return [
        ...(mayBeLeftOut ? [[name, option] as [string, OptionNode]] : []),
        ...optionsOf(option, `${name}.`),
      ];
    }
    if (option.items?.type === 'object')
      return [[`${name}[]`, option], ...optionsOf(option.items, `${name}[].`)];
    return [[name, option]];
  });
}

describe('how a change applies', () => {
  test('every option of the schema declares it, and every reason is used', () => {
    const rules = optionsOf(OPTIONS, '').map(([name, { applies }]) => [name, applies] as const);
    expect(rules.filter(([, applies]) => applies === undefined)).toEqual([]);
    const reasons = new Set(rules.map(([, applies]) => applies).filter((applies) => applies !== 'reload'));
    expect([...reasons].sort()).toEqual(Object.keys(RESTARTS).sort());
  });

  test('the type of a section refuses an option that does not declare it', () => {
    const said = section('A section.', { a: reload(text('An option.')) });
    expect((said as OptionNode).properties?.['a']?.applies).toBe('reload');
    // @ts-expect-error No new option can be forgotten.
    section('A section.', { a: text('An option.') });
  });

  test('entries without a name are told as one list, because their order matters', () => {
    const groups = (patterns: string) => `${poolOf(A)}    groups: { patterns: [${patterns}] }\n`;
    const one = '{ users: "A.*", group: one }';
    const two = '{ users: "B.*", group: two }';
    expect(lines(poolOf(A), groups(one))).toEqual([
      'pools[ici].groups.patterns: [] → [{"users":"A.*","group":"one"}]',
    ]);
    expect(lines(groups(`${one}, ${two}`), groups(`${two}, ${one}`))).toHaveLength(1);
  });

  test('a misspelt element can stay, with the right one behind it', () => {
    const elements = (names: string) => `${poolOf(A)}identity: { userElements: [${names}] }\n`;
    expect(refused(elements('agentLogn'), elements('agentLogn, agentLogin'))).toEqual([]);
    expect(refused(elements('agentLogn'), elements('agentLogin'))).toEqual([
      expect.stringContaining(
        'keep a misspelt element, which finds nothing, and add the right one behind it',
      ),
    ]);
  });

  test('every reason completes a sentence', () => {
    for (const { because } of Object.values(RESTARTS)) expect(because).toMatch(/^[a-z].*[^.]$/);
  });
});

describe('changes between two configurations', () => {
  test('are none between equal ones, however their values are written', () => {
    expect(between(`${MINIMAL}timeouts: { park: 3s }\n`, `${MINIMAL}timeouts: { park: 3000ms }\n`)).toEqual(
      [],
    );
  });

  test('show values as they are written, with their units', () => {
    expect(lines(MINIMAL, `${MINIMAL}timeouts: { park: 20s }\nlimits: { bodyBytes: 1MB }\n`)).toEqual([
      'timeouts.park: 5s → 20s',
      'limits.bodyBytes: 100MB → 1MB',
    ]);
  });

  test('identify instances by their id, whatever their position in the list', () => {
    const reweighted = '      - { id: b, url: "http://10.0.0.2:8080", weight: 3, priority: 2 }\n';
    const first = '      - { id: a, url: "http://10.0.0.1:8080", priority: 1 }\n';
    expect(lines(poolOf(A + B), poolOf(reweighted + first))).toEqual([
      'pools[ici].instances[b].weight: 1 → 3',
    ]);
  });

  test('an instance that is added or removed is one change', () => {
    expect(between(poolOf(A), poolOf(A + B))).toEqual([
      expect.objectContaining({
        path: 'pools[ici].instances[b]',
        before: undefined,
        after: expect.objectContaining({ id: 'b', url: 'http://10.0.0.2:8080', weight: 1 }),
        applies: 'reload',
        because: undefined,
      }),
    ]);
    expect(lines(poolOf(A + B), poolOf(A))).toEqual(['pools[ici].instances[b]: removed']);
  });

  test('a pool under another name is another pool', () => {
    expect(lines(MINIMAL, MINIMAL.replace('name: ici', 'name: chat'))).toEqual([
      'pools[chat]: added',
      'pools[ici]: removed',
    ]);
  });

  test('a list of names is one value', () => {
    expect(lines(MINIMAL, `${MINIMAL}forwarding: { trustedProxies: [10.0.0.0/8] }\n`)).toEqual([
      'forwarding.trustedProxies: [] → ["10.0.0.0/8"]',
    ]);
  });

  test('the password of a URL is never shown, even if it changes', () => {
    const url = (password: string) =>
      `${MINIMAL}affinity: { redis: { url: "redis://:${password}@10.0.0.9" } }\n`;
    const [change, ...others] = between(url('hunter2'), url('hunter3'));
    expect(others).toEqual([]);
    expect(JSON.stringify(change)).not.toContain('hunter');
    expect(formatChange(change as never)).toBe('affinity.redis.url: another secret in redis://:***@10.0.0.9');
    expect(change?.applies).toBe('reload');
  });
});

describe('a reload', () => {
  test.each([
    ['an instance is added', poolOf(A), poolOf(A + B)],
    ['an instance is removed', poolOf(A + B), poolOf(B)],
    [
      'a pool is added',
      MINIMAL,
      `${MINIMAL}${poolOf(B, '    match: { hosts: [x.example] }\n').slice(7).replace('ici', 'chat')}`,
    ],
    [
      'a timeout, a limit and the level of the log change',
      MINIMAL,
      `${MINIMAL}timeouts: { total: 9s }\nlimits: { inFlight: 9 }\nlogging: { level: debug }\n`,
    ],
    [
      'another node of the same cluster is named',
      `${MINIMAL}affinity: { redis: { cluster: ["a:1", "b:1"] } }\n`,
      `${MINIMAL}affinity: { redis: { cluster: ["b:1", "c:1"] } }\n`,
    ],
    [
      'names are found elsewhere, and no pool binds agents to instances',
      MINIMAL,
      `${MINIMAL}identity: { userHeader: x-user }\n`,
    ],
  ])('applies if %s', (_what, before, after) => {
    const { changes, refused: lacking } = reloadable(config(before), config(after));
    expect(changes).not.toEqual([]);
    expect(lacking).toEqual([]);
  });

  test.each([
    ['pools[ici].mode', MINIMAL, `${MINIMAL}    mode: sticky\n`],
    ['pools[ici].instances[a].url', poolOf(A), poolOf(A.replace('8080', '8081'))],
    ['identity.userHeader', poolOf(A), `${poolOf(A)}identity: { userHeader: x-user }\n`],
    [
      'forwarding.trustedProxies',
      poolOf(A, '    anonymous: address\n'),
      `${poolOf(A, '    anonymous: address\n')}forwarding: { trustedProxies: [10.0.0.0/8] }\n`,
    ],
    [
      'listen.proxyProtocol',
      MINIMAL,
      `${MINIMAL}listen: { proxyProtocol: accept, proxyProtocolFrom: [10.0.0.0/8] }\n`,
    ],
    ['coordination.lease', MINIMAL, `${MINIMAL}coordination: { lease: 5s }\n`],
    ['workers', `${MINIMAL}workers: 0\n${REDIS}`, `${MINIMAL}workers: 2\n${REDIS}`],
    ['coordination.replica', MINIMAL, `${MINIMAL}coordination: { replica: gw1 }\n`],
    [
      'affinity.keyPrefix',
      `${MINIMAL}${REDIS}`,
      `${MINIMAL}affinity: { redis: { url: "redis://10.0.0.9" }, keyPrefix: other }\n`,
    ],
    ['affinity.stateDir', MINIMAL, `${MINIMAL}affinity: { stateDir: /var/lib/other }\n`],
    ['affinity.redis.url', `${MINIMAL}${REDIS}`, `${MINIMAL}${REDIS.replace('10.0.0.9', '10.0.0.8')}`],
    ['affinity.redis.url', `${MINIMAL}${REDIS}`, `${MINIMAL}${REDIS.replace('10.0.0.9', '10.0.0.9/5')}`],
    [
      'affinity.redis.cluster',
      `${MINIMAL}affinity: { redis: { cluster: ["a:1", "b:1"] } }\n`,
      `${MINIMAL}affinity: { redis: { cluster: ["c:1"] } }\n`,
    ],
  ])('is refused if %s changes, with the reason', (path, before, after) => {
    const [reason, ...others] = refused(before, after);
    expect(others).toEqual([]);
    expect(reason?.startsWith(`${path} needs a restart, because `)).toBe(true);
  });

  const sticky = (identity: string): string => `${poolOf(A)}identity: ${identity}\n`;
  const NAMES = '{ userElements: [userId, user], userPattern: { header: "[A-Z]+", body: "A[0-9]+" } }';

  test.each([
    ['elements at the end', '[userId, user, { name: login, operation: makeCall }]', '"[A-Z]+"', '"A[0-9]+"'],
    ['wider patterns', '[userId, user]', '"[A-Z]+|X[0-9]"', '"A[0-9]+|B[0-9]+|C"'],
    ['no pattern', '[userId, user]', 'null', '"A[0-9]+"'],
  ])('can name more agents by %s, and says why', (_, elements, header, body) => {
    const patterns = `{ ${header === 'null' ? '' : `header: ${header}, `}body: ${body} }`;
    const after = sticky(`{ userElements: ${elements}, userPattern: ${patterns} }`);
    const changes = between(sticky(NAMES), after);
    expect(changes.length).toBeGreaterThan(0);
    for (const { applies, because, rebinds } of changes)
      expect([applies, because, rebinds]).toEqual([
        'reload',
        'it can only name requests that named no agent before',
        undefined,
      ]);
    expect(refused(sticky(NAMES), after)).toEqual([]);
    // And not back.
    expect(refused(after, sticky(NAMES)).length).toBe(changes.length);
  });

  test('can add log-ons to others, because they join names', () => {
    const [one, two] = [sticky('{ logon: [subscribe] }'), sticky('{ logon: [logOn, subscribe] }')];
    expect(between(one, two)).toEqual([
      expect.objectContaining({
        applies: 'reload',
        because: 'it joins names of one agent, and parts none',
      }),
    ]);
    // Without a list, every operation joins names, and with one no other does.
    for (const [before, after] of [
      [two, one],
      [sticky('{}'), one],
      [one, sticky('{}')],
    ] as const)
      expect(refused(before, after)).toEqual([expect.stringContaining('identity.logon needs a restart')]);
  });

  test.each([
    ['identity.userElements', '{ userElements: [user, userId] }', '{ userElements: [userId, user] }'],
    ['identity.userElements', '{ userElements: [userId] }', '{ userElements: [login, userId] }'],
    [
      'identity.userElements',
      '{ userElements: [{ name: user, operation: subscribe }] }',
      '{ userElements: [user] }',
    ],
    // A request that names a user may then follow the session of another person.
    ['identity.sessionElements', '{ sessionElements: [appId] }', '{ sessionElements: [appId, id] }'],
    ['identity.userPattern.body', '{}', '{ userPattern: { body: "A+" } }'],
    [
      'identity.userPattern.header',
      '{ userPattern: { header: "A+" } }',
      '{ userPattern: { header: "A+B" } }',
    ],
  ])('is refused if %s could give an agent a second name: %s to %s', (path, before, after) => {
    expect(refused(sticky(before), sticky(after))).toEqual([
      expect.stringContaining(`${path} needs a restart, because old and new workers would know one agent`),
    ]);
  });

  test('names every change that it cannot make, and the resulting change of the store', () => {
    expect(refused(`${MINIMAL}workers: 1\n`, `${MINIMAL}    mode: sticky\nworkers: 2\n${REDIS}`)).toEqual([
      expect.stringContaining('pools[ici].mode'),
      expect.stringContaining('affinity.store'),
      expect.stringContaining('affinity.redis'),
    ]);
  });
});

describe('workers of a reload', () => {
  const before = config(poolOf(A + B));

  test('have the instances that it removes, after those that stay', () => {
    const after = config(`${poolOf(B)}timeouts: { park: 1s }\n`);
    const { pools, ...others } = withRetiring(before, after);
    expect(pools[0]?.instances.map(({ id }) => id)).toEqual(['b', 'a']);
    expect(pools[0]?.instances[1]).toEqual({ ...before.pools[0]?.instances[0], isRetiring: true });
    // Gateways compare the configurations as operators wrote them.
    const [kept, wanted] = [pools[0], after.pools[0]] as [PoolConfig, PoolConfig];
    expect(poolParts(kept, after)).toEqual(poolParts(wanted, after));
    expect({ ...others, pools: after.pools }).toEqual(after);
  });

  test('use the new settings of an instance that stays', () => {
    const after = config(poolOf(A + B.replace(' }', ', weight: 5 }')));
    expect(withRetiring(before, after)).toEqual(after);
  });

  test('do not have a pool that is removed', () => {
    const after = config(MINIMAL.replace('name: ici', 'name: chat'));
    expect(withRetiring(before, after)).toEqual(after);
  });
});
