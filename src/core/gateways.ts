import type { DifferenceStatus, GatewayStatus, PoolStatus } from './gateway-status.ts';
import type { InstanceId } from './instance.ts';
import type { ShownState } from './lifecycle.ts';
import type { Difference } from './view/agreed-config.ts';

/** One gateway's part in a pool. */
export interface GatewayPool {
  readonly pool: string;
  readonly standing: PoolStatus['standing'];
  /** `null` if the gateway has no peers. */
  readonly leaseRemainingMs: number | null;
  /** Does it withhold its health report? `null` if it has not registered with the view store. */
  readonly abstains: boolean | null;
  /** The instances that it reports as down. */
  readonly down: readonly InstanceId[];
  /** The instances that only this gateway cannot reach. */
  readonly cutOff: readonly InstanceId[];
  /** The parts of its configuration that differ from the agreed one. */
  readonly differences: readonly Difference[];
}

/** What a gateway tells operators at other gateways about itself. No gateway decides anything by it. */
export interface GatewayEntry {
  readonly replica: string;
  readonly version: string;
  readonly state: ShownState;
  /** 0 for a gateway of a single process. */
  readonly workers: number;
  readonly startedAt: string;
  /** The URL of its admin plane for other hosts; `null` if only its own host reaches it. */
  readonly admin: string | null;
  readonly pools: readonly GatewayPool[];
}

/** An entry as the registry keeps it. */
export interface SeenGateway {
  readonly replica: string;
  /** What a gateway of this or another release wrote, so it must be checked. */
  readonly entry: unknown;
  /** How long ago it was written, in milliseconds. */
  readonly seenAgoMs: number;
}

/**
 * Where the gateways that share a store tell operators about themselves. It is kept apart from what gateways agree on:
 * whatever happens to it, only the list of gateways is affected. Methods reject with `StoreUnavailable`.
 */
export interface GatewayRegistry {
  /** Writes the entry of this gateway. It ends by itself if it is not written again. */
  write(entry: GatewayEntry): Promise<void>;
  remove(replica: string): Promise<void>;
  list(): Promise<readonly SeenGateway[]>;
}

/** One line of the list of gateways. What an earlier release does not tell is `null`. */
export type GatewayLine = Nullable<Omit<GatewayEntry, 'replica' | 'pools'>> & {
  readonly replica: string;
  /** The gateway that answers. */
  readonly self: boolean;
  /** Host and port at which it takes requests of peers, by its health reports; `null` if it takes none, or abstains. */
  readonly relayAt: string | null;
  /** `null` if the gateway writes no entry; then the view store knows it. */
  readonly seenSecondsAgo: number | null;
  /** It has not written its entry for so long that what it wrote last is no longer its state. */
  readonly silent: boolean;
  readonly pools: readonly (Nullable<Pick<GatewayPool, 'standing' | 'leaseRemainingMs' | 'cutOff'>> &
    Omit<GatewayPool, 'standing' | 'leaseRemainingMs' | 'cutOff'>)[];
};

type Nullable<T> = { readonly [Key in keyof T]: T[Key] | null };

// A gateway writes its entry every 2 s.
const SILENT_AFTER_MS = 6_000;

/** This gateway's entry. */
export function gatewayEntry(status: GatewayStatus): GatewayEntry {
  const { replica, version, state, workers, startedAt, admin, pools } = status;
  return {
    replica,
    version,
    state,
    workers,
    startedAt,
    admin: admin.advertise,
    pools: pools.map((pool) => ({
      pool: pool.name,
      standing: pool.standing,
      leaseRemainingMs: pool.leaseRemainingMs,
      ...reportOf(pool, replica),
      cutOff: pool.instances.filter(({ cutOffHere }) => cutOffHere).map(({ id }) => id),
      differences: differencesOf(pool, replica),
    })),
  };
}

/**
 * Is this an entry that can be shown? Releases only add fields, so this checks what a program in between or an operator
 * may have written.
 */
export function isGatewayEntry(value: unknown): value is GatewayEntry {
  const { replica, version, state, startedAt, workers, admin, pools } = (value ?? {}) as Partial<
    Record<keyof GatewayEntry, unknown>
  >;
  return (
    [replica, version, state, startedAt].every((text) => typeof text === 'string') &&
    typeof workers === 'number' &&
    (admin === null || typeof admin === 'string') &&
    Array.isArray(pools) &&
    pools.every(isGatewayPool)
  );
}

function isGatewayPool(value: unknown): value is GatewayPool {
  const { pool, standing, leaseRemainingMs, down, cutOff, differences } = (value ?? {}) as Partial<
    Record<keyof GatewayPool, unknown>
  >;
  return (
    typeof pool === 'string' &&
    typeof standing === 'string' &&
    (leaseRemainingMs === null || typeof leaseRemainingMs === 'number') &&
    [down, cutOff, differences].every(Array.isArray)
  );
}

/**
 * The list of all gateways, this one first: those with an entry, and those that only the view store knows, because
 * their release writes none.
 *
 * @param own this gateway's entry, which is newer than the one in the registry
 * @param seen valid entries of the registry
 */
export function listGateways(
  own: GatewayEntry,
  seen: readonly { readonly entry: GatewayEntry; readonly seenAgoMs: number }[],
  pools: readonly PoolStatus[],
): readonly GatewayLine[] {
  const others = new Map(
    seen.filter(({ entry }) => entry.replica !== own.replica).map((one) => [one.entry.replica, one]),
  );
  const known = new Set([own.replica, ...others.keys()]);
  const unknown = new Set(
    pools.flatMap(({ replicas }) => replicas.map(({ replica }) => replica)).filter((one) => !known.has(one)),
  );
  const relayAt = ({ replica }: { readonly replica: string }): string | null =>
    pools.flatMap(({ replicas }) => replicas.find((one) => one.replica === replica)?.relayAt ?? [])[0] ??
    null;
  return [
    { ...own, self: true, seenSecondsAgo: 0, silent: false },
    ...[...others.values()].map(lineOf),
    ...[...unknown].map((replica) => lineOfUnknown(replica, pools)),
  ]
    .map((line) => ({ ...line, relayAt: relayAt(line) }))
    .toSorted(byReplica);
}

function lineOf({
  entry,
  seenAgoMs,
}: {
  readonly entry: GatewayEntry;
  readonly seenAgoMs: number;
}): Omit<GatewayLine, 'relayAt'> {
  return {
    ...entry,
    self: false,
    seenSecondsAgo: Math.floor(seenAgoMs / 1_000),
    silent: seenAgoMs >= SILENT_AFTER_MS,
    // A gateway that wrote nothing since has not shown that it renewed its lease.
    pools: entry.pools.map(({ leaseRemainingMs, ...pool }) => ({
      ...pool,
      leaseRemainingMs: leaseRemainingMs === null ? null : Math.max(0, leaseRemainingMs - seenAgoMs),
    })),
  };
}

function lineOfUnknown(replica: string, pools: readonly PoolStatus[]): Omit<GatewayLine, 'relayAt'> {
  return {
    replica,
    self: false,
    version: null,
    state: null,
    workers: null,
    startedAt: null,
    admin: null,
    seenSecondsAgo: null,
    // The view store lists live gateways only.
    silent: false,
    pools: pools
      .filter(({ replicas }) => replicas.some((one) => one.replica === replica))
      .map((pool) => ({
        pool: pool.name,
        standing: null,
        leaseRemainingMs: null,
        ...reportOf(pool, replica),
        cutOff: null,
        differences: differencesOf(pool, replica),
      })),
  };
}

function reportOf({ replicas }: PoolStatus, replica: string): Pick<GatewayPool, 'abstains' | 'down'> {
  const report = replicas.find((one) => one.replica === replica);
  return { abstains: report?.abstains ?? null, down: report?.down ?? [] };
}

function differencesOf({ configuration }: PoolStatus, replica: string): Difference[] {
  const ofReplica = ({ replica: other, ...difference }: DifferenceStatus): Difference[] =>
    other === replica ? [difference] : [];
  return configuration.differences.flatMap(ofReplica);
}

function byReplica(one: GatewayLine, other: GatewayLine): number {
  if (one.self !== other.self) return one.self ? -1 : 1;
  return one.replica < other.replica ? -1 : 1;
}
