/** What an operator asked for cannot be done; the message gives the reason and the remedy. */
export class ActRefused extends Error {
  override readonly name = 'ActRefused';
  /** As HTTP says it; SAPControl answers with a SOAP Fault whichever it is. */
  readonly statusCode: 400 | 404 | 409;

  constructor(statusCode: 400 | 404 | 409, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}
