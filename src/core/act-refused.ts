/** An operator's change cannot be carried out. The message gives the reason and the remedy. */
export class ActRefused extends Error {
  override readonly name: string = 'ActRefused';
  /** The status on the admin port. SAPControl answers with a SOAP Fault in each case. */
  readonly statusCode: 400 | 404 | 409 | 429 | 503;

  constructor(statusCode: ActRefused['statusCode'], message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** Since the operator looked, the view or the decisions of operators have changed. */
export class ViewChanged extends ActRefused {
  override readonly name = 'ViewChanged';
  /** The id of the view that is agreed now. */
  readonly view: string;

  /**
   * @param seen the id of the view that the operator decided on
   * @param view the id of the view that is agreed now
   */
  constructor(seen: string, view: string) {
    super(
      409,
      `the view has changed since ${seen}: look at the pool again, then repeat the change if it still fits`,
    );
    this.view = view;
  }
}
