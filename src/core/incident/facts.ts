import type { GatewayStatus } from '../gateway-status.ts';
import type { GatewayLine } from '../gateways.ts';
import type { RecentRequest } from '../recent-requests.ts';
import type { LoggedEvent } from '../view/agreed-view.ts';
import type { KeptLine } from './state-lines.ts';

/** An event of the event log of a pool. */
export interface IncidentEvent extends LoggedEvent {
  readonly pool: string;
}

/** Requests that ended lately at this gateway, and those that it answered with an error of its own. */
export interface EndedRequests {
  /** The length of the period, in milliseconds. */
  readonly withinMs: number;
  readonly ended: number;
  readonly errors: readonly { readonly code: string; readonly requests: number }[];
}

/** What an incident archive holds, as far as its first page says what is wrong. Times are ms since the Unix epoch. */
export interface IncidentFacts {
  readonly from: number;
  readonly to: number;
  readonly status: GatewayStatus;
  readonly gateways: readonly GatewayLine[];
  /** Of the period, in any order. */
  readonly events: readonly IncidentEvent[];
  /** Of the period, the oldest first. */
  readonly lines: readonly KeptLine[];
  readonly requests: EndedRequests;
  /** The last requests of the period that the workers keep, the newest first. */
  readonly recent: readonly RecentRequest[];
}

/** Something that is wrong, or was. */
export interface Finding {
  readonly text: string;
  readonly since: number | undefined;
  /** `undefined` if it still lasts. */
  readonly until: number | undefined;
  /** The greatest first. */
  readonly weight: number;
}
