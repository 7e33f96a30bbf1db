import type { Thresholds } from '../core/health.ts';
import type { InstanceId } from '../core/instance.ts';
import type { ViewStoreClient } from '../core/ports.ts';
import type { Drift } from '../core/view/local-config.ts';
import type { ReplicaOptions } from '../core/view/replica-options.ts';
import type { View } from '../core/view/view.ts';

export interface CoordinatorEvents {
  /** The view acted on has changed. */
  onView(before: View, after: View): void;
  onStoreState(state: 'away' | 'available', detail: string): void;
  /** What this replica alone cannot reach, though its peers can, has changed. */
  onCutOff(instances: ReadonlySet<InstanceId>): void;
  /** How the configuration of this gateway differs from the agreed one has changed. */
  onDrift?(drift: Drift): void;
  /** Claims fail though the ledger answers, and why; `undefined` when that has ended. */
  onClaims?(failure: string | undefined): void;
  onAbstention(abstains: boolean, reason: string): void;
  /** What is known could not be written back, for another reason than that the store is away. It is tried again. */
  onNotRestored(error: unknown): void;
  /** The first probe that failed at an instance which was well so far, and the one that made this replica call it down. */
  onProbeFailed(instance: InstanceId, reason: string, isDownNow: boolean): void;
  onOperation(operation: 'sync' | 'propose' | 'decree', outcome: 'ok' | 'unavailable'): void;
}

/** Takes what may be acted on to those who act elsewhere than in this process. */
export interface Publisher {
  /** The standing may have changed, if only the end of its lease. */
  publish(): void;
  /** Until when one of them may act on what was published, in monotonic ms. */
  mayActUntil(): number;
}

export interface PoolCoordinatorOptions {
  readonly replica: ReplicaOptions;
  readonly thresholds: Thresholds;
  readonly viewStore: ViewStoreClient;
  /** Between syncs when there is no news, in ms. */
  readonly renewMs: number;
  /** After so many ms without an answer the ledger is in doubt. */
  readonly doubtMs: number;
  /** After so many ms without an answer the ledger is asked again. */
  readonly answerMs: number;
  /** Between announcements of one suspect, in ms. */
  readonly suspectEveryMs: number;
  /** Brings the store's bindings up to date after it was away or lost data. Rejects while it cannot. */
  readonly writeBack: (life: string) => Promise<unknown>;
  readonly boundAgents: (instance: InstanceId) => number | undefined;
  /** Has the pool been without requests here for as long as it takes to count as idle? */
  readonly isIdle: () => boolean;
  readonly events: CoordinatorEvents;
  readonly publisher?: Publisher;
}
