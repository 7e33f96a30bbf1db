import type { InstanceId } from '../../core/instance.ts';
import type { Knowledge } from '../../core/view/replica-options.ts';
import type { RoutingStateSnapshot } from '../../core/view/routing-state-copy.ts';
import type { Unanswered } from '../../core/view/store-outage.ts';

/** What the workers need from the controller for one pool. */
export interface CoordinatorPort {
  readonly snapshot: RoutingStateSnapshot;
  /** Reports that every worker has acknowledged the view or can no longer act on any view. */
  confirm(viewId: string): void;
  suspect(instance: InstanceId): void;
  renew(): Promise<void>;
  /** @param claim its times are by the clock of this process */
  storeFailed(claim: Unanswered): Promise<void>;
  counts(): ReadonlyMap<InstanceId, number>;
  addresses?(): ReadonlyMap<InstanceId, readonly string[]>;
  knowledge(): Knowledge;
}
