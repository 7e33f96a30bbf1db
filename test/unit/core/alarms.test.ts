import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { RecentCounts } from '../../../src/core/alarms.ts';
import { alarmsOf, isFailure } from '../../../src/core/alarms.ts';
import { ERRORS } from '../../../src/core/errors.ts';
import type { Alarm, GatewayStatus, InstanceStatus, PoolStatus } from '../../../src/core/gateway-status.ts';
import { anchorsOf, readDocument } from '../../support/documents.ts';
import { aGatewayStatus, anInstanceStatus, aPoolStatus } from '../../support/instance-status.ts';

const NOW = Date.UTC(2026, 10, 29, 8, 0);
const ago = (seconds: number): string => new Date(NOW - seconds * 1_000).toISOString();
const NONE = { over: 0, of: 0 };

const recentCounts = (given: Partial<RecentCounts> = {}): RecentCounts => ({
  splits: () => 0,
  refused: () => 0,
  replaced: () => 0,
  transitions: () => 0,
  abstentions: () => 0,
  slow: () => NONE,
  unnamed: () => NONE,
  outcomeUnknown: 0,
  failures: NONE,
  dropped: 0,
  ...given,
});

function alarmsAt(
  status: GatewayStatus,
  recent: Partial<RecentCounts> = {},
  memory: ReadonlyMap<string, number> = new Map(),
  now = NOW,
): readonly Alarm[] {
  return alarmsOf(status, recentCounts(recent), memory, now).alarms;
}

const gatewayWith = (pool: Partial<PoolStatus>): GatewayStatus =>
  aGatewayStatus({ pools: [aPoolStatus(pool)] });
const instances = (...given: Partial<InstanceStatus>[]): Pick<PoolStatus, 'instances'> => ({
  instances: given.map((one, i) => anInstanceStatus({ id: 'abc'[i] ?? '', ...one })),
});
const ids = (alarms: readonly Alarm[]): string[] => alarms.map(({ id }) => id);

const DIFFERENCE = { part: 'quorum', agreed: 'any', configured: 'all' };
const differences = (replica: string, effect: 'overridden' | 'refused'): Partial<PoolStatus> => ({
  configuration: {
    agreed: null,
    servesHere: true,
    missingHere: [],
    differences: [{ replica, effect, ...DIFFERENCE }],
  },
});
/** Long before, so that no alarm waits. */
const SEEN_BEFORE = new Map(
  [
    'IciLeaseLost/ici',
    'IciGatewayLags/ici/gw-1',
    'IciGatewayLags/ici/gw-2',
    'IciRequestsFail',
    'IciAgentsUnnamed/ici',
  ].map((id) => [id, NOW - 600_000]),
);

/** For each alert of Prometheus: a gateway that has it, and what was counted there. */
const CASES: Readonly<Record<string, readonly [status: GatewayStatus, recent?: Partial<RecentCounts>]>> = {
  IciInstanceDown: [gatewayWith(instances({}, { health: 'down', healthSince: ago(60) }, {}))],
  IciPoolDown: [gatewayWith(instances({ health: 'down' }, { health: 'down' }))],
  IciPoolWithoutSpare: [gatewayWith(instances({}, { health: 'down' }))],
  IciInstanceFlapping: [gatewayWith(instances({})), { transitions: () => 5 }],
  IciInstanceQuarantined: [gatewayWith(instances({ quarantined: true }))],
  IciGatewayCutOff: [gatewayWith(instances({ cutOffHere: true }))],
  IciConfigRefused: [gatewayWith(differences('gw-1', 'refused'))],
  IciConfigDrift: [gatewayWith(differences('gw-1', 'overridden'))],
  IciStoreAway: [gatewayWith({ affinity: { available: false, cachedBindings: 0, claimsFail: null } })],
  IciLeaseLost: [gatewayWith({ leaseRemainingMs: 0 })],
  IciViewNotEffective: [gatewayWith({ view: { id: 'x', effective: false, pendingSince: ago(20) } })],
  IciAgentsSplit: [gatewayWith({}), { splits: () => 3 }],
  IciBindingsFull: [gatewayWith({}), { refused: () => 1 }],
  IciNamesGiveWay: [gatewayWith({}), { replaced: () => 1 }],
  IciGroupFileInvalid: [gatewayWith({ groupFileProblem: { since: ago(60), reason: 'line 1 has no ";"' } })],
  IciGroupsTooLarge: [
    gatewayWith(
      instances({ maxAgents: 50, groups: { number: 2, agents: 51, largest: { name: 'sales', agents: 31 } } }),
    ),
  ],
  IciOutcomeUnknown: [aGatewayStatus(), { outcomeUnknown: 2 }],
  IciRequestsFail: [aGatewayStatus(), { failures: { over: 3, of: 100 } }],
  IciAgentsUnnamed: [gatewayWith({}), { unnamed: () => ({ over: 3, of: 100 }) }],
  IciRequestsSlow: [gatewayWith({}), { slow: () => ({ over: 2, of: 100 }) }],
  IciConnectionsDropped: [aGatewayStatus(), { dropped: 1 }],
  IciGatewayLags: [
    gatewayWith({ replicas: [{ replica: 'gw-1', abstains: false, down: [], relayAt: null }] }),
    { abstentions: () => 3 },
  ],
};

/** These compare gateways, or concern one that does not answer: a gateway cannot see them. */
const ONLY_PROMETHEUS = [
  ...['IciGatewayDown', 'IciGatewaysAllDown', 'IciGatewayRestarts', 'IciGatewaysDisagree'],
  'IciGatewayAlone',
];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

const RULES: readonly Rule[] = parse(readDocument('deploy/prometheus/alerts.yaml')).groups[0].rules;

describe('an alarm', () => {
  test('exists for every alert of Prometheus that a gateway can see', () => {
    const alerts = RULES.map(({ alert }) => alert);
    expect(Object.keys(CASES).toSorted()).toEqual(
      alerts.filter((alert) => !ONLY_PROMETHEUS.includes(alert)).toSorted(),
    );
  });

  test.each(Object.entries(CASES))(
    '%s has the words, the urgency and the section of the alert',
    (alert, [status, recent]) => {
      const rule = RULES.find((one) => one.alert === alert);
      const [alarm] = alarmsAt(status, recent, SEEN_BEFORE).filter(({ id }) => id.split('/')[0] === alert);
      expect(alarm?.text).toMatch(wordsOf(rule?.annotations.summary ?? ''));
      expect(alarm?.severity).toBe(rule?.labels.severity === 'page' ? 'critical' : 'warning');
      expect(alarm?.runbook).toBe(rule?.annotations.runbook_url.replace(/^.*#/, '#'));
      expect(anchorsOf(readDocument('deploy/RUNBOOK.md'))).toContain(alarm?.runbook.slice(1));
      expect(alarm?.remedy).toMatch(/\.$/);
    },
  );

  test('of the quarantine waits while the instance is down, which is one fact with one remedy', () => {
    const of = (health: 'up' | 'down'): string[] =>
      ids(alarmsAt(gatewayWith(instances({ health, quarantined: true }, {}, {}))));
    expect(of('down')).toEqual(['IciInstanceDown/ici/a']);
    expect(of('up')).toEqual(['IciInstanceQuarantined/ici/a']);
  });

  test('of an instance that an operator has disabled names the operator and the reason', () => {
    const act = { by: 'oscar', why: 'patch the host', at: ago(60), deadline: null };
    const down = { health: 'down', admin: 'disabled', act } as const;
    const [alarm] = alarmsAt(gatewayWith(instances(down, {}, {})));
    expect(alarm?.remedy).toBe(
      'oscar has disabled it: “patch the host”. When the work on it is done, start it and enable it.',
    );
  });

  test('does not exist while nothing is wrong', () => {
    expect(alarmsAt(gatewayWith({ ...instances({}, {}), leaseRemainingMs: 900 }))).toEqual([]);
  });
});

/** The words of a summary, with anything where it has a value. */
function wordsOf(summary: string): RegExp {
  const words = summary.split(/\{\{[^}]+\}\}/).map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${words.join('\\S+')}$`);
}

test('alarms are sorted: critical ones first, and of those the oldest', () => {
  const status = gatewayWith({
    ...instances({ health: 'down', healthSince: ago(10) }, { health: 'down', healthSince: ago(30) }),
    affinity: {
      available: false,
      cachedBindings: 0,
      claimsFail: { since: ago(5), error: 'ERR' },
    },
  });
  expect(ids(alarmsAt(status))).toEqual([
    'IciPoolDown/ici',
    'IciStoreAway/ici',
    'IciInstanceDown/ici/b',
    'IciInstanceDown/ici/a',
  ]);
  // The pool is down since the last of its instances is.
  expect(alarmsAt(status)[0]?.since).toBe(ago(10));
});

test('an alarm whose cause says not since when is as old as its first sight', () => {
  const status = gatewayWith(instances({ quarantined: true }));
  const first = alarmsOf(status, recentCounts(), new Map(), NOW);
  const later = alarmsOf(status, recentCounts(), first.memory, NOW + 60_000);
  expect(later.alarms[0]?.since).toBe(new Date(NOW).toISOString());
  // When it is over, it is forgotten.
  const over = alarmsOf(gatewayWith(instances({})), recentCounts(), later.memory, NOW + 61_000);
  expect(over.memory.size).toBe(0);
  const again = alarmsOf(status, recentCounts(), over.memory, NOW + 62_000);
  expect(again.alarms[0]?.since).toBe(new Date(NOW + 62_000).toISOString());
});

test.each([
  [
    'a view that is not in effect yet',
    gatewayWith({ view: { id: 'x', effective: false, pendingSince: ago(14) } }),
  ],
  ['the wait for the first lease', gatewayWith({ leaseRemainingMs: 0 })],
  [
    'a short abstention',
    gatewayWith({ replicas: [{ replica: 'gw-2', abstains: true, down: [], relayAt: null }] }),
  ],
])('%s is no alarm for 15 s', (_, status) => {
  const { alarms, memory } = alarmsOf(status, recentCounts(), new Map(), NOW);
  expect(alarms).toEqual([]);
  expect(alarmsOf(status, recentCounts(), memory, NOW + 15_000).alarms).toHaveLength(1);
});

test('an instance of unknown health is no alarm while the gateway starts', () => {
  const pool = instances({ health: 'unknown' });
  expect(alarmsAt(gatewayWith({ ...pool, settled: false }))).toEqual([]);
  expect(ids(alarmsAt(gatewayWith({ ...pool, settled: true })))).toContain('IciInstanceDown/ici/a');
});

test('a gateway whose configuration is refused is not reported as drifted too', () => {
  const { configuration } = aPoolStatus();
  const both = [
    { replica: 'gw-2', effect: 'refused', ...DIFFERENCE },
    { replica: 'gw-2', effect: 'overridden', ...DIFFERENCE },
    { replica: 'gw-3', effect: 'overridden', ...DIFFERENCE },
  ] as const;
  const status = gatewayWith({ configuration: { ...configuration, differences: both, missingHere: ['b'] } });
  expect(ids(alarmsAt(status)).toSorted()).toEqual([
    'IciConfigDrift/ici/gw-3',
    'IciConfigRefused/ici/gw-1',
    'IciConfigRefused/ici/gw-2',
  ]);
});

test('errors count as failures as in the rule of Prometheus', () => {
  const { expr = '' } = RULES.find(({ alert }) => alert === 'IciRequestsFail') ?? {};
  const [, excluded = ''] = /code!~"([^"]+)"/.exec(expr) ?? [];
  for (const code of Object.keys(ERRORS))
    expect([code, isFailure(code)]).toEqual([code, !new RegExp(`^(${excluded})$`).test(code)]);
});
