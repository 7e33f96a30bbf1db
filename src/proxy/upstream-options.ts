import type { InstanceId } from '../core/instance.ts';
import type { Target } from '../core/target.ts';
import type { InstanceConnector } from './instance-connector.ts';

export interface UpstreamOptions {
  readonly id: InstanceId;
  /** Scheme, host and port. */
  readonly origin: string;
  readonly connect: InstanceConnector;
  readonly maxInFlight: number;
  readonly maxQueued: number;
  /** One connection per request instead of kept-alive ones. */
  readonly closeAfterEach: boolean;
  /** Idle connections are closed after this time. It must be shorter than the instance's own limit. */
  readonly idleTimeoutMs: number;
  /** Older connections get no more requests. */
  readonly maxAgeMs: number;
  /** The longest header of an answer. */
  readonly responseHeaderBytes: number;
  readonly responseHeaderTimeoutMs: number;
  readonly responseIdleTimeoutMs: number;
}

/** The client that an attempt is for. */
export interface Sender {
  /** Its address, or the network that counts as one. */
  readonly network: string;
  /** For how long the attempt has been waiting for the client to send or to read, in ms; 0 if it does not wait. */
  stalledMs(now: number): number;
  /** To be called if others need its place. */
  giveWay(): void;
}

/** The part of an attempt that the upstream needs after sending. */
export interface SentAttempt {
  readonly request: { readonly target: Target; readonly sender: Sender };
  /** Its place among {@link Upstream.attempts}, which the upstream keeps here; -1 if it is not among them. */
  place: number;
  /** When sending began, in monotonic ms. */
  readonly sentAt: number | undefined;
  /** To be called when its instance is lost. */
  giveUp(): void;
}
