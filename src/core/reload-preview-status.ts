import type { InstanceId } from './instance.ts';

export const RELOADABLE = 'a reload brings it into effect';

/** Agents who would move with a reload. */
export interface MoveStatus {
  readonly pool: string;
  readonly instance: InstanceId;
  /** Agents that are bound to the instance. */
  readonly agents: number;
  /** All agents of a failover pool move, whether or not they are counted. */
  readonly movesAll: boolean;
  readonly why: string;
}

/** What a reload of this gateway would do now. */
export interface ReloadPreviewStatus {
  /** Whether a reload would bring the configuration into effect. */
  readonly text: string;
  /** Why the configuration is invalid, one line each. */
  readonly problems: readonly string[];
  /** One line for each option that changes. */
  readonly changes: readonly string[];
  /** Why a reload would be refused although the configuration is valid. */
  readonly refused: readonly string[];
  /** Bound agents that would move. */
  readonly agents: number;
  readonly moves: readonly MoveStatus[];
}
