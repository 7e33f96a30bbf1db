import { describe, expect, test } from 'vitest';
import { differencesOf, fitOf } from '../../../../src/core/view/agreed-config.ts';
import { NO_VIEW } from '../../../../src/core/view/agreed-view.ts';
import type { ConfigParts } from '../../../../src/core/view/config-parts.ts';
import type { ReplicaReport } from '../../../../src/core/view/health-report.ts';
import { driftOf } from '../../../../src/core/view/local-config.ts';
import type { ConfigCircumstances } from '../../../../src/core/view/next-config.ts';
import { nextConfig } from '../../../../src/core/view/next-config.ts';

const AGREED: ConfigParts = {
  'identity.userHeader': 'soapuser',
  instances: ['a', 'b'],
  mode: 'sticky',
  'priority:a': 1,
  'priority:b': 2,
  quorum: 'majority',
  'url:a': 'http://a',
  'url:b': 'http://b',
  'weight:a': 1,
  'weight:b': 1,
};

const having = (other: ConfigParts): ConfigParts => ({ ...AGREED, ...other });
const SWAPPED = having({ 'priority:a': 2, 'priority:b': 1 });
const OTHER_URL = having({ 'url:a': 'http://elsewhere' });

/** One live gateway for each configuration; `undefined` registers nothing. The first gateway decides. */
function decided(
  configs: readonly (ConfigParts | undefined)[],
  given: Partial<ConfigCircumstances> = {},
): ConfigParts | undefined {
  const reports = configs.map(
    (config, i): ReplicaReport => ({
      replica: `g${i}`,
      report: undefined,
      ...(config === undefined ? {} : { config }),
    }),
  );
  const [own = AGREED] = configs;
  return nextConfig({ agreed: AGREED, own, reports, requested: undefined, mayReplace: false, ...given })
    ?.config;
}

const changed = (next: ConfigParts | undefined): ConfigParts =>
  Object.fromEntries(
    Object.entries(next ?? {}).filter(
      ([part, value]) => JSON.stringify(AGREED[part]) !== JSON.stringify(value),
    ),
  );

describe('the agreed configuration', () => {
  test('is that of the first gateway at first', () => {
    expect(decided([SWAPPED, AGREED], { agreed: undefined })).toEqual(SWAPPED);
  });

  test('stays while all gateways have it', () => {
    expect(decided([AGREED, { ...AGREED }])).toBeUndefined();
  });

  test.each<[string, ConfigParts]>([
    ['priorities', SWAPPED],
    ['a weight', having({ 'weight:a': 5 })],
    ['the quorum', having({ quorum: 'all' })],
  ])('changes in %s when all live gateways have the same, and not before', (_, next) => {
    expect(decided([next, AGREED])).toBeUndefined();
    expect(decided([next, next])).toEqual(next);
  });

  test('changes part by part', () => {
    const both = having({ quorum: 'all', 'weight:a': 5 });
    expect(changed(decided([both, having({ quorum: 'all' })]))).toEqual({ quorum: 'all' });
  });

  test('does not change where gateways want different values', () => {
    expect(decided([having({ quorum: 'all' }), having({ quorum: 'any' })])).toBeUndefined();
  });

  test('changes beside a release that registers nothing or does not know the part', () => {
    const { quorum: _, ...without } = AGREED;
    expect(changed(decided([having({ quorum: 'all' }), undefined, without]))).toEqual({ quorum: 'all' });
  });

  test('gains a part of a later release; of gateways that differ in it, one is refused', () => {
    const [x, y] = [having({ 'identity.new': 'x' }), having({ 'identity.new': 'y' })];
    const next = decided([x, y]) ?? {};
    expect(changed(next)).toEqual({ 'identity.new': 'x' });
    expect([x, y, AGREED].map((config) => fitOf(next, config))).toEqual(['agreed', 'differs', 'agreed']);
    // Until then a gateway that has it does not know whether it differs.
    expect(fitOf(AGREED, x)).toBe('unknown');
  });

  test('keeps the addresses of instances, even if all running gateways have others', () => {
    expect(decided([OTHER_URL, OTHER_URL])).toBeUndefined();
  });

  const ELEMENTS = 'identity.userElements';
  const naming = (...names: string[]): ConfigParts => ({
    [ELEMENTS]: names.map((name) => ({ name })),
    ...AGREED,
  });

  test('names more agents as soon as one gateway does, and fewer when all do', () => {
    const given = { agreed: naming('user') };
    expect(decided([naming('user'), naming('user', 'login')], given)).toEqual(naming('user', 'login'));
    expect(decided([naming('user', 'login'), naming('user')], { agreed: naming('user', 'login') })).toBe(
      undefined,
    );
    expect(decided([naming('user'), naming('user')], { agreed: naming('user', 'login') })).toEqual(
      naming('user'),
    );
    // Two that name other agents than each other: one of them is refused.
    const next = decided([naming('user', 'a'), naming('user', 'b')], given);
    expect(next).toEqual(naming('user', 'a'));
    expect(fitOf(next, naming('user', 'b'))).toBe('differs');
    expect(decided([naming('login', 'user'), naming('user')], given)).toBeUndefined();
  });

  test('is served by a gateway that names more or fewer agents, with its own value', () => {
    expect(fitOf(naming('user'), naming('user', 'login'))).toBe('agreed');
    expect(differencesOf(naming('user', 'login'), naming('user'))).toEqual([
      expect.objectContaining({ part: ELEMENTS, effect: 'tolerated' }),
    ]);
    expect(fitOf(naming('user'), naming('login'))).toBe('differs');
    const pattern = (header: string) => having({ 'identity.userPattern': { header } });
    expect(fitOf(pattern('A+'), pattern('A+|B'))).toBe('agreed');
    expect(fitOf(pattern('A+'), pattern('B'))).toBe('differs');
  });

  test('changes beside a gateway that is refused', () => {
    expect(decided([SWAPPED, SWAPPED, OTHER_URL])).toEqual(SWAPPED);
    expect(decided([OTHER_URL, SWAPPED, SWAPPED])).toEqual(SWAPPED);
  });

  test('changes the addresses when a gateway starts and no live one acts by the old ones', () => {
    const starts = { mayReplace: true };
    expect(decided([OTHER_URL], starts)).toEqual(OTHER_URL);
    expect(decided([OTHER_URL, OTHER_URL], starts)).toEqual(OTHER_URL);
    expect(decided([OTHER_URL, AGREED], starts)).toBeUndefined();
    expect(decided([OTHER_URL, having({ 'url:a': 'http://third' })], starts)).toBeUndefined();
    // The configuration that it acts by is not known.
    expect(decided([OTHER_URL, undefined], starts)).toBeUndefined();
  });

  test('is set by an operator, and keeps parts that the operator’s gateway does not know', () => {
    const { quorum: _, ...parts } = OTHER_URL;
    expect(decided([OTHER_URL, AGREED], { requested: { id: 'w', parts } })).toEqual(OTHER_URL);
  });
});

describe('instances', () => {
  const WITH_C = having({
    instances: ['a', 'b', 'c'],
    'priority:c': 3,
    'url:c': 'http://c',
    'weight:c': 1,
  });
  const { 'priority:b': _p, 'url:b': _u, 'weight:b': _w, ...rest } = AGREED;
  const WITHOUT_B: ConfigParts = { ...rest, instances: ['a'] };

  test('are added when all gateways have them, with the values that all agree on', () => {
    expect(decided([WITH_C, AGREED])).toBeUndefined();
    expect(decided([WITH_C, WITH_C])).toEqual(WITH_C);
  });

  test('are not added while gateways have different connectors under one name', () => {
    const other = { ...WITH_C, 'url:c': 'http://other' };
    expect(decided([WITH_C, other])).toBeUndefined();
    expect(fitOf(AGREED, other)).toBe('agreed');
  });

  test('are removed with their agreed values when no gateway has them any more', () => {
    expect(decided([WITHOUT_B, AGREED])).toBeUndefined();
    expect(decided([WITHOUT_B, WITHOUT_B])).toEqual(WITHOUT_B);
    expect(decided([AGREED], { requested: { id: 'w', parts: WITHOUT_B } })).toEqual(WITHOUT_B);
  });

  test('that a gateway lacks keep it from being ready, unless they are disabled', () => {
    const b = {
      health: 'up',
      act: '',
      incarnation: '',
      past: [],
      lives: 0,
      quarantinedAt: 0,
      lostAt: 0,
    } as const;
    const view = (admin: 'enabled' | 'draining' | 'disabled') => ({
      ...NO_VIEW,
      config: AGREED,
      instances: { b: { ...b, admin } },
    });
    expect(driftOf(view('enabled'), WITHOUT_B)).toMatchObject({ serves: true, ready: false, missing: ['b'] });
    expect(driftOf(view('draining'), WITHOUT_B)).toMatchObject({ ready: false });
    expect(driftOf(view('disabled'), WITHOUT_B)).toMatchObject({ serves: true, ready: true, missing: [] });
    expect(driftOf(view('enabled'), WITH_C)).toMatchObject({ serves: true, ready: true });
  });
});

describe('a gateway that differs', () => {
  test.each<[string, ConfigParts, string]>([
    ['priorities', SWAPPED, 'agreed'],
    ['weights', having({ 'weight:a': 5 }), 'agreed'],
    ['the mode', having({ mode: 'failover' }), 'differs'],
    ['the URL of an instance', OTHER_URL, 'differs'],
    ['how agents are known', having({ 'identity.userHeader': 'x-user' }), 'differs'],
  ])('in %s', (_, config, fit) => {
    expect(fitOf(AGREED, config)).toBe(fit);
  });

  test('gets the list of the differing parts', () => {
    expect(differencesOf(AGREED, having({ mode: 'failover', quorum: 'any' }))).toEqual([
      { part: 'mode', effect: 'refused', agreed: 'sticky', configured: 'failover' },
      { part: 'quorum', effect: 'overridden', agreed: 'majority', configured: 'any' },
    ]);
  });
});
