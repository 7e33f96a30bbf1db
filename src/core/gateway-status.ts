import type { InstanceId, InstanceState } from './instance.ts';
import type { ShownState } from './lifecycle.ts';
import type { Difference } from './view/agreed-config.ts';
import type { Parts } from './view/parts.ts';
import type { Mode } from './view/routing-state.ts';

/** The operator's act that the state of an instance follows. */
export interface ActStatus {
  readonly by: string;
  readonly why: string;
  readonly at: string;
  /** When a drain ends at the latest; `null` without a deadline. */
  readonly deadline: string | null;
}

export interface InstanceStatus {
  readonly id: InstanceId;
  readonly url: string;
  readonly admin: InstanceState['admin'];
  /** `null` while the configuration's word holds. */
  readonly act: ActStatus | null;
  readonly health: InstanceState['health'];
  readonly quarantined: boolean;
  readonly incarnation: string | null;
  /** Lives of it that were seen to begin. */
  readonly lives: number;
  /** This gateway cannot reach it, though the view calls it up. */
  readonly unreachableHere: boolean;
  /** The same for so long that its peers would have noticed too: it is this gateway that is cut off. */
  readonly cutOffHere: boolean;
  readonly weight: number;
  readonly priority: number;
  readonly active: boolean;
  readonly boundAgents: number;
  readonly inFlight: number;
  readonly queued: number;
}

/** What one live gateway says. */
export interface ReplicaStatus {
  readonly replica: string;
  /** It withholds its opinion: its event loop lagged, or its clock jumped. */
  readonly abstains: boolean;
  readonly down: readonly InstanceId[];
}

/** A part in which the configuration of a live gateway is not the agreed one. */
export interface DifferenceStatus extends Difference {
  readonly replica: string;
}

export interface ConfigurationStatus {
  /** By the name of the part; `null` before anything is agreed. */
  readonly agreed: Parts | null;
  /** False: this gateway differs in a part that decides where agents are sent, and leaves the pool to the others. */
  readonly servesHere: boolean;
  /** Instances that take agents, and that the configuration of this gateway does not name. */
  readonly missingHere: readonly InstanceId[];
  /** Of all gateways that tell their configuration. */
  readonly differences: readonly DifferenceStatus[];
}

export interface ViewStatus {
  /** Tells apart what may have the same epoch, where a store lost one of them. */
  readonly id: string;
  /** Every live gateway acts on it. */
  readonly effective: boolean;
  /** Since when this gateway has waited for that; `null` while it is in effect. */
  readonly pendingSince: string | null;
}

export interface PoolStatus {
  readonly name: string;
  readonly mode: 'failover' | 'sticky';
  readonly epoch: number;
  /** False until every instance has a verdict, or the time for that ran out. */
  readonly settled: boolean;
  readonly view: ViewStatus;
  readonly configuration: ConfigurationStatus;
  /** Failover pools: who serves all, and since when; `null` where nobody does. */
  readonly active: { readonly instance: InstanceId; readonly since: string } | null;
  readonly failback: {
    readonly policy: string;
    readonly zone: string | null;
    readonly by: 'configuration' | 'operator';
  } | null;
  readonly standing: Mode;
  /** Milliseconds that are left to act without hearing from the store; `null` where the gateway is alone. */
  readonly leaseRemainingMs: number | null;
  readonly replicas: readonly ReplicaStatus[];
  readonly parked: number;
  readonly affinity: {
    /** The store answers, also what is asked about bindings. */
    readonly available: boolean;
    readonly cachedBindings: number;
    /** What is asked about bindings fails, since when, and in the words of the store; else `null`. */
    readonly claimsFail: { readonly since: string; readonly error: string } | null;
  };
  readonly instances: readonly InstanceStatus[];
}

export interface GatewayStatus {
  readonly state: ShownState;
  readonly version: string;
  /** This gateway's name towards the others. */
  readonly replica: string;
  readonly startedAt: string;
  readonly inFlight: number;
  readonly pools: readonly PoolStatus[];
}
