import type { Alarm, GatewayStatus, InstanceStatus, PoolStatus } from '../data/contract.ts';
import { count, list } from './text.ts';

/** `ok` is shown quietly. */
export type Level = 'ok' | 'warning' | 'critical' | 'unknown';

export interface Verdict {
  readonly level: Level;
  /** One sentence that answers "are agents served?". */
  readonly text: string;
}

/** Serves the agents that are bound to it. */
function isUsable({ health, admin }: InstanceStatus): boolean {
  return health === 'up' && admin !== 'disabled';
}

/** A failover pool is served by its active instance alone. */
export function isServed({ mode, instances }: PoolStatus): boolean {
  return instances.some((instance) => isUsable(instance) && (mode === 'sticky' || instance.active));
}

const STATES: Readonly<Record<string, Verdict>> = {
  Starting: { level: 'warning', text: 'This gateway is starting and does not serve agents yet.' },
  Maintenance: { level: 'warning', text: 'This gateway answers agents with the maintenance page.' },
  Stopping: { level: 'warning', text: 'This gateway still serves agents, and is stopping.' },
  Draining: { level: 'warning', text: 'This gateway answers its last requests, then ends.' },
  Stopped: { level: 'critical', text: 'This gateway has stopped.' },
  Isolated: {
    level: 'warning',
    text: 'This gateway cannot serve all agents, because it is cut off; the other gateways can.',
  },
  Drifted: {
    level: 'warning',
    text: 'This gateway cannot serve all agents, because its configuration differs from the agreed one.',
  },
};

/** Answers "are agents served?" by the worst that is known. */
export function verdictOf(status: GatewayStatus): Verdict {
  const { pools } = status;
  const ofState = STATES[status.state];
  // A gateway that starts has not probed its instances yet.
  const lost = status.state === 'Starting' ? [] : pools.filter((pool) => !isServed(pool));
  if (lost.length > 0) {
    const whose = pools.length === 1 ? 'Agents' : `Agents of ${list(lost.map(({ name }) => `pool ${name}`))}`;
    return { level: 'critical', text: `${whose} are not served: ${lost.map(whyLost).join('; ')}.` };
  }
  if (ofState !== undefined) return ofState;
  const waiting = pools.filter(({ standing }) => standing === 'waiting');
  if (waiting.length > 0) {
    const names = list(waiting.map(({ name }) => `pool ${name}`));
    return { level: 'critical', text: `Requests wait, because this gateway holds no lease for ${names}.` };
  }
  const troubles = pools.flatMap(troublesOf);
  if (troubles.length > 0)
    return { level: 'warning', text: `Agents are served, but ${troubles.join('; ')}.` };
  const { alarms } = status;
  if (alarms.length === 0) return { level: 'ok', text: 'Agents are served.' };
  const isCritical = alarms.some(({ severity }) => severity === 'critical');
  return {
    level: isCritical ? 'critical' : 'warning',
    text: `Agents are served, with ${count(alarms.length, 'alarm')}.`,
  };
}

function whyLost({ mode, instances }: PoolStatus): string {
  const up = instances.filter(isUsable);
  if (up.length > 0 && mode === 'failover')
    return `no active instance is up; ${list(up.map(({ id }) => id))} can take over`;
  return instances.length === 1
    ? `${instances[0]?.id} is not up`
    : `none of ${instances.length} instances is up`;
}

function troublesOf({ name, instances, standing }: PoolStatus): string[] {
  const down = instances.filter(({ health, admin }) => health === 'down' && admin !== 'disabled');
  const troubles: string[] = [];
  if (down.length > 0)
    troubles.push(
      `${list(down.map(({ id }) => id))} of pool ${name} ${down.length === 1 ? 'is' : 'are'} down`,
    );
  if (standing === 'storeless') troubles.push(`the store is away for pool ${name}`);
  return troubles;
}

/** `2 pools, 5 of 6 instances up, 1 200 agents`. */
export function summaryOf({ pools }: GatewayStatus): string {
  const instances = pools.flatMap((pool) => pool.instances);
  const up = instances.filter(({ health }) => health === 'up').length;
  const agents = instances.reduce((sum, { boundAgents }) => sum + boundAgents, 0);
  const ofAll = `${up} of ${count(instances.length, 'instance')} up`;
  return `${count(pools.length, 'pool')}, ${ofAll}, ${count(agents, 'agent')}`;
}

/** What became different between two lists of alarms, as sentences to be spoken. */
export function news(before: readonly Alarm[], after: readonly Alarm[]): readonly string[] {
  const idsOf = (alarms: readonly Alarm[]): Set<string> => new Set(alarms.map(({ id }) => id));
  const known = idsOf(before);
  const left = idsOf(after);
  return [
    ...after.filter(({ id }) => !known.has(id)).map(({ text }) => `New alarm: ${text}`),
    ...before.filter(({ id }) => !left.has(id)).map(({ text }) => `Alarm ended: ${text}`),
  ];
}

export interface InstanceWord {
  readonly level: Level;
  readonly word: string;
}

/** The one word that says most about an instance. */
export function instanceWord(instance: InstanceStatus): InstanceWord {
  const { health, admin, quarantined, cutOffHere, unreachableHere } = instance;
  if (admin === 'disabled') return { level: 'unknown', word: 'disabled' };
  if (health === 'down') return { level: 'critical', word: 'down' };
  if (health === 'unknown') return { level: 'unknown', word: 'unknown' };
  if (cutOffHere) return { level: 'warning', word: 'cut off here' };
  if (unreachableHere) return { level: 'warning', word: 'not reached here' };
  if (quarantined) return { level: 'warning', word: 'quarantined' };
  if (admin === 'draining') return { level: 'warning', word: 'draining' };
  return { level: 'ok', word: 'up' };
}

/** What is true of an instance too, behind the one word: a disabled one may be down and in quarantine. */
export function otherWords(instance: InstanceStatus): readonly string[] {
  const { health, admin, quarantined } = instance;
  const { word } = instanceWord(instance);
  const words = [
    health === 'down' ? ['down'] : [],
    quarantined ? ['quarantined'] : [],
    admin === 'draining' ? ['draining'] : [],
  ];
  return words.flat().filter((one) => one !== word);
}

const WEB_DISPATCHER_OK = new Set(['Running']);
const WEB_DISPATCHER_BAD = new Set(['Stopped']);

/** @param state in the words of SAP Web Dispatcher */
export function stateLevel(state: string | null): Level {
  if (state === null) return 'unknown';
  if (WEB_DISPATCHER_OK.has(state)) return 'ok';
  return WEB_DISPATCHER_BAD.has(state) ? 'critical' : 'warning';
}
