import type { InstanceStatus } from '../../../core/gateway-status.ts';
import type { GatewayLine } from '../../../core/gateways.ts';
import type { HistoryPart } from '../../../core/history/pool-history.ts';
import type { Role } from '../../../core/role.ts';
import type { EpochLine } from '../../../core/view/epoch-line.ts';

/** What the admin API answers: the types of core/ where it has some. */

export type { AgentLine, AgentPage, AgentStatus } from '../../../core/agent-status.ts';
export type { Consequence, PoolConsequence } from '../../../core/consequence.ts';
export type { ErrorLine, ErrorsStatus } from '../../../core/error-advice.ts';
export type { ExplainStep, Explanation } from '../../../core/explanation.ts';
export type { Alarm, GatewayStatus, InstanceStatus, PoolStatus } from '../../../core/gateway-status.ts';
export type { GatewayLine } from '../../../core/gateways.ts';
export type { RecentRequest, RecentRequestsStatus } from '../../../core/recent-requests.ts';
export type { ReloadPreviewStatus } from '../../../core/reload-preview-status.ts';
export type { SeenNamesStatus } from '../../../core/seen-names.ts';
export type { ShownOption } from '../../../core/shown-option.ts';
export type { EpochCause } from '../../../core/view/epoch-line.ts';
export type { WhatIf } from '../../../core/what-if.ts';

export interface Session {
  readonly user: string | null;
  readonly role: Role | null;
  readonly kind: 'user' | 'token' | 'loopback' | null;
  readonly loginPossible: boolean;
}

export interface DrainAnswer {
  readonly instance: string;
  readonly admin: InstanceStatus['admin'];
  readonly deadline: string | null;
  readonly remaining: number;
  /** `null` with very many agents. Gateways of an earlier release do not tell. */
  readonly loggedOff?: number | null;
  readonly lastEnd?: string | null;
  readonly agents: readonly {
    readonly name: string;
    readonly lastActive: string;
    readonly loggedOff: boolean;
    readonly expiresInSeconds: number;
  }[];
  readonly lastActiveWithinSeconds: number;
  readonly next: string | null;
}

export interface GatewaysAnswer {
  readonly gateways: readonly GatewayLine[];
  /** The store is away, so only the gateway that answers is listed. */
  readonly partial: boolean;
  readonly reason: string | null;
}

export interface PoolEvent {
  readonly at: string;
  readonly kind: string;
  readonly instance: string;
  readonly from: string;
  readonly to: string;
  readonly by: string;
  readonly why: string;
  readonly source?: string;
  readonly gateway?: string;
  readonly times?: number;
}

export interface HistoryAnswer extends Omit<HistoryPart, 'from'> {
  readonly from: string;
  readonly stepSeconds: number;
}

export interface EpochAnswer extends Omit<EpochLine, 'at' | 'agents' | 'seconds'> {
  readonly at: string;
  readonly agents: number | null;
  readonly seconds: number | null;
}

export interface SecurityEntry {
  readonly at: string;
  readonly kind: string;
  readonly user: string | null;
  readonly role: string | null;
  readonly source: string;
  readonly act: string | null;
  readonly pool: string | null;
  readonly instance: string | null;
  readonly why: string | null;
  readonly outcome: string;
}
