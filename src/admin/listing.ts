import type { InstanceId } from '../core/instance.ts';
import type { BindingQuery, ListedBinding } from '../core/ports.ts';
import type { PoolSource } from './pool-source.ts';
import { iso } from './status.ts';

/** One line of the listing of bindings. */
export interface BindingStatus {
  /** A user name as it stands in the store; sessions and addresses with their kind before them. */
  readonly name: string;
  readonly instance: InstanceId;
  readonly incarnation: string | null;
  readonly generation: number;
  /** The agent's last request, as exactly as {@link BindingListing.lastActiveWithinSeconds} says. */
  readonly lastActive: string;
  readonly expiresInSeconds: number;
}

export interface BindingListing {
  readonly bindings: readonly BindingStatus[];
  /** How far `lastActive` may be off, either way. */
  readonly lastActiveWithinSeconds: number;
  /** Given as `cursor` it leads to the next page; `null` on the last. */
  readonly next: string | null;
}

// Lifetimes are renewed at most every twentieth of their length, and end on a 32nd of it.
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
