import type { ErrorCode } from './errors.ts';
import { ERRORS } from './errors.ts';
import type { RecentRequest } from './recent-requests.ts';

/** Where to look first. */
export type ErrorOwner = 'client' | 'instance' | 'gateway' | 'store';

interface Advice {
  readonly remedy: string;
  /** The section of the runbook. */
  readonly runbook: string;
}

const STORE: ReadonlySet<ErrorCode> = new Set([
  'GW_AFFINITY_UNAVAILABLE',
  'GW_BINDING_UNAVAILABLE',
  'GW_BINDINGS_FULL',
]);

export function ownerOf(code: ErrorCode): ErrorOwner {
  if (STORE.has(code)) return 'store';
  const { source } = ERRORS[code];
  return source === 'upstream' ? 'instance' : source;
}

const FAIL = '#requests-fail';
const NOT_HTTP =
  'Find the client by its address: it does not send HTTP as SAP does, or something in between changes it.';

/** What to do about each code, and where the runbook says more. */
export const ERROR_ADVICE: Readonly<Record<ErrorCode, Advice>> = {
  GW_REQUEST_MALFORMED: { remedy: NOT_HTTP, runbook: FAIL },
  GW_HEADER_TOO_LARGE: {
    remedy: 'Find the client by its address; raise limits.headerBytes or limits.headers only for SAP itself.',
    runbook: FAIL,
  },
  GW_BODY_TOO_LARGE: { remedy: 'Raise limits.bodyBytes if agents send such bodies.', runbook: FAIL },
  GW_REQUEST_TIMEOUT: {
    remedy: 'The client or the network to it is slow: look at its host first, then at timeouts.requestBody.',
    runbook: FAIL,
  },
  GW_EXPECTATION_FAILED: { remedy: NOT_HTTP, runbook: FAIL },
  GW_METHOD_UNSUPPORTED: { remedy: NOT_HTTP, runbook: FAIL },
  GW_TRANSFER_CODING_UNSUPPORTED: { remedy: NOT_HTTP, runbook: FAIL },
  GW_VERSION_UNSUPPORTED: { remedy: NOT_HTTP, runbook: FAIL },
  GW_FORWARDED_UNTRUSTED: {
    remedy: 'Add the balancer in front to forwarding.trustedProxies, if the address is one of yours.',
    runbook: FAIL,
  },
  GW_LOOP: {
    remedy: 'Correct the url of the instance that has the address of a gateway.',
    runbook: '#instance-down',
  },
  GW_POOL_UNKNOWN: {
    remedy: 'Correct the address in the communication profile of SAP CRM, or the match of the pool.',
    runbook: FAIL,
  },
  GW_IDENTITY_MISSING: {
    remedy: 'ici-gateway admin identity POOL shows which operations name no agent, and why.',
    runbook: '#agents-unnamed',
  },
  GW_IDENTITY_AMBIGUOUS: {
    remedy: 'Find out who adds a second user header on the way from SAP CRM.',
    runbook: '#agents-unnamed',
  },
  GW_IDENTITY_UNUSABLE: {
    remedy: 'ici-gateway admin identity POOL shows why values are not used as names.',
    runbook: '#agents-unnamed',
  },
  GW_ENVELOPE_MALFORMED: {
    remedy: 'Look at what the client sends, or let such requests pass with identity.onUnreadable: anonymous.',
    runbook: '#agents-unnamed',
  },
  GW_NO_INSTANCE: { remedy: 'Start a connector, or enable one that is disabled.', runbook: '#instance-down' },
  GW_STARTING: {
    remedy: 'Wait some seconds; if it lasts, the store does not answer.',
    runbook: '#gateway-down',
  },
  GW_MAINTENANCE: { remedy: 'End the maintenance when the work is done.', runbook: '#maintenance' },
  GW_UPSTREAM_UNREACHABLE: {
    remedy: 'Look at the host of the connector, and at the network to it.',
    runbook: '#instance-down',
  },
  GW_INSTANCE_CUT_OFF: {
    remedy: 'Check routes and the firewall between this gateway and the connector.',
    runbook: '#isolated',
  },
  GW_CONFIG_DIFFERS: {
    remedy: 'Correct the configuration of this gateway; if it is right and the others are wrong, adopt it.',
    runbook: '#config-drift',
  },
  GW_UPSTREAM_BUSY: {
    remedy: 'The connector does not keep up with maxInFlight requests; a higher limit only moves the queue.',
    runbook: '#overload',
  },
  GW_OUTCOME_UNKNOWN: {
    remedy:
      'Ask the agents whether their last action has happened; the log of the connector says why it broke.',
    runbook: '#outcome-unknown',
  },
  GW_UPSTREAM_INVALID: {
    remedy: 'Check that the url of the instance leads to a connector, and with the right scheme.',
    runbook: '#outcome-unknown',
  },
  GW_UPSTREAM_TIMEOUT: {
    remedy: 'Look at the connector: it took the request and did not answer in time.',
    runbook: '#requests-slow',
  },
  GW_SESSION_LOST: {
    remedy: 'The agent logs on again. If it happens often, find out why instances are lost.',
    runbook: '#instance-down',
  },
  GW_DEADLINE: {
    remedy: 'Look at how long requests wait (waitedMs), and for which instance.',
    runbook: '#requests-slow',
  },
  GW_AFFINITY_UNAVAILABLE: { remedy: 'Start Redis, or repair the way to it.', runbook: '#redis-away' },
  GW_BINDING_UNAVAILABLE: {
    remedy: 'Redis answers some commands only: look at its log and its memory.',
    runbook: '#redis-away',
  },
  GW_BINDINGS_FULL: {
    remedy: 'Find out who sends so many names; raise affinity.maxBindings only if they are real agents.',
    runbook: '#bindings-full',
  },
  GW_OVERLOADED: {
    remedy:
      'More requests come than this gateway may hold: find the client that sends them, or the slow instance.',
    runbook: '#overload',
  },
  GW_INTERNAL: {
    remedy: 'Look for the request id in the log, and report what it says.',
    runbook: FAIL,
  },
};

export type ErrorSample = Pick<RecentRequest, 'at' | 'requestId' | 'pool' | 'user' | 'instance' | 'client'>;

/** One error code at this gateway. */
export interface ErrorLine {
  readonly code: ErrorCode;
  /** Of the answer, unless faults.status changes it. */
  readonly status: number;
  readonly owner: ErrorOwner;
  readonly message: string;
  readonly remedy: string;
  readonly runbook: string;
  /** Since the gateway started. */
  readonly count: number;
  /** The newest first; empty if the requests are no longer kept. */
  readonly samples: readonly ErrorSample[];
}

/** Operations whose requests named no agent. */
export interface UnnamedOperation {
  readonly pool: string;
  readonly operation: string;
  /** In the last hour. */
  readonly requests: number;
}

export interface ErrorsStatus {
  /** All codes, the most frequent ones first. */
  readonly errors: readonly ErrorLine[];
  readonly unnamedOperations: readonly UnnamedOperation[];
  /** Workers that did not answer in time, so that their samples are missing. */
  readonly silent: readonly string[];
}

/** @param requests the last ones with an error, the newest first */
export function errorLines(
  countOf: (code: ErrorCode) => number,
  requests: readonly RecentRequest[],
  mostSamples: number,
): ErrorLine[] {
  return (Object.keys(ERRORS) as ErrorCode[])
    .map((code) => ({
      code,
      status: ERRORS[code].status,
      owner: ownerOf(code),
      message: ERRORS[code].message,
      ...ERROR_ADVICE[code],
      count: countOf(code),
      samples: requests
        .filter((one) => one.code === code)
        .slice(0, mostSamples)
        .map(({ at, requestId, pool, user, instance, client }) => ({
          at,
          requestId,
          pool,
          user,
          instance,
          client,
        })),
    }))
    .sort((a, b) => b.count - a.count);
}
