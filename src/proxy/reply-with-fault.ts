import type { ServerResponse } from 'node:http';
import type { ErrorCode } from '../core/errors.ts';
import { ERRORS } from '../core/errors.ts';
import { renderFault } from '../soap/fault.ts';
import type { SoapVersion } from '../soap/media-type.ts';

/**
 * The HTTP status of a SOAP Fault. `exact`: that of the error. `soap`: as the HTTP binding of SOAP requires (SOAP 1.1
 * §6.2, SOAP 1.2 part 2 §7.5.2.2). That is 500, or 400 if SOAP 1.2 blames the sender.
 */
export type FaultStatus = 'exact' | 'soap';

export interface OwnAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** The value of Retry-After, if it differs from the default of the status. */
  readonly retryAfterSeconds?: number;
}

/** The gateway's own answer to an error: a Fault for a SOAP caller, one line of text for any other. */
export function ownAnswer(
  code: ErrorCode,
  soapVersion: SoapVersion | undefined,
  requestId: string,
  faultStatus: FaultStatus,
): OwnAnswer {
  const { status, source, message } = ERRORS[code];
  if (soapVersion === undefined) {
    return {
      status,
      contentType: 'text/plain; charset=utf-8',
      body: `${code}: ${message} (request ${requestId})\n`,
    };
  }
  const fault = renderFault({ version: soapVersion, code, message, source, requestId });
  const bound = soapVersion === '1.2' && source === 'client' ? 400 : 500;
  return { ...fault, status: faultStatus === 'soap' ? bound : status };
}

/** Sends the answer, if that is still possible. `close`: the rest of the request is unread or cannot be trusted. */
export function sendOwnAnswer(
  response: ServerResponse,
  answer: OwnAnswer,
  requestId: readonly [header: string, value: string],
  close: boolean,
): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(answer.body);
  response.writeHead(answer.status, {
    'content-type': answer.contentType,
    'content-length': body.length,
    'cache-control': 'no-store',
    [requestId[0]]: requestId[1],
    ...(close ? { connection: 'close' } : {}),
    ...(answer.status === 503 ? { 'retry-after': String(answer.retryAfterSeconds ?? 1) } : {}),
  });
  response.end(body);
}
