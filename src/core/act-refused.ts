/** An operator's change cannot be carried out. The message gives the reason and the remedy. */
export class ActRefused extends Error {
  override readonly name = 'ActRefused';
  /** The status on the admin port. SAPControl answers with a SOAP Fault in each case. */
  readonly statusCode: 400 | 404 | 409;

  constructor(statusCode: 400 | 404 | 409, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}
