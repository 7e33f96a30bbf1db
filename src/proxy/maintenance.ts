import type { OwnAnswer } from './reply-with-fault.ts';

/** What requests of pools are told while the gateway is under maintenance. */
export interface Maintenance {
  /** HTML for clients that do not speak SOAP; `undefined` for the line of text that every error has. */
  readonly page: string | undefined;
  readonly retryAfterSeconds: number;
}

/** The answer of `GW_MAINTENANCE`, made from the one that any error would get. */
export function maintenanceAnswer(
  { page, retryAfterSeconds }: Maintenance,
  answer: OwnAnswer,
  isSoap: boolean,
): OwnAnswer {
  if (isSoap || page === undefined) return { ...answer, retryAfterSeconds };
  return { status: answer.status, contentType: 'text/html; charset=utf-8', body: page, retryAfterSeconds };
}
