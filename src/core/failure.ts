import type { ErrorCode } from './errors.ts';

/**
 * How an attempt at one instance failed, in the words of HAProxy's `retry-on`.
 *
 * This kind, not the error's class, decides what follows: whether another attempt may be made, whether the failure
 * counts against the instance, and what the client is told.
 */
export type FailureKind =
  | 'connect-failure' // no byte was handed to a connection: refused, unreachable, DNS, TLS, connect timeout
  | 'empty-response' // sent, then the connection ended without a response
  | 'junk-response' // sent, and what came back was not HTTP
  | 'instance-lost' // sent, and the instance was lost before a response header came: the gateway reset the connection
  | 'response-timeout' // sent, and no response header arrived in time
  | 'response-aborted' // the response started and broke off; after the first 64 KB the gateway can only close the connection
  | 'unsendable' // undici refuses to write it, so it cannot be sent to any instance
  | 'client-aborted'; // the client left; neither side is at fault

export interface FailurePolicy {
  /**
   * The request may go to an instance again. Only ever true if nothing was sent. The HTTP method plays no part: ICI
   * calls are POSTs, and the gateway cannot tell which of them may be repeated.
   */
  readonly mayRetry: boolean;
  /** Counts against the instance, so its next probe is brought forward. */
  readonly hastensProbe: boolean;
  /** The error that the client gets; `undefined` if no answer is possible. */
  readonly answer: ErrorCode | undefined;
}

export const FAILURES: Readonly<Record<FailureKind, FailurePolicy>> = {
  'connect-failure': { mayRetry: true, hastensProbe: true, answer: 'GW_UPSTREAM_UNREACHABLE' },
  'empty-response': { mayRetry: false, hastensProbe: true, answer: 'GW_OUTCOME_UNKNOWN' },
  'junk-response': { mayRetry: false, hastensProbe: true, answer: 'GW_UPSTREAM_INVALID' },
  'instance-lost': { mayRetry: false, hastensProbe: false, answer: 'GW_OUTCOME_UNKNOWN' },
  'response-timeout': { mayRetry: false, hastensProbe: true, answer: 'GW_UPSTREAM_TIMEOUT' },
  'response-aborted': { mayRetry: false, hastensProbe: true, answer: 'GW_OUTCOME_UNKNOWN' },
  unsendable: { mayRetry: false, hastensProbe: false, answer: 'GW_REQUEST_MALFORMED' },
  'client-aborted': { mayRetry: false, hastensProbe: false, answer: undefined },
};
