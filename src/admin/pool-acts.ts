import { randomUUID } from 'node:crypto';
import { ActRefused } from '../core/act-refused.ts';
import type { AdminState, InstanceId, InstanceState } from '../core/instance.ts';
import { describeChange, differencesOf } from '../core/view/agreed-config.ts';
import type { PoolEvent } from '../core/view/agreed-view.ts';
import { formatFailback } from '../core/view/failback.ts';
import type { Failback, Policy } from '../core/view/policy.ts';
import {
  withActive,
  withAdmin,
  withFailback,
  withRebalance,
  withRelease,
  withRequestedConfig,
} from '../core/view/policy-changes.ts';
import type { PoolOperations, PoolSource } from './pool-source.ts';

/** The operator and the reason. */
export interface Act {
  readonly by: string;
  readonly why: string;
  /** The address from which the operator acts. */
  readonly source?: string;
  /** The id of the view that the operator decided on. */
  readonly ifView?: string;
}

// How long an answer waits until all gateways act on the change. A crashed gateway delays that by a lease.
export const EFFECT_MS = 5_000;

/**
 * The changes that operators make to a pool. Each one is written into the policy, which
 * applies to every gateway and survives restarts. It then waits until all live gateways
 * act on it, and resolves to whether they do; if they do not in time, the change
 * stays decided all the same. All throw {@link ActRefused} and `StoreUnavailable`.
 */

/** @param deadline when a drain ends at the latest, in milliseconds since the Unix epoch; 0 for never */
export async function setAdmin(
  pool: PoolSource,
  id: InstanceId,
  state: AdminState,
  deadline: number,
  act: Act,
): Promise<boolean> {
  const { operations } = pool;
  const before = instanceOf(pool, id);
  const { by, why } = act;
  const done = { by, why, id: randomUUID(), state, at: operations.storeNow, deadline };
  const { version } = await commit(operations, act, (policy) => withAdmin(policy, id, done), {
    ...event('admin', act),
    instance: id,
    from: before.admin,
    to: state,
  });
  // Another change may have followed at once and replaced this one.
  return takesEffect(operations, () => {
    const { agreed, lastSync } = operations;
    return (
      lastSync.policy.version >= version && agreed.instances[id]?.act === lastSync.policy.instances[id]?.id
    );
  });
}

/** Ends the instance's quarantine. */
export async function release(pool: PoolSource, id: InstanceId, act: Act): Promise<boolean> {
  const { operations } = pool;
  instanceOf(pool, id);
  const since = operations.agreed.instances[id]?.quarantinedAt ?? 0;
  if (since === 0) throw new ActRefused(409, `${id} is not in quarantine`);
  await commit(operations, act, (policy) => withRelease(policy, id, since), {
    ...event('release', act),
    instance: id,
    from: 'quarantined',
    to: '',
  });
  return takesEffect(operations, () => operations.agreed.instances[id]?.quarantinedAt !== since);
}

/** Makes the instance the active one of a failover pool at once. */
export async function activate(pool: PoolSource, id: InstanceId, act: Act): Promise<boolean> {
  const { operations } = pool;
  requireFailover(pool, 'has no active instance; move its agents one by one, or drain an instance');
  const instance = instanceOf(pool, id);
  if (operations.agreed.active === id) throw new ActRefused(409, `${id} is already the active instance`);
  requireAble(instance);
  const requestId = randomUUID();
  const { version } = await commit(operations, act, (policy) => withActive(policy, id, requestId), {
    ...event('activate', act),
    instance: id,
    from: operations.agreed.active,
    to: id,
  });
  const isInEffect = await takesEffect(operations, () => {
    const { agreed, lastSync } = operations;
    return lastSync.policy.version >= version && agreed.activated === lastSync.policy.activate?.id;
  });
  if (isInEffect && operations.agreed.active !== id)
    throw new ActRefused(
      409,
      `${id} could not take over: at the same moment it went down, or another instance was activated`,
    );
  return isInEffect;
}

/** Fails back at once: makes the most preferred instance that can serve the active one. */
export async function failBack(pool: PoolSource, act: Act): Promise<boolean> {
  requireFailover(pool, 'has no active instance, so nothing to fail back to');
  const able = [...pool.operations.routingState.view.instances.values()].filter(
    (one) => cannotServe(one) === undefined,
  );
  const [preferred] = able.sort((a, b) => a.priority - b.priority || (a.id < b.id ? -1 : 1));
  if (preferred === undefined) throw new ActRefused(409, 'no instance is up and enabled');
  return activate(pool, preferred.id, act);
}

export async function setFailback(pool: PoolSource, failback: Failback, act: Act): Promise<void> {
  requireFailover(pool, 'has no active instance, so nothing to fail back to');
  const { operations } = pool;
  await commit(operations, act, (policy) => withFailback(policy, failback), {
    ...event('failback-policy', act),
    from: formatFailback(operations.lastSync.policy.failback),
    to: failback.kind === 'at' ? `${formatFailback(failback)} ${failback.zone}` : failback.kind,
  });
}

/**
 * Lets agents move to instances with fewer agents as they log on again.
 *
 * @param until milliseconds since the Unix epoch; 0 ends it
 */
export async function setRebalance(pool: PoolSource, until: number, act: Act): Promise<boolean> {
  const { operations, name, mode } = pool;
  if (mode !== 'sticky')
    throw new ActRefused(409, `pool ${name} is ${mode}: all its agents are at the active instance`);
  if (!pool.knowsLogOffs)
    throw new ActRefused(
      409,
      'agents move only as they log off and on again: configure identity.logon and identity.logoff first',
    );
  const { by, why } = act;
  const shown = (at: number): string => (at > 0 ? new Date(at).toISOString() : 'never');
  await commit(operations, act, (policy) => withRebalance(policy, { by, why, until }), {
    ...event('rebalance', act),
    from: shown(operations.agreed.rebalancesUntil ?? 0),
    to: shown(until),
  });
  return takesEffect(operations, () => (operations.agreed.rebalancesUntil ?? 0) === until);
}

/** Makes this gateway's configuration the agreed one. Gateways that cannot follow it stop serving the pool. */
export async function adoptConfig({ name, operations }: PoolSource, act: Act): Promise<boolean> {
  const { parts, agreed } = operations;
  if (agreed.config !== undefined && differencesOf(agreed.config, parts).length === 0)
    throw new ActRefused(409, `the configuration of this gateway is already the agreed one for pool ${name}`);
  const id = randomUUID();
  await commit(operations, act, (policy) => withRequestedConfig(policy, { id, parts }), {
    ...event('configured', act),
    ...describeChange(agreed.config, { ...agreed.config, ...parts }),
  });
  // Another request may have followed at once and replaced this one.
  return takesEffect(
    operations,
    () => operations.agreed.configWish === operations.lastSync.policy.config?.id,
  );
}

/** @throws ActRefused if the pool has no such instance */
export function instanceOf(pool: PoolSource, id: InstanceId): InstanceState {
  const { instances } = pool.operations.routingState.view;
  const instance = instances.get(id);
  if (instance === undefined)
    throw new ActRefused(
      404,
      `pool ${pool.name} has no instance ${id}; it has ${[...instances.keys()].join(', ')}`,
    );
  return instance;
}

/** Waits a few seconds at most. Resolves to whether the agreed view matches `wanted` and is in effect. */
export function takesEffect(
  operations: Pick<PoolOperations, 'isEffective' | 'onChange'>,
  isSo: () => boolean,
): Promise<boolean> {
  const isInEffect = (): boolean => isSo() && operations.isEffective;
  if (isInEffect()) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (result: boolean): void => {
      clearTimeout(timer);
      stop();
      resolve(result);
    };
    const timer = setTimeout(() => end(isInEffect()), EFFECT_MS);
    const stop = operations.onChange(() => {
      if (isInEffect()) end(true);
    });
  });
}

export function event(kind: PoolEvent['kind'], { by, why, source }: Act): PoolEvent {
  return { kind, instance: '', from: '', to: '', by, why, ...(source === undefined ? {} : { source }) };
}

function commit(
  operations: PoolOperations,
  { ifView }: Act,
  change: (policy: Policy) => Policy,
  logged: PoolEvent,
): Promise<Policy> {
  return operations.commitPolicy(change, [logged], ifView);
}

function requireFailover({ name, mode }: PoolSource, reason: string): void {
  if (mode !== 'failover') throw new ActRefused(409, `pool ${name} is ${mode}: it ${reason}`);
}

function requireAble(instance: InstanceState): void {
  const reason = cannotServe(instance);
  if (reason !== undefined) throw new ActRefused(409, `${instance.id} ${reason}`);
}

function cannotServe({ health, admin }: InstanceState): string | undefined {
  if (health !== 'up') return `is ${health}; wait until it is up`;
  return admin === 'enabled' ? undefined : `is ${admin}; enable it first`;
}
