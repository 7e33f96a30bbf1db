import type { InstanceId } from '../instance.ts';
import type { ConfigParts } from './config-parts.ts';

/** What one replica's probes say of one instance. */
export interface Verdict {
  readonly health: 'up' | 'down';
  /** The incarnation that the last probe saw; `''` where the page shows none, or the probe failed. */
  readonly incarnation: string;
  /** The epoch in which a probe began that saw the instance without any session; 0 if none did. */
  readonly emptyAt: number;
}

/** What one replica says of a pool's instances. An instance that it cannot judge yet is missing. */
export interface HealthReport {
  readonly verdicts: Readonly<Record<InstanceId, Verdict>>;
  /** Its first round of probes is over, or the time for it. */
  readonly settled: boolean;
  /** It has had no request of the pool for as long as a pool must be quiet to count as idle. */
  readonly idle: boolean;
}

/** A live replica's opinion, or its abstention: its event loop lagged, or its clock jumped. */
export interface ReplicaReport {
  readonly replica: string;
  readonly report: HealthReport | undefined;
  /** The configuration that it has registered. Releases that register none have none. */
  readonly config?: ConfigParts;
  /** It has abstained for so long that a quorum does without it. */
  readonly isAbsent?: boolean;
}

/** How many of the live replicas it takes to call an instance up or down. */
export type Quorum = 'majority' | 'any' | 'all';

/** `any` and `all` are said of *down*; *up* takes the complement, so that a split vote decides one way. */
export function votesNeeded(quorum: Quorum, verdict: 'up' | 'down', live: number): number {
  switch (quorum) {
    case 'majority':
      return Math.floor(live / 2) + 1;
    case 'any':
      return verdict === 'down' ? 1 : live;
    case 'all':
      return verdict === 'down' ? live : 1;
  }
}
