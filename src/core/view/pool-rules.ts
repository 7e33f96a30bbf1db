import type { AdminState, InstanceId } from '../instance.ts';
import type { AgreedRules } from './policy.ts';
import type { PoolMode } from './view.ts';

/** What a replica's configuration says about a pool. */
export interface PoolRules extends AgreedRules {
  readonly mode: PoolMode;
  readonly instances: readonly { id: InstanceId; priority: number; admin: AdminState }[];
}
