/** Who caused an error. It decides the SOAP fault code and the log level. */
export type ErrorSource = 'client' | 'upstream' | 'gateway';

interface ErrorEntry {
  readonly status: number;
  readonly source: ErrorSource;
  /** Sent to the client, so it must not name an address. */
  readonly message: string;
}

/**
 * All errors that the gateway itself answers. The codes are stable: operators alert on them and support looks them up.
 * `deploy/docs/errors.md` is generated from this table.
 */
export const ERRORS = {
  GW_REQUEST_MALFORMED: { status: 400, source: 'client', message: 'the HTTP request is not well-formed' },
  GW_HEADER_TOO_LARGE: {
    status: 431,
    source: 'client',
    message: 'the request header is larger than allowed',
  },
  GW_BODY_TOO_LARGE: { status: 413, source: 'client', message: 'the request body is larger than allowed' },
  GW_REQUEST_TIMEOUT: { status: 408, source: 'client', message: 'the request did not arrive in time' },
  GW_EXPECTATION_FAILED: {
    status: 417,
    source: 'client',
    message: 'the expectation of the request is not supported',
  },
  GW_METHOD_UNSUPPORTED: { status: 501, source: 'client', message: 'the request method is not supported' },
  GW_TRANSFER_CODING_UNSUPPORTED: {
    status: 501,
    source: 'client',
    message: 'the transfer coding is not supported',
  },
  GW_VERSION_UNSUPPORTED: { status: 505, source: 'client', message: 'the HTTP version is not supported' },
  GW_FORWARDED_UNTRUSTED: {
    status: 403,
    source: 'client',
    message: 'forwarding headers from a client that is not a trusted proxy',
  },
  GW_LOOP: {
    status: 508,
    source: 'gateway',
    message:
      'the request has passed this gateway, or one of the same name, before: an instance has the address of a gateway',
  },
  GW_POOL_UNKNOWN: { status: 404, source: 'client', message: 'no pool serves this host and path' },
  GW_IDENTITY_MISSING: { status: 400, source: 'client', message: 'the request names no agent' },
  GW_IDENTITY_AMBIGUOUS: { status: 400, source: 'client', message: 'the request names more than one agent' },
  GW_IDENTITY_UNUSABLE: {
    status: 400,
    source: 'client',
    message: "the agent's name in the request is too long or has invalid characters",
  },
  GW_ENVELOPE_MALFORMED: { status: 400, source: 'client', message: 'the SOAP envelope cannot be read' },
  GW_NO_INSTANCE: { status: 503, source: 'upstream', message: 'no connector instance is available' },
  GW_STARTING: {
    status: 503,
    source: 'gateway',
    message: 'the gateway has not yet seen the state of its instances',
  },
  GW_MAINTENANCE: {
    status: 503,
    source: 'gateway',
    message: 'the gateway is under maintenance; the request was not sent',
  },
  GW_UPSTREAM_UNREACHABLE: {
    status: 503,
    source: 'upstream',
    message: 'the connector instance cannot be reached; the request was not sent',
  },
  GW_INSTANCE_CUT_OFF: {
    status: 503,
    source: 'gateway',
    message:
      'this gateway cannot reach the connector instance of the agent, but other gateways can; the request was not sent',
  },
  GW_CONFIG_DIFFERS: {
    status: 503,
    source: 'gateway',
    message:
      'the configuration of this gateway differs from the one that all gateways agreed on; the request was not sent',
  },
  GW_UPSTREAM_BUSY: {
    status: 503,
    source: 'upstream',
    message: 'the connector instance has too many requests in progress; the request was not sent',
  },
  GW_OUTCOME_UNKNOWN: {
    status: 502,
    source: 'upstream',
    message: 'the connection to the connector instance broke after the request was sent; outcome unknown',
  },
  GW_UPSTREAM_INVALID: {
    status: 502,
    source: 'upstream',
    message: 'the connector instance answered with something that is not HTTP; outcome unknown',
  },
  GW_UPSTREAM_TIMEOUT: {
    status: 504,
    source: 'upstream',
    message: 'the connector instance did not answer in time; outcome unknown',
  },
  // Replaces the answer of an instance that does not know the agent. It is not a 503, because a balancer in front may
  // repeat those, and then the agent would never learn of the loss.
  GW_SESSION_LOST: {
    status: 500,
    source: 'upstream',
    message: "the agent's session was lost with its connector instance; log on again",
  },
  GW_DEADLINE: {
    status: 504,
    source: 'gateway',
    message: 'the request could not be sent within its total deadline',
  },
  GW_AFFINITY_UNAVAILABLE: {
    status: 503,
    source: 'gateway',
    message: 'the affinity store is unavailable; the request was not sent',
  },
  GW_BINDING_UNAVAILABLE: {
    status: 503,
    source: 'gateway',
    message:
      'the affinity store does not answer this gateway, although the view store does; the request was not sent',
  },
  GW_BINDINGS_FULL: {
    status: 503,
    source: 'gateway',
    message: 'the affinity store has no room for a new agent; the request was not sent',
  },
  GW_OVERLOADED: { status: 503, source: 'gateway', message: 'the gateway holds too many requests already' },
  GW_INTERNAL: { status: 500, source: 'gateway', message: 'the gateway failed; see its log' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** An answer that comes from the gateway itself. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly statusCode: number;
  readonly source: ErrorSource;

  constructor(code: ErrorCode, cause?: unknown) {
    super(ERRORS[code].message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.statusCode = ERRORS[code].status;
    this.source = ERRORS[code].source;
  }
}
