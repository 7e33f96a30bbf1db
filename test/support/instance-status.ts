import type { InstanceStatus } from '../../src/core/gateway-status.ts';

/** The status of an instance that is up, enabled and without agents, except for the given fields. */
export function anInstanceStatus(given: Partial<InstanceStatus> = {}): InstanceStatus {
  return {
    id: 'a',
    url: `http://${given.id ?? 'a'}.example:8080`,
    admin: 'enabled',
    act: null,
    health: 'up',
    quarantined: false,
    incarnation: null,
    lives: 1,
    unreachableHere: false,
    cutOffHere: false,
    weight: 1,
    priority: 1,
    active: true,
    boundAgents: 0,
    inFlight: 0,
    queued: 0,
    ...given,
  };
}
