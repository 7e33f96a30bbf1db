import type { InstanceId } from '../core/instance.ts';
import type { BindingQuery, ListedBinding } from '../core/ports.ts';
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
  readonly expiresInSeconds: number;
}

export interface BindingListing {
  readonly bindings: readonly BindingStatus[];
  /** The greatest error of `lastActive`, in either direction. */
  readonly lastActiveWithinSeconds: number;
  /** The `cursor` of the next page; `null` on the last page. */
  readonly next: string | null;
}

// A lifetime is renewed at most once per twentieth of its length, and its end is rounded to a 32nd of it.
const RENEWED_EVERY = 1 / 20;

/** @throws StoreUnavailable */
export async function bindingListing(pool: PoolSource, query: BindingQuery): Promise<BindingListing> {
  const { bindings, cursor } = await pool.bindings.list(query);
  const now = pool.operations.storeNow;
  return {
    bindings: bindings.map((listed) => bindingStatus(listed, pool.idleLifetimeMs, now)),
    lastActiveWithinSeconds: Math.ceil((pool.idleLifetimeMs * RENEWED_EVERY) / 1_000),
    next: cursor ?? null,
  };
}

function bindingStatus(
  { binding, expiresInMs }: ListedBinding,
  idleLifetimeMs: number,
  now: number,
): BindingStatus {
  const { root } = binding;
  return {
    name: root.kind === 'user' ? root.value : `${root.kind}:${root.value}`,
    instance: binding.instance,
    incarnation: binding.incarnation === '' ? null : binding.incarnation,
    generation: binding.generation,
    lastActive: iso(Math.min(now, now + expiresInMs - idleLifetimeMs)),
    expiresInSeconds: Math.round(expiresInMs / 1_000),
  };
}
