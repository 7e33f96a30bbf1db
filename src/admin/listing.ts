import type { InstanceId } from '../core/instance.ts';
import type { BindingQuery, ListedBinding } from '../core/ports.ts';
import { renewalIntervalMs } from '../core/renewal.ts';
import type { PoolSource } from './pool-source.ts';
import { iso } from './status.ts';

/** One entry of the list of bindings. */
export interface BindingStatus {
  /** A user name in its stored form, or a session or address after its kind. */
  readonly name: string;
  readonly instance: InstanceId;
  readonly incarnation: string | null;
  readonly generation: number;
  /** The time of the agent's last request, accurate to {@link BindingListing.lastActiveWithinSeconds}. */
  readonly lastActive: string;
  /** The agent has logged off and sent no request since, so the binding ends soon. */
  readonly loggedOff: boolean;
  readonly expiresInSeconds: number;
}

export interface BindingListing {
  readonly bindings: readonly BindingStatus[];
  /** The greatest error of `lastActive`, in either direction. */
  readonly lastActiveWithinSeconds: number;
  /** The `cursor` of the next page; `null` on the last page. */
  readonly next: string | null;
}

// Gateways of earlier releases renew a lifetime once per twentieth of its length, and its end is rounded to a 32nd of it.
const RENEWED_EVERY_BEFORE = 1 / 20;

/** @throws StoreUnavailable */
export async function bindingListing(pool: PoolSource, query: BindingQuery): Promise<BindingListing> {
  const { bindings, cursor } = await pool.bindings.list({ ...query, details: true });
  return {
    bindings: bindings.map((listed) => bindingStatus(listed, pool)),
    lastActiveWithinSeconds: lastActiveWithinSeconds(pool, bindings),
    next: cursor ?? null,
  };
}

/** The greatest error of {@link lastActiveOf} for these bindings, in either direction. */
export function lastActiveWithinSeconds(
  { idleLifetimeMs }: Pick<PoolSource, 'idleLifetimeMs'>,
  listed: readonly ListedBinding[],
): number {
  const isExact = listed.every(({ usedAt }) => usedAt !== undefined);
  const withinMs = isExact ? renewalIntervalMs(idleLifetimeMs) : idleLifetimeMs * RENEWED_EVERY_BEFORE;
  return Math.ceil(withinMs / 1_000);
}

/** The time of the agent's last request that the store knows of. */
export function lastActiveOf({ expiresInMs, usedAt }: ListedBinding, pool: PoolSource): string {
  const now = pool.operations.storeNow;
  return iso(usedAt ?? Math.min(now, now + expiresInMs - pool.idleLifetimeMs));
}

function bindingStatus(listed: ListedBinding, pool: PoolSource): BindingStatus {
  const { binding, expiresInMs } = listed;
  const { root } = binding;
  return {
    name: root.kind === 'user' ? root.value : `${root.kind}:${root.value}`,
    instance: binding.instance,
    incarnation: binding.incarnation === '' ? null : binding.incarnation,
    generation: binding.generation,
    lastActive: lastActiveOf(listed, pool),
    loggedOff: listed.loggedOff === true,
    expiresInSeconds: Math.round(expiresInMs / 1_000),
  };
}
