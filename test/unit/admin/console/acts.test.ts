import { describe, expect, test } from 'vitest';
import type { Act, Fields, Verb } from '../../../../src/admin/console/logic/acts.ts';
import {
  ACTS,
  command,
  commandOf,
  consequencePath,
  requestOf,
} from '../../../../src/admin/console/logic/acts.ts';

const ADMIN = 'http://gw1:9090';
const VIEW = '4.view';
const MILLER = { kind: 'user', name: 'MILLER' };
const act = (verb: Verb, more: Partial<Act> = {}): Act => ({ verb, pool: '', instance: '', ...more });

const CASES: readonly (readonly [
  act: Act,
  fields: Fields,
  request: string,
  body: Record<string, unknown>,
  words: string,
])[] = [
  [
    act('drain', { pool: 'ici', instance: 'a' }),
    { deadline: '30m' },
    'POST /pools/ici/instances/a/drain',
    { deadline: '30m' },
    'drain ici a --deadline 30m',
  ],
  [
    act('enable', { pool: 'my pool', instance: 'a/b' }),
    {},
    'POST /pools/my%20pool/instances/a%2Fb/enable',
    {},
    "enable 'my pool' a/b",
  ],
  [
    act('release', { pool: 'ici', instance: 'a' }),
    {},
    'POST /pools/ici/instances/a/release',
    {},
    'release ici a',
  ],
  [
    act('activate', { pool: 'p', instance: 'b' }),
    {},
    'POST /pools/p/activate',
    { instance: 'b' },
    'activate p b',
  ],
  [act('failback', { pool: 'p', instance: 'a' }), {}, 'POST /pools/p/failback', {}, 'failback p'],
  [
    act('failback-policy', { pool: 'p' }),
    { policy: 'at 03:30', zone: 'Europe/Berlin' },
    'PUT /pools/p/failback-policy',
    { policy: 'at 03:30', zone: 'Europe/Berlin' },
    "failback-policy p 'at 03:30' --zone Europe/Berlin",
  ],
  [act('adopt-config', { pool: 'p' }), {}, 'POST /pools/p/adopt-config', {}, 'adopt-config p'],
  [
    act('move', { pool: 'ici', instance: 'a', agent: MILLER }),
    { instance: 'b' },
    'POST /pools/ici/agents/move',
    { agent: 'MILLER', instance: 'b' },
    'move ici MILLER b',
  ],
  [
    act('move', { pool: 'ici', instance: 'a', agent: MILLER }),
    {},
    'POST /pools/ici/agents/move',
    { agent: 'MILLER', instance: '' },
    // What is still to be filled in is a word, and no empty argument.
    'move ici MILLER INSTANCE',
  ],
  [
    act('forget', { pool: 'ici', agent: { kind: 'session', name: 'S1' } }),
    {},
    'POST /pools/ici/agents/forget',
    { session: 'S1' },
    'forget ici S1 --session',
  ],
  [act('maintenance-on'), {}, 'POST /maintenance', { on: true }, 'maintenance on'],
  [act('maintenance-off'), {}, 'POST /maintenance', { on: false }, 'maintenance off'],
  [act('stop'), { softTimeout: '30s' }, 'POST /stop', { softTimeout: '30s' }, 'stop --soft-timeout 30s'],
  [act('stop'), { softTimeout: ' ' }, 'POST /stop', {}, 'stop'],
  [
    act('rebalance', { pool: 'p' }),
    { until: '2h' },
    'POST /pools/p/rebalance',
    { deadline: '2h' },
    'rebalance p --deadline 2h',
  ],
  [act('rebalance', { pool: 'p' }), {}, 'POST /pools/p/rebalance', {}, 'rebalance p'],
  [act('rebalance-end', { pool: 'p' }), {}, 'POST /pools/p/rebalance', { end: true }, 'rebalance p --end'],
];

describe('an act', () => {
  test.each(CASES)('%j with %j is a request and a command', (one, fields, request, body, words) => {
    const { method, path, body: sent } = requestOf(one, fields, 'because', undefined);
    expect(`${method} ${path}`).toBe(request);
    expect(sent).toEqual({ why: 'because', ...body });
    expect(commandOf(one, fields, 'because', ADMIN)).toBe(
      `ici-gateway admin ${words} --why because --admin ${ADMIN}`,
    );
  });

  test.each([
    ['restart', 'restart --rolling'],
    ['reload', 'reload'],
  ] as const)('%s of this gateway is a command of its own', (verb, words) => {
    expect(requestOf(act(verb), {}, 'x', undefined).path).toBe(`/${verb}`);
    expect(commandOf(act(verb), {}, 'x', ADMIN)).toBe(`ici-gateway ${words} --why x --admin ${ADMIN}`);
  });

  test('names the view that the operator saw', () => {
    expect(requestOf(act('failback', { pool: 'p' }), {}, 'x', VIEW).body).toEqual({ why: 'x', ifView: VIEW });
  });

  test('has a button and a title each', () => {
    for (const [verb, kind] of Object.entries(ACTS)) {
      const title = kind.title(act(verb as Verb, { pool: 'ici', instance: 'a', agent: MILLER }), {
        instance: 'b',
      });
      expect([verb, kind.button, title]).toEqual([verb, expect.any(String), expect.stringMatching(/^[A-Z]/)]);
    }
  });

  test('has a consequence at the gateway where it depends on who is bound', () => {
    expect(consequencePath(act('disable', { pool: 'ici', instance: 'a' }))).toBe(
      '/pools/ici/instances/a/consequence?act=disable',
    );
    expect(consequencePath(act('move', { pool: 'ici', instance: 'a', agent: MILLER }))).toBeUndefined();
    expect(consequencePath(act('stop'))).toBeUndefined();
  });
});

test('a command survives the shell whatever it holds', () => {
  expect(command(['admin', 'agent', "O'NEIL $HOME"], ADMIN)).toBe(
    `ici-gateway admin agent 'O'\\''NEIL $HOME' --admin ${ADMIN}`,
  );
  expect(command(['admin', 'agent', ''], ADMIN)).toBe(`ici-gateway admin agent '' --admin ${ADMIN}`);
});

test('a command that lacks the instance says where it goes', () => {
  expect(commandOf(act('move', { pool: 'ici', agent: MILLER }), {}, '', ADMIN)).toContain(
    'move ici MILLER INSTANCE --why REASON',
  );
});
