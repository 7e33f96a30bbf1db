import { describe, expect, test } from 'vitest';
import type { GatewayStatus, InstanceStatus, PoolStatus } from '../../../../src/core/gateway-status.ts';
import type { IncidentEvent, IncidentFacts } from '../../../../src/core/incident/facts.ts';
import { findingsOf } from '../../../../src/core/incident/findings.ts';
import { firstPage } from '../../../../src/core/incident/first-page.ts';
import { lasting } from '../../../../src/core/incident/moments.ts';
import type { KeptLine } from '../../../../src/core/incident/state-lines.ts';
import { STATE_LINES } from '../../../../src/core/incident/state-lines.ts';
import type { RecentRequest } from '../../../../src/core/recent-requests.ts';
import { aGatewayStatus, anInstanceStatus, aPoolStatus } from '../../../support/instance-status.ts';

const TO = Date.UTC(2026, 10, 29, 8, 15);
const before = (seconds: number): number => TO - seconds * 1_000;

function facts(given: Partial<IncidentFacts> = {}): IncidentFacts {
  return {
    from: before(900),
    to: TO,
    status: aGatewayStatus({ pools: [aPoolStatus()] }),
    gateways: [],
    events: [],
    lines: [],
    requests: { withinMs: 900_000, ended: 0, errors: [] },
    recent: [],
    ...given,
  };
}

function line(seconds: number, msg: keyof typeof STATE_LINES, fields: object = {}): KeptLine {
  return { at: before(seconds), level: 'warn', msg: STATE_LINES[msg], fields: { pool: 'ici', ...fields } };
}

function event(
  seconds: number,
  kind: IncidentEvent['kind'],
  given: Partial<IncidentEvent> = {},
): IncidentEvent {
  return {
    pool: 'ici',
    at: before(seconds),
    epoch: 2,
    kind,
    instance: 'a',
    from: '',
    to: '',
    by: 'gw-1',
    why: '',
    ...given,
  };
}

const withPool = (
  pool: Partial<PoolStatus>,
  more: Partial<GatewayStatus> = {},
): Pick<IncidentFacts, 'status'> => ({
  status: aGatewayStatus({ pools: [aPoolStatus(pool)], ...more }),
});
const withInstance = (one: Partial<InstanceStatus>): Pick<IncidentFacts, 'status'> =>
  withPool({ instances: [anInstanceStatus(one), anInstanceStatus({ id: 'b' })] });

const told = (given: Partial<IncidentFacts>): string[] =>
  findingsOf(facts(given)).map((one) => `${one.text} – ${lasting(one, TO)}`);

const OUT: readonly KeptLine[] = [
  line(60, 'storeAway', { detail: 'ECONNREFUSED' }),
  line(55, 'storeAvailable'),
];
const DOWN = event(30, 'down');

describe('the findings say what is wrong, and since when', () => {
  test.each<[what: string, given: Partial<IncidentFacts>, texts: readonly RegExp[]]>([
    ['nothing', withInstance({}), []],
    [
      'an instance that refuses connections',
      {
        ...withInstance({ health: 'down', lastProbe: { at: '', ok: false, text: 'connect ECONNREFUSED' } }),
        events: [DOWN],
      },
      [
        /^instance a of pool ici is down: probes find “connect ECONNREFUSED”, so its process does not run.* – since 08:14:30.0 \(30s\)$/,
      ],
    ],
    [
      'an instance that hung for a while',
      {
        ...withInstance({}),
        events: [event(20, 'up'), DOWN],
        lines: [line(31, 'probesFail', { instance: 'a', reason: 'no answer within 1000 ms' })],
      },
      [/^instance a of pool ici was down: .*its process hangs.* – from 08:14:30.0 to 08:14:40.0 \(10s\)$/],
    ],
    [
      'an instance that was started again',
      { ...withInstance({}), events: [event(20, 'restarted')] },
      [/^instance a of pool ici was started again: it has forgotten its agents.* – at 08:14:40.0$/],
    ],
    [
      'no instance that is up',
      withPool({ instances: [anInstanceStatus({ health: 'down' })] }),
      [/^no instance of pool ici is up/, /^instance a of pool ici is down/],
    ],
    [
      'an instance out of reach from here alone',
      { ...withInstance({ cutOffHere: true }), lines: [line(5, 'cutOff', { instances: ['a'] })] },
      [/^gateway gw-1 alone cannot reach instance a of pool ici.* – since 08:14:55.0 \(5s\)$/],
    ],
    [
      'a store that was away, in two pools at about the same time, and came back empty',
      {
        lines: [
          ...OUT.slice(0, 1),
          line(59, 'storeAway', { pool: 'b' }),
          line(56, 'storeAvailable', { pool: 'b' }),
          ...OUT.slice(1),
          line(54, 'storeRenewed'),
        ],
      },
      [
        /^the affinity store is away for gateway gw-1, pools b, ici: ECONNREFUSED – from 08:14:00.0 to 08:14:05.0 \(5s\)$/,
        /^the affinity store may have lost data.* – at 08:14:06.0$/,
      ],
    ],
    [
      'a store that is away, of which no line is left',
      withPool({ affinity: { available: false, cachedBindings: 0, claimsFail: null } }),
      [/^the affinity store is away for gateway gw-1, pool ici – now$/],
    ],
    [
      'another gateway that is gone',
      { lines: [line(9, 'gatewayGone', { gateway: 'gw-2' })] },
      [/^gateway gw-2 is gone: .*its processes were killed.* – since 08:14:51.0/],
    ],
    [
      'another gateway that an operator stopped',
      {
        lines: [line(9, 'gatewayGone', { gateway: 'gw-2' })],
        events: [event(10, 'stop', { gateway: 'gw-2', by: 'jones', why: 'patch' })],
      },
      [/^gateway gw-2 is gone: jones has stopped it: “patch”/],
    ],
    [
      'another gateway that was paused',
      { lines: [line(9, 'gatewayGone', { gateway: 'gw-2' }), line(4, 'gatewayCame', { gateway: 'gw-2' })] },
      [/^gateway gw-2 took no part: it was paused.* – from 08:14:51.0 to 08:14:56.0 \(5s\)$/],
    ],
    [
      'an instance that an operator has disabled',
      withInstance({
        admin: 'disabled',
        act: { by: 'jones', why: 'patch', at: new Date(before(99)).toISOString(), deadline: null },
      }),
      [/^instance a of pool ici is disabled by jones: “patch” – since /],
    ],
    [
      'requests that failed, but not those that clients caused',
      {
        requests: {
          withinMs: 900_000,
          ended: 10,
          errors: [
            { code: 'GW_DEADLINE', requests: 2 },
            { code: 'GW_LOOP', requests: 1 },
            { code: 'GW_IDENTITY_MISSING', requests: 5 },
          ],
        },
      },
      [/^3 of 10 requests of the last 15m .*: GW_DEADLINE 2, GW_LOOP 1/],
    ],
  ])('%s', (_, given, texts) => {
    const found = told(given);
    expect(found).toEqual(texts.map((text) => expect.stringMatching(text)));
  });

  test('the worst first: what lasts before what is over, the store before an instance', () => {
    const [first, second, third] = told({
      ...withInstance({ health: 'down' }),
      events: [DOWN],
      lines: [...OUT, line(3, 'storeAway')],
    });
    expect(first).toMatch(/store is away .* since/);
    expect(second).toMatch(/^instance a .* is down/);
    expect(third).toMatch(/store is away .* from/);
  });
});

test('the first page names the fault, errors with samples, and what happened in several pools once', () => {
  const sample = { code: 'GW_DEADLINE', instance: 'a', requestId: 'id-1' } as RecentRequest;
  const page = firstPage(
    facts({
      events: [event(30, 'down', { why: '0 of 2' }), event(29.5, 'down', { pool: 'b', why: '0 of 2' })],
      requests: { withinMs: 900_000, ended: 10, errors: [{ code: 'GW_DEADLINE', requests: 2 }] },
      recent: [sample],
    }),
    {
      commit: 'abc',
      node: 'v22',
      files: new Map([['a.json', 'all']]),
      missing: ['b.json: too much'],
      isHashed: true,
    },
  );
  expect(page).toContain('THE FAULT: 2 of 10 requests');
  expect(page).toContain(
    '* 2 got GW_DEADLINE (a): the request could not be sent within its total deadline; such as id-1',
  );
  expect(page).toContain('* 08:14:30.0 pools b, ici, epoch 2: down a; gw-1: 0 of 2');
  for (const text of ['* a.json: all', '* b.json: too much', 'commit abc', 'name-…'])
    expect(page).toContain(text);
});
