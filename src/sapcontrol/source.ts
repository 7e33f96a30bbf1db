import type { GatewayStatus } from '../core/gateway-status.ts';
import type { ShownState } from '../core/lifecycle.ts';

/** The state of the gateway as a whole. */
export type SapState = ShownState;

/**
 * The gateway as the SAPControl web service sees and controls it.
 *
 * Reads return at once, because a monitor must not wait for a worker that
 * hangs. Changes resolve when they have begun, not when they are done. They reject
 * with {@link ActRefused} if this gateway cannot carry them out.
 */
export interface SapControlSource {
  /** The identity of this gateway among instances of SAP systems. */
  readonly identity: SapIdentity;
  /** The process that runs as long as the gateway: the supervisor, or the only process. */
  readonly pid: number;
  /** When that process started. */
  readonly startedAt: Date;
  /** The build time of the running program: the modification time of its file. */
  readonly builtAt: Date;
  state(): SapState;
  /** The total of all workers. */
  status(): GatewayStatus;
  /** The number of processes that carry traffic; 1 for a single-process gateway. */
  liveWorkers(): number;
  /** All processes of this gateway, including {@link pid}. Signals go to these only. */
  pids(): readonly number[];
  /** The configuration in effect, under SAP's parameter names. */
  parameters(): ReadonlyMap<string, string>;
  /**
   * Stops the gateway softly, and hard after `softTimeoutMs`; with 0 hard at once,
   * with `undefined` softly within the configured time.
   */
  stop(softTimeoutMs: number | undefined): Promise<void>;
  /** Stops the gateway in the same way; a new one then starts. */
  restart(softTimeoutMs: number): Promise<void>;
  /** Sends a signal; `pid` is one of {@link pids}. */
  signal(pid: number, signal: NodeJS.Signals): Promise<void>;
}

export interface SapIdentity {
  /** SAPSYSTEMNAME: three letters or digits. */
  readonly sid: string;
  /** SAPSYSTEM: two digits. */
  readonly instanceNumber: string;
  readonly instanceName: string;
  readonly hostname: string;
}
