import type { OwnAnswer } from './reply-with-fault.ts';

/** The answer to requests for pools while the gateway is under maintenance. */
export interface Maintenance {
  /** HTML for clients that do not speak SOAP; `undefined` for a line of text, as for other errors. */
  readonly page: string | undefined;
  readonly retryAfterSeconds: number;
}

/** The answer for `GW_MAINTENANCE`, made from the answer that every error gets. */
export function maintenanceAnswer(
  { page, retryAfterSeconds }: Maintenance,
  answer: OwnAnswer,
  isSoap: boolean,
): OwnAnswer {
  if (isSoap || page === undefined) return { ...answer, retryAfterSeconds };
  return { status: answer.status, contentType: 'text/html; charset=utf-8', body: page, retryAfterSeconds };
}
