import type { FailureKind } from '../core/failure.ts';

/** The peer says that the instance has got no byte of the request. */
export class NotRelayed extends Error {
  override readonly name = 'NotRelayed';

  constructor() {
    super('the peer did not send the request');
  }
}

/** How the attempt of the peer failed after the request was sent. */
export class RelayFailed extends Error {
  override readonly name = 'RelayFailed';
  readonly kind: FailureKind;

  constructor(kind: FailureKind) {
    super(`the attempt of the peer failed: ${kind}`);
    this.kind = kind;
  }
}
