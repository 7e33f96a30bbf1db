import type { BalancerName } from './balancers.ts';
import type { InstanceId, InstanceState } from './instance.ts';
import type { ShownState } from './lifecycle.ts';
import type { Advice, Profile } from './probes/advice.ts';
import type { SourceShare } from './seen-names.ts';
import type { Difference } from './view/agreed-config.ts';
import type { ConfigParts } from './view/config-parts.ts';
import type { Mode } from './view/routing-state.ts';

/** The operator's change that determines the state of an instance. */
export interface ActStatus {
  readonly by: string;
  readonly why: string;
  readonly at: string;
  /** The latest end of a drain; `null` without a deadline. */
  readonly deadline: string | null;
}

/** A certificate that a gateway shows to its clients. */
export interface CertificateStatus {
  /** The option that names its file. */
  readonly option: string;
  /** SHA-256. */
  readonly fingerprint: string;
  readonly validTo: string;
}

/** The last probe of an instance by this gateway. */
export interface ProbeStatus {
  readonly at: string;
  readonly ok: boolean;
  /** What failed; `null` if the probe passed. */
  readonly text: string | null;
}

/** What one gateway reports about an instance. */
export interface ReportStatus {
  readonly replica: string;
  readonly verdict: 'up' | 'down' | 'abstains';
}

/** The groups of agents at an instance. */
export interface GroupsStatus {
  readonly number: number;
  /** All members, as far as they are known, whether or not they are logged on. */
  readonly agents: number;
  readonly largest: { readonly name: string; readonly agents: number } | null;
}

/** How soon an instance answered the probes of this gateway over the last days. */
export interface AnswersStatus {
  readonly since: string;
  readonly watchedSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The longest time without a passed probe after which the instance passed one without having restarted. */
  readonly longest: { readonly ms: number; readonly at: string } | null;
}

/** What the probes of the last days say about the options that decide how soon an instance counts as down. */
export interface ProbesStatus {
  /** Since when every instance has been watched; `null` if one has not. */
  readonly since: string | null;
  /** Of the instance that was watched for the shortest time. */
  readonly watchedSeconds: number;
  /** The slowest first. */
  readonly settings: readonly {
    /** `null` for values that are no profile. */
    readonly profile: Profile | null;
    readonly present: boolean;
    /** The shortest time without any answer that can turn an instance down. */
    readonly pauseMs: number;
    /** About how long it takes until an instance that hangs counts as down. */
    readonly detectionMs: number;
    /** How often an instance could have counted as down that had not restarted. */
    readonly losses: number;
  }[];
  /** With a `timeout × fall` above it, no pause would have turned an instance down; `null` without any answer. */
  readonly safeAboveMs: number | null;
  readonly advice: Advice;
  readonly text: string;
}

/** The requests that go to an instance through peers. */
export interface RelaysStatus {
  /** Requests go there through peers now, because the probes of this gateway fail. */
  readonly active: boolean;
  /** Those of the last 15 minutes that this gateway handed to peers, and those that it took from them. */
  readonly sent: number;
  readonly taken: number;
}

export interface InstanceStatus {
  readonly id: InstanceId;
  readonly url: string;
  readonly admin: InstanceState['admin'];
  /** `null` while the configuration applies. */
  readonly act: ActStatus | null;
  readonly health: InstanceState['health'];
  /** Since when the verdict is so; `null` if this gateway does not know. */
  readonly healthSince: string | null;
  /** `null` until the first probe has ended. */
  readonly lastProbe: ProbeStatus | null;
  /** `null` until it has passed a probe. Earlier releases do not tell. */
  readonly answers: AnswersStatus | null;
  /** One for each gateway that has seen enough of the instance, or abstains. */
  readonly reports: readonly ReportStatus[];
  readonly quarantined: boolean;
  readonly incarnation: string | null;
  /** The number of observed starts of the instance. */
  readonly lives: number;
  /** This gateway cannot reach the instance, although the view says that it is up. */
  readonly unreachableHere: boolean;
  /** The same for so long that peers would have noticed too, so this gateway itself is cut off. */
  readonly cutOffHere: boolean;
  /** `null` without `peers`. Earlier releases do not tell. */
  readonly relays: RelaysStatus | null;
  readonly weight: number;
  readonly priority: number;
  readonly active: boolean;
  readonly boundAgents: number;
  /** The most agents that it should have; `null` without a limit. Earlier releases do not tell. */
  readonly maxAgents: number | null;
  /** `null` if no agent belongs to a group, or it is not known yet. Earlier releases do not tell. */
  readonly groups: GroupsStatus | null;
  /** Its share of the agents that are bound in the pool, from 0 to 1. */
  readonly share: number;
  /** The share of new agents that its weight gives it now, from 0 to 1. */
  readonly weightShare: number;
  readonly inFlight: number;
  readonly queued: number;
}

/** The report of one live gateway. */
export interface ReplicaStatus {
  readonly replica: string;
  /** The gateway withholds its health report, because its event loop lagged or its clock jumped. */
  readonly abstains: boolean;
  readonly down: readonly InstanceId[];
  /** Host and port at which it takes requests of peers; `null` if it takes none, or abstains. Earlier releases do not tell. */
  readonly relayAt: string | null;
}

/** A part in which a live gateway's configuration differs from the agreed one. */
export interface DifferenceStatus extends Difference {
  readonly replica: string;
}

export interface ConfigurationStatus {
  /** Keyed by the name of the part; `null` before the first agreement. */
  readonly agreed: ConfigParts | null;
  /** False if this gateway differs in a part that decides where agents are sent; it then does not serve the pool. */
  readonly servesHere: boolean;
  /** Instances that take agents but are missing from this gateway's configuration. */
  readonly missingHere: readonly InstanceId[];
  /** The differences of all gateways that report their configuration. */
  readonly differences: readonly DifferenceStatus[];
}

export interface ViewStatus {
  /** Distinguishes views with the same epoch, which can exist after the store has lost one. */
  readonly id: string;
  /** Every live gateway acts on the view. */
  readonly effective: boolean;
  /** Since when this gateway has been waiting for that; `null` while the view is in effect. */
  readonly pendingSince: string | null;
}

export interface PoolStatus {
  readonly name: string;
  readonly mode: 'failover' | 'sticky';
  /** What proposes instances to new agents; `null` in a failover pool, which needs none. */
  readonly balancer: BalancerName | null;
  readonly epoch: number;
  /** False until every instance is known to be up or down, or the time for that is over. */
  readonly settled: boolean;
  readonly view: ViewStatus;
  readonly configuration: ConfigurationStatus;
  /** Failover pools: the active instance and since when it is active; `null` if there is none. */
  readonly active: { readonly instance: InstanceId; readonly since: string } | null;
  readonly failback: {
    readonly policy: string;
    readonly zone: string | null;
    readonly by: 'configuration' | 'operator';
  } | null;
  /**
   * Agents move to instances with fewer agents as they log on again: until when, and who asked for it. `null` if they do
   * not. Earlier releases do not tell.
   */
  readonly rebalance: {
    /** `null`: always, by the configuration. */
    readonly until: string | null;
    readonly by: string;
    readonly why: string;
  } | null;
  /** Why the changed file of groups is not used, so that its last valid content counts. Earlier releases do not tell. */
  readonly groupFileProblem: { readonly since: string; readonly reason: string } | null;
  /** The degraded mode is called `storeless` here, as in the log: monitoring compares this word. */
  readonly standing: Exclude<Mode, 'degraded'> | 'storeless';
  /** The rest of the lease in milliseconds; `null` if the gateway has no peers. */
  readonly leaseRemainingMs: number | null;
  /** Earlier releases do not tell. */
  readonly probes: ProbesStatus;
  readonly replicas: readonly ReplicaStatus[];
  readonly parked: number;
  /** Ended requests since the gateway started, and those of them that were answered with a status from 500. */
  readonly traffic: { readonly requests: number; readonly faults: number };
  /** Where the requests of the last hour named their agents; empty if none had to. */
  readonly identitySources: readonly SourceShare[];
  readonly affinity: {
    /** The store answers, including operations on bindings. */
    readonly available: boolean;
    readonly cachedBindings: number;
    /** Since when operations on bindings fail, and the store's error; `null` if they do not. */
    readonly claimsFail: { readonly since: string; readonly error: string } | null;
  };
  readonly instances: readonly InstanceStatus[];
}

/** A condition that an operator should know of. */
export interface Alarm {
  /** The name of the alert in `deploy/prometheus/alerts.yaml`, and what it concerns. */
  readonly id: string;
  readonly severity: 'critical' | 'warning';
  readonly pool: string | null;
  readonly instance: InstanceId | null;
  readonly since: string | null;
  readonly text: string;
  /** The first thing to do. */
  readonly remedy: string;
  /** The section of `deploy/RUNBOOK.md`, such as `#instance-down`. */
  readonly runbook: string;
}

export interface GatewayStatus {
  readonly state: ShownState;
  /** Critical ones first, and of those the oldest. */
  readonly alarms: readonly Alarm[];
  readonly version: string;
  /** The name of the machine. */
  readonly host: string;
  /** Configured workers; 0 for a gateway of a single process. */
  readonly workers: number;
  /** The URL of the admin port for other hosts; `null` if only its own host reaches it. */
  readonly admin: { readonly advertise: string | null };
  /** This gateway's name among its peers. */
  readonly replica: string;
  /** Its store can be shared with other gateways. False for the embedded store. */
  readonly shared: boolean;
  /** As it read them at its start or last reload. */
  readonly certificates: readonly CertificateStatus[];
  readonly startedAt: string;
  readonly inFlight: number;
  readonly pools: readonly PoolStatus[];
}
