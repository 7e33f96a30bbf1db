import type { InstanceId } from '../instance.ts';
import type { ConfigParts } from './config-parts.ts';

/** One replica's verdict on one instance, from its own probes. */
export interface Verdict {
  readonly health: 'up' | 'down';
  /** The incarnation seen by the last probe; `''` if the page shows none or the probe failed. */
  readonly incarnation: string;
  /** The epoch in which a probe started that found no sessions on the instance; 0 if none did. */
  readonly emptyAt: number;
  /**
   * The same, if the replica had also sent the instance no request for a while. Missing if not, and in reports of an
   * earlier release.
   */
  readonly vacantAt?: number;
}

/** One replica's verdicts on a pool's instances. An instance is missing until the replica can judge it. */
export interface HealthReport {
  readonly verdicts: Readonly<Record<InstanceId, Verdict>>;
  /** The first round of probes is over, or the time for it has run out. */
  readonly settled: boolean;
  /** This replica has had no request for the pool during the pool's idle time. */
  readonly idle: boolean;
  /** Host and port at which this replica takes requests of its peers. Missing if it takes none, and in earlier releases. */
  readonly relayAt?: string;
  /**
   * This replica is starting, in maintenance or stopping, so peers choose another one if one can relay. Missing
   * otherwise, and in reports of an earlier release.
   */
  readonly relaysLast?: true;
}

/** The report of a live replica. It abstains while its event loop lags or after its clock jumped. */
export interface ReplicaReport {
  readonly replica: string;
  readonly report: HealthReport | undefined;
  /** The configuration that the replica registered; missing for releases that register none. */
  readonly config?: ConfigParts;
  /** It has abstained for so long that the quorum no longer counts it. */
  readonly isAbsent?: boolean;
}

/** How many live replicas must agree that an instance is up or down. */
export type Quorum = 'majority' | 'any' | 'all';

/** `any` and `all` refer to *down*. *Up* needs the complement, so that split reports have one result. */
export function reportsNeeded(quorum: Quorum, verdict: 'up' | 'down', live: number): number {
  switch (quorum) {
    case 'majority':
      return Math.floor(live / 2) + 1;
    case 'any':
      return verdict === 'down' ? 1 : live;
    case 'all':
      return verdict === 'down' ? live : 1;
  }
}

/**
 * Has every replica found, since this epoch, that the health page of the instance shows no sessions, and sent the
 * instance no requests?
 */
export function areVacant(reports: readonly ReplicaReport[], id: InstanceId, epoch: number): boolean {
  return reports.length > 0 && reports.every(({ report }) => (report?.verdicts[id]?.vacantAt ?? 0) >= epoch);
}
