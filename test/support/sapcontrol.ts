import { ActRefused } from '../../src/core/act-refused.ts';
import type { GatewayStatus } from '../../src/core/gateway-status.ts';
import type { SapControlSource, SapState } from '../../src/sapcontrol/source.ts';
import { aGatewayStatus, anInstanceStatus, aPoolStatus } from './instance-status.ts';

export interface FakeSource extends SapControlSource {
  /** The recorded calls, oldest first. */
  readonly acts: string[];
  set(change: { readonly state?: SapState; readonly workers?: number; readonly refuses?: boolean }): void;
}

const INSTANCE = anInstanceStatus({
  url: 'http://10.0.0.1:8080',
  weight: 100,
  boundAgents: 12,
  inFlight: 3,
  queued: 1,
});

const STATUS: GatewayStatus = aGatewayStatus({
  inFlight: 3,
  pools: [
    aPoolStatus({
      mode: 'failover',
      instances: [
        INSTANCE,
        {
          ...INSTANCE,
          id: 'b',
          url: 'https://10.0.0.2',
          health: 'down',
          active: false,
          inFlight: 0,
          queued: 0,
        },
      ],
    }),
  ],
});

/** A gateway with two workers that only records calls. */
export function fakeSource(): FakeSource {
  const acts: string[] = [];
  let state: SapState = 'Running';
  let workers = 2;
  let refuses = false;
  const act = async (what: string): Promise<void> => {
    if (refuses) throw new ActRefused(409, 'one process cannot do that; restart its service');
    acts.push(what);
  };
  return {
    identity: { sid: 'ICI', instanceNumber: '07', instanceName: 'W07', hostname: 'crmgw1' },
    pid: 4711,
    startedAt: new Date(2019, 4, 1, 22, 20, 38),
    builtAt: new Date(2019, 3, 1, 12, 0, 0),
    state: () => state,
    status: () => STATUS,
    liveWorkers: () => workers,
    pids: () => [4711, 4712, 4713],
    parameters: () =>
      new Map([
        ['INSTANCE_NAME', 'W07'],
        ['icm/max_conn', '500'],
      ]),
    stop: (softTimeoutMs) => act(`stop ${softTimeoutMs}`),
    restart: (softTimeoutMs) => act(`restart ${softTimeoutMs}`),
    signal: (pid, signal) => act(`${signal} to ${pid}`),
    acts,
    set: (change) => {
      state = change.state ?? state;
      workers = change.workers ?? workers;
      refuses = change.refuses ?? refuses;
    },
  };
}
