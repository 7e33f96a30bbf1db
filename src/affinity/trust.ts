/** What a cached binding must be newer than, so that the store need not be asked. */
export class Trust {
  /**
   * Messages may have been missed before this moment, in monotonic milliseconds. Until listening starts, all are: the
   * connection for them may be down from the beginning.
   */
  since = Number.POSITIVE_INFINITY;
  readonly sessionsAreProvisional: boolean;

  /** @param sessionsAreProvisional see `BindingsOptions` */
  constructor(sessionsAreProvisional: boolean) {
    this.sessionsAreProvisional = sessionsAreProvisional;
  }
}
