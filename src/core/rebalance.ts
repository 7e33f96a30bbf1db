import type { InstanceId } from './instance.ts';

/** How a log-on may leave an instance that has more than its share. */
export interface Rebalance {
  /** The instances that take new agents, with their weights. */
  readonly weights: Readonly<Record<InstanceId, number>>;
  /**
   * How long ago an agent must have logged off. Until then a gateway may not have heard of it, and could serve a request
   * of the agent from its cache. Each millisecond by which another gateway's lease is longer than {@link leaseMs} adds
   * {@link HEARD_LEASES}.
   */
  readonly heardMs: number;
  /** The lease of this gateway. */
  readonly leaseMs: number;
}

// Before a gateway knows that it misses messages, it has sent a ping, and waited for the answer.
const PING_EVERY_MS = 1_000;
const ALLOWANCE_MS = 1_000;
// A client may be late by as much as it waits for a command.
const WAITS = 2;
// What other gateways wait for a command is not known. A configuration with more than this share of its lease gets a
// warning, and an error where agents move as they log on again.
const COMMAND_SHARE_OF_LEASE = 1 / 3;

/** How many leases are in {@link heardWithinMs} at least. */
export const HEARD_LEASES = 1 + WAITS * COMMAND_SHARE_OF_LEASE;

/**
 * {@link Rebalance.heardMs}: a gateway that has not heard of a log-off by then knows that it misses messages, or has lost
 * its lease because its process stood still.
 *
 * @param leaseMs the longest lease of the gateways
 * @param commandTimeoutMs of this gateway
 */
export function heardWithinMs(leaseMs: number, commandTimeoutMs: number): number {
  const waitMs = Math.max(commandTimeoutMs, leaseMs * COMMAND_SHARE_OF_LEASE);
  return Math.ceil(leaseMs + WAITS * waitMs + PING_EVERY_MS + ALLOWANCE_MS);
}

/**
 * Would the instance from which the agent comes still have at least as many agents for its weight as the other one with
 * the agent? So no agent goes to and fro. affinity/redis/claim.lua decides the same.
 *
 * @param bound the number of agents of an instance; the agent counts where it is
 */
export function isBetterAt(
  from: InstanceId,
  to: InstanceId,
  { weights }: Rebalance,
  bound: (instance: InstanceId) => number,
): boolean {
  const here = weights[from] ?? 0;
  const there = weights[to] ?? 0;
  if (from === to || here === 0 || there === 0) return false;
  return bound(from) / here > (bound(to) + 1) / there;
}
