import type { ErrorCode } from './errors.ts';

/**
 * How an attempt at one instance failed, in HAProxy's `retry-on` words.
 *
 * The kind, not the error's class, decides everything downstream: whether
 * another attempt may be made, whether the failure counts against the instance,
 * and what the client is told.
 */
export type FailureKind =
  | 'connect-failure' // no byte was handed to a connection: refused, unreachable, DNS, TLS, connect timeout
  | 'empty-response' // sent, then the connection ended without a response
  | 'junk-response' // sent, and what came back was not HTTP
  | 'instance-lost' // sent, and no response header had come when the instance was lost: given up, and its connection reset
  | 'response-timeout' // sent, and no response header arrived in time
  | 'response-aborted' // the response started and then broke off; past the first 64 KB all that is left is to cut the connection
  | 'unsendable' // undici refuses to write it, so no instance can be given it
  | 'client-aborted'; // the client left; nobody's fault

export interface FailurePolicy {
  /** The request may go to an instance again. Only ever true where nothing was sent. */
  readonly mayRetry: boolean;
  /** Speaks against the instance, so its next probe is brought forward. */
  readonly hastensProbe: boolean;
  /** What the client is told; `undefined` where there is nobody to tell, or no way. */
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
