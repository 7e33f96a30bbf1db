import type { GatewayStatus, InstanceStatus, PoolStatus } from '../../src/core/gateway-status.ts';

/** The status of an instance that is up, enabled and without agents, except for the given fields. */
export function anInstanceStatus(given: Partial<InstanceStatus> = {}): InstanceStatus {
  return {
    id: 'a',
    url: `http://${given.id ?? 'a'}.example:8080`,
    admin: 'enabled',
    act: null,
    health: 'up',
    healthSince: null,
    lastProbe: null,
    answers: null,
    reports: [],
    quarantined: false,
    incarnation: null,
    lives: 1,
    unreachableHere: false,
    cutOffHere: false,
    relays: null,
    weight: 1,
    priority: 1,
    active: true,
    boundAgents: 0,
    maxAgents: null,
    groups: null,
    share: 0,
    weightShare: 0,
    inFlight: 0,
    queued: 0,
    ...given,
  };
}

/** The status of a sticky pool without instances in which nothing is wrong, except for the given fields. */
export function aPoolStatus(given: Partial<PoolStatus> = {}): PoolStatus {
  return {
    name: 'ici',
    mode: 'sticky',
    balancer: given.mode === 'failover' ? null : 'rendezvous',
    epoch: 1,
    settled: true,
    configuration: { agreed: null, servesHere: true, missingHere: [], differences: [] },
    view: { id: 'x', effective: true, pendingSince: null },
    active: null,
    failback: null,
    rebalance: null,
    groupFileProblem: null,
    standing: 'leased',
    leaseRemainingMs: null,
    probes: {
      since: null,
      watchedSeconds: 0,
      settings: [],
      safeAboveMs: null,
      advice: 'unsure',
      text: 'probes watched for 0s only; advice needs a day',
    },
    replicas: [],
    parked: 0,
    traffic: { requests: 0, faults: 0 },
    identitySources: [],
    affinity: { available: true, cachedBindings: 0, claimsFail: null },
    instances: [],
    ...given,
  };
}

/** The status of a gateway in which nothing is wrong, except for the given fields. */
export function aGatewayStatus(given: Partial<GatewayStatus> = {}): GatewayStatus {
  return {
    state: 'Running',
    alarms: [],
    version: '1.2.3',
    host: 'host-1',
    workers: 2,
    admin: { advertise: null },
    replica: 'gw-1',
    shared: true,
    certificates: [],
    startedAt: '2019-05-01T20:20:38.000Z',
    inFlight: 0,
    pools: [],
    ...given,
  };
}
