import type { GatewayStatus } from '../core/gateway-status.ts';
import type { ShownState } from '../core/lifecycle.ts';

/** The state of the gateway, all its processes taken together. */
export type SapState = ShownState;

/**
 * What the SAPControl web service tells of the gateway, and has it do.
 *
 * Methods that read return at once: a monitor must not wait for a worker that
 * hangs. Acts resolve once they are begun, not when they are done, and reject
 * with {@link ActRefused} where this gateway cannot do them.
 */
export interface SapControlSource {
  /** Who this gateway is among instances of SAP systems. */
  readonly identity: SapIdentity;
  /** The process that lives as long as the gateway: the supervisor, or the only one. */
  readonly pid: number;
  /** When that process started. */
  readonly startedAt: Date;
  /** The time of the program that runs: that of its file. */
  readonly builtAt: Date;
  state(): SapState;
  /** Of all workers together. */
  status(): GatewayStatus;
  /** How many processes are there to carry traffic; where one does everything, 1. */
  liveWorkers(): number;
  /** All processes of this gateway, that of {@link pid} included. No signal goes to any other. */
  pids(): readonly number[];
  /** The configuration in effect, under the names that SAP has for it. */
  parameters(): ReadonlyMap<string, string>;
  /**
   * Ends the gateway: softly, and hard after `softTimeoutMs`; with 0 hard at once,
   * with `undefined` softly within the configured time.
   */
  stop(softTimeoutMs: number | undefined): Promise<void>;
  /** The same, and a new one takes its place. */
  restart(softTimeoutMs: number): Promise<void>;
  /** `pid` is one of {@link pids}. */
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

/** This gateway cannot do what was asked. The message says why, and what to do instead. */
export class ActRefused extends Error {
  override readonly name = 'ActRefused';
}
