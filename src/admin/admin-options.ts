import type { TlsOptions } from 'node:tls';
import type { ErrorCode } from '../core/errors.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { Name, NameKind } from '../core/identity.ts';
import type { EndedRequests } from '../core/incident/facts.ts';
import type { KeptLine } from '../core/incident/state-lines.ts';
import type { LifecycleControl, ShownState } from '../core/lifecycle.ts';
import type { AskedWorker, RequestQuery, WorkerRequests } from '../core/recent-requests.ts';
import type { ReloadPreviewStatus } from '../core/reload-preview-status.ts';
import type { RequiredRole } from '../core/role.ts';
import type { ShownOption } from '../core/shown-option.ts';
import type { StatePages } from '../core/state-page.ts';
import type { GatewayEventKind, PoolEvent } from '../core/view/agreed-view.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessOptions } from './auth/access.ts';
import type { Console } from './console-files.ts';
import type { GatewayListing } from './gateways.ts';
import type { PoolSource } from './pool-source.ts';

/** Parses names and amounts the same way as the rest of the gateway. */
export interface Readers {
  /** The name in the form in which it is compared; `undefined` if it is not a valid name. */
  name(kind: NameKind, text: string): Name | undefined;
  /** The key of the name's stored form. */
  key(name: Name): string;
  /** The form that may be logged. */
  show(name: Name): string;
  /** Milliseconds; `undefined` if the text is not a duration. */
  duration(text: string): number | undefined;
}

export interface ActsOptions {
  readonly pools: readonly PoolSource[];
  readonly readers: Readers;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly lifecycle: LifecycleControl;
  readonly state: () => ShownState;
  /** Logs a change of this gateway only in the event logs of its pools. Never rejects. */
  readonly recordGatewayEvent: RecordGatewayEvent;
}

export type RecordGatewayEvent = (
  event: Pick<PoolEvent, 'by' | 'why' | 'source'> & {
    readonly kind: GatewayEventKind;
    readonly from?: string;
    readonly to?: string;
  },
) => Promise<void>;

/** What an incident archive holds and no other route shows. */
export interface IncidentSources {
  /** The last lines of the log, the oldest first. */
  readonly lines: () => readonly KeptLine[];
  readonly ended: (withinMs: number) => EndedRequests;
  /** What the store is, with its version. Rejects while it is away. */
  readonly storeVersion: () => Promise<string>;
  /** The versions of what this gateway shares with others, such as the form of stored names. */
  readonly formats: Readonly<Record<string, number>>;
}

export interface AdminServerOptions extends ActsOptions {
  readonly status: () => GatewayStatus;
  readonly gateways: () => Promise<GatewayListing>;
  /** @throws ActRefused if this gateway cannot reload */
  readonly previewReload: () => Promise<ReloadPreviewStatus>;
  /** The last requests of each worker. */
  readonly recentRequests: (query: RequestQuery) => Promise<readonly AskedWorker<WorkerRequests>[]>;
  /** How often the gateway has answered with this error since it started. */
  readonly errorCount: (code: ErrorCode) => number;
  /** All metrics in the Prometheus text format. */
  readonly scrape: () => Promise<string>;
  readonly incident: IncidentSources;
  readonly statePages: StatePages;
  /** The gateway's name in `Via`. */
  readonly via: string;
  readonly console: Console;
  /** Who may do what. */
  readonly access: AccessOptions;
  /** `undefined` for plain HTTP. */
  readonly tls: TlsOptions | undefined;
  /** The most connections at once, from all addresses together. */
  readonly maxConnections: number;
  /** Who may read `/metrics`. */
  readonly metricsRole: RequiredRole;
  /** The configuration in effect, in the form of a configuration file, with secrets masked. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The same one by one, each with its default and its source. */
  readonly options: readonly ShownOption[];
}
